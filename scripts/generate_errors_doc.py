#!/usr/bin/env python3
"""Writes docs/errors.md from `typedflow/compiler/explanations.py`; `--check` fails when it is not current."""

import sys
from pathlib import Path

from typedflow.compiler import explanations

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

HEADER = """\
# What can be wrong with a workflow

Every mistake that is found before anything runs has one of these codes. The same compiler finds them in the
author's process (`typedflow check`, `typedflow run`, tests) and on the server, which trusts no client: a raw gRPC
client gets the same diagnostics as details of `INVALID_ARGUMENT`. All mistakes of a template come at once, in the
author's order. A code never changes its meaning.

This page is written by `scripts/generate_errors_doc.py`.
"""


def document() -> str:
    """The whole page."""
    return "\n".join([HEADER, *(section(each) for each in explanations.EXPLANATIONS)])


def section(explanation: explanations.Explanation) -> str:
    """One code's part of the page."""
    parts = (
        f"## {explanation.code}",
        explanation.meaning,
        explanation.fix,
        f"```python\n{explanation.example}\n```\n",
    )
    return "\n\n".join(parts)


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
