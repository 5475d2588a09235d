"""Generates `typedflow/pb` from `idl/`: messages, gRPC stubs and type stubs, in one flat package.

protoc derives Python imports from the path of a .proto file: `from typedflow.v1 import literals_pb2`. The protobuf
package has to stay `typedflow.v1`, yet in Python that would put generated modules into the namespace that authors
import. So the modules are moved to `typedflow.pb`, and the one form of import line that protoc writes for our own files
is rewritten. The names in the descriptors (`typedflow/v1/literals.proto`) stay what they are, so messages and
reflection are the same for every language.

Must never write anything that depends on the machine, the clock or the order of a folder: `--check` compares bytes.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IDL = ROOT / "idl"
PACKAGE = ROOT / "typedflow" / "pb"

OWN_IMPORT = re.compile(r"^from typedflow\.v1 import (?=\w+_pb2\b)", re.MULTILINE)
# The module that message classes say they are from, which pickle imports.
OWN_MODULE = re.compile(r"'typedflow\.v1\.(?=\w+_pb2')")
SERVICE = re.compile(r"^service \w+", re.MULTILINE)

INIT = '''"""Messages and gRPC stubs, generated from `idl/` by `scripts/generate`. Do not edit.

`from typedflow.pb import literals_pb2`. Only the `*_pb2_grpc` modules import grpc.
"""
'''


def generate(target: Path) -> None:
    """Fills the existing, empty folder `target` with the generated package."""
    protos = sorted(IDL.glob("typedflow/v1/*.proto"))
    services = [proto for proto in protos if SERVICE.search(proto.read_text("utf-8"))]
    with tempfile.TemporaryDirectory() as folder:
        protoc(protos, python_out=folder, mypy_out=f"quiet:{folder}")
        protoc(services, grpc_python_out=folder, mypy_grpc_out=f"quiet:{folder}")
        for path in sorted(Path(folder).rglob("*.py*")):
            (target / path.name).write_text(flatten(path.read_text("utf-8")), "utf-8")
    (target / "__init__.py").write_text(INIT, "utf-8")


def protoc(protos: list[Path], **outputs: str) -> None:
    """Runs the protoc of grpcio-tools; its plugins are found beside this interpreter."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    }
    options = [f"--{name}={value}" for name, value in outputs.items()]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{IDL}", *options, *map(str, protos)]
    if subprocess.run(command, env=environment, check=False).returncode:
        sys.exit("scripts/generate: protoc failed, see above; nothing was written")


def flatten(text: str) -> str:
    """The module as part of the flat package `typedflow.pb`."""
    return OWN_MODULE.sub("'typedflow.pb.", OWN_IMPORT.sub("from typedflow.pb import ", text))


def drift(fresh: Path) -> list[str]:
    """The unified diff from the committed package to `fresh`; empty when they are the same."""
    names = sorted({path.name for folder in (PACKAGE, fresh) for path in folder.glob("*.py*")})
    lines: list[str] = []
    for name in names:
        old, new = lines_of(PACKAGE / name), lines_of(fresh / name)
        lines += difflib.unified_diff(old, new, f"typedflow/pb/{name}", f"idl -> {name}", n=1)
    return lines


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []


def replace(fresh: Path) -> None:
    """Makes the package equal to `fresh`: unchanged files keep their time, files without a source go."""
    PACKAGE.mkdir(exist_ok=True)
    for path in PACKAGE.glob("*.py*"):
        if not (fresh / path.name).exists():
            path.unlink()
    for path in sorted(fresh.iterdir()):
        if lines_of(path) != lines_of(PACKAGE / path.name):
            shutil.copyfile(path, PACKAGE / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate typedflow/pb from idl/.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail with the diff if there is one"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        difference = drift(fresh)
        if not difference:
            print("typedflow/pb is current")
        elif arguments.check:
            sys.stdout.writelines(difference)
            sys.exit("typedflow/pb is not what idl/ generates: run scripts/generate and commit the result")
        else:
            replace(fresh)
            print("typedflow/pb written")


if __name__ == "__main__":
    main()
