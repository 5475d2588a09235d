"""What a template loads beyond the author's modules: what converting their values would load in every child anew.

Of libraries, only those that the author's code has brought in are touched, and no thread may be left. Must never fail:
what can't be warmed is loaded later.
"""

from __future__ import annotations

import contextlib
import importlib
import sys

from typedflow.dataplane import objects

_LATE = ("tempfile", "zoneinfo")
"""What files and instants are converted with; a definition, which the type engine is tuned for, needs neither."""


def up(store_url: str) -> None:
    """Loads it. `store_url`: of the store that attempts have; it is not asked anything here."""
    for name in _LATE:
        importlib.import_module(name)
    with contextlib.suppress(Exception):
        store = objects.open_store(store_url)  # S3's library takes longer than most tasks
        if not store.is_local:
            importlib.import_module("encodings.idna")  # of its host
    with contextlib.suppress(Exception):
        if "pandas" in sys.modules or "pyarrow" in sys.modules:
            importlib.import_module("pyarrow.compute")
        if "pandera" in sys.modules and "pandas" in sys.modules:
            _pandera()


def _pandera() -> None:
    """Its checks are loaded by the first frame that it validates, which takes longer than most tasks."""
    import pandas as pd
    import pandera.pandas as pa

    pa.DataFrameSchema({"a": pa.Column(int)}).validate(pd.DataFrame({"a": [1]}))
