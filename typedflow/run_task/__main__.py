"""How an executor starts a process for attempts; not for people.

`python -m typedflow.run_task template --control FD --root DIR... --store URL --wanted JSON`
`python -m typedflow.run_task run --go FD --root DIR... --store URL --folder DIR`
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import traceback
from pathlib import Path

from typedflow.run_task import child, template


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m typedflow.run_task")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, pipe in (("template", "--control"), ("run", "--go")):
        command = commands.add_parser(name)
        command.add_argument(pipe, type=int, required=True)
        command.add_argument("--root", type=Path, action="append", required=True)
        command.add_argument("--store", required=True)
        command.add_argument("--folder" if name == "run" else "--wanted", required=True)
    given = parser.parse_args()
    if given.command == "template":
        control = socket.socket(fileno=given.control)
        os.set_inheritable(given.control, False)
        template.Template(control, given.root, given.store, json.loads(given.wanted)).serve()
        return
    folder = Path(given.folder)
    try:
        child.set_apart(folder)
        if child.may_go(given.go):
            child.run(folder, given.root, given.store)
        child.flush()
    except Exception:  # noqa: BLE001 - it goes to the attempt's log, and the status says the rest
        traceback.print_exc()
        sys.exit(child.FAILED)


if __name__ == "__main__":
    main()
