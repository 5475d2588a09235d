"""Whether every public name of typedflow has a type that all checkers agree on; names what has not.

Run by `scripts/check`, as it needs pyright.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import typedflow


class Symbol(TypedDict):
    """What pyright says of one, as far as it is used here."""

    name: str
    isTypeKnown: bool
    isTypeAmbiguous: bool
    diagnostics: list[dict[str, str]]


ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    public = tuple(f"{getattr(typedflow, name).__module__}.{name}" for name in typedflow.__all__)
    symbols = [
        each
        for each in verified()
        if each["name"] in public or each["name"].startswith(tuple(f"{name}." for name in public))
    ]
    if not symbols:
        print("pyright has found none of the public names", file=sys.stderr)
        return 2
    wrong = [each for each in symbols if not each["isTypeKnown"] or each["isTypeAmbiguous"]]
    for each in wrong:
        print(each["name"], file=sys.stderr)
        for diagnostic in each["diagnostics"]:
            print(f"    {diagnostic['message']}", file=sys.stderr)
    print(f"{len(symbols) - len(wrong)} of {len(symbols)} public symbols have a type that is known")
    return 1 if wrong else 0


def verified() -> list[Symbol]:
    """What pyright says of the package."""
    pyright = [str(Path(sys.executable).parent / "pyright"), "--pythonpath", sys.executable]
    done = subprocess.run(
        [*pyright, "--ignoreexternal", "--outputjson", "--verifytypes", "typedflow"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "scripts",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    found: list[Symbol] = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    return found


if __name__ == "__main__":
    sys.exit(main())
