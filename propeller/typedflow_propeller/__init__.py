"""The propeller: drives executions that admin hands out, and runs their attempts.

Reaches admin through the API only, and only by dialling out. Its parts are loaded when they are first used, so that the
command line can list what there is without gRPC.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typedflow_propeller.admin_client import AdminClient
    from typedflow_propeller.local_processes import LocalProcesses
    from typedflow_propeller.propeller import Propeller

__all__ = ["AdminClient", "LocalProcesses", "Propeller"]

_PLACES = {"AdminClient": "admin_client", "LocalProcesses": "local_processes", "Propeller": "propeller"}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'typedflow_propeller' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"typedflow_propeller.{_PLACES[name]}"), name)
    return found
