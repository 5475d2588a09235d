#!/usr/bin/env python3
"""Writes docs/errors.md from the tables of explanations; `--check` fails when it is not current.

What an author sees comes from the snapshots of tests, so that the page shows nothing that is not so: those of programs,
and for what only a raw client can send those of templates.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from typedflow.cli import explanations as others
from typedflow.compiler import explanations
from typedflow.compiler.explanations import Explanation

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENT = REPOSITORY / "docs" / "errors.md"
RENDERED = [REPOSITORY / "tests" / "unit" / room / "rendered" for room in ("authoring", "compiler")]

HEADER = """\
# Every error, by its code

A code never changes its meaning. `typedflow explain CODE` prints what stands here.

[Mistakes in workflows](#mistakes-in-workflows) ·
[Commands and clients](#commands-and-clients) ·
[Nodes](#nodes) ·
[Servers](#servers)

This page is written by `scripts/generate_errors_doc.py`.

## Mistakes in workflows

Every mistake that is found before anything runs has one of these codes. The same compiler finds them in the
author's process (`typedflow check`, `typedflow run`, tests) and on the server, which trusts no client: a raw gRPC
client gets the same diagnostics as details of `INVALID_ARGUMENT`. All mistakes of a template come at once, in the
author's order.
"""

COMMANDS = """\
## Commands and clients

What a command, a client or a direct call raises: `TypedflowError.code`.
"""

NODES = """\
## Nodes

Why an attempt failed: `error.code` of a node. An exception that a task raises has its class's name for a code, and is
not listed here.
"""

SERVERS = """\
## Servers

What a server says when it does not start, and the `reason` of a call that it refuses.
"""


def document() -> str:
    """The whole page."""
    return "\n".join(
        [
            HEADER,
            *sections(explanations.EXPLANATIONS, "python"),
            COMMANDS,
            *sections(others.COMMANDS, "text"),
            NODES,
            *sections(others.ATTEMPTS, "text"),
            SERVERS,
            *sections(others.SERVERS, "text"),
        ]
    )


def sections(table: Iterable[Explanation], language: str) -> list[str]:
    """Each code's part of the page."""
    return [
        "\n\n".join(
            (
                f"### {each.code}",
                each.meaning,
                each.fix,
                f"```{language}\n{each.example}\n```\n{told(each.code) if language == 'python' else ''}",
            )
        )
        for each in table
    ]


def told(code: str) -> str:
    """How a mistake is shown, of the program or the template that its test has."""
    snapshot = next(path for folder in RENDERED if (path := folder / f"{code}.txt").exists())
    blocks = re.sub(r"\n[\d,]+ errors?(, .*)?\n$", "", snapshot.read_text("utf-8")).split("\n\n")
    shown = next(block for block in blocks if block.startswith(f"error[{code}]"))
    return f"\nIt is told as\n\n```text\n{shown}\n```\n"


def main() -> int:
    made = document()
    if sys.argv[1:] == ["--check"]:
        if DOCUMENT.read_text("utf-8") != made:
            print("docs/errors.md is not current: run scripts/generate_errors_doc.py", file=sys.stderr)
            return 1
        return 0
    DOCUMENT.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
