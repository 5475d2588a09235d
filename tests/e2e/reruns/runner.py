"""Runs workflows of projects, each in a process of its own that is forked from one that has typedflow loaded.

A line of JSON says what to run, and a line of JSON says how it ended. Must never import anything of a project itself.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import typedflow
from typedflow import catalog, testing


def run(job: dict[str, Any]) -> None:
    """Runs one, in this process."""
    folder = Path(job["folder"])
    os.chdir(folder)
    os.environ.update(job["environment"])
    time.tzset()
    sys.path[:0] = [str(folder), str(folder.parent / "site")]
    pipeline = importlib.import_module("pipeline")
    with testing.local(cache=catalog.DiskCatalog(Path(job["cache"]))):
        getattr(pipeline, job["workflow"])(source=typedflow.File(job["source"]), **job["inputs"])


def main() -> None:
    """Until there are no more lines."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                run(json.loads(line))
            except BaseException:  # noqa: BLE001 - told by the status
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps({"status": status}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
