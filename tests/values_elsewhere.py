"""A process of its own: reads values from literals by annotations that it has imported itself, and writes them back.

    python tests/values_elsewhere.py FOLDER

A request on stdin is the name of a module in the folder, and literals; the answer on stdout has for each the exact text
of the value that was read, and the literal that it was written to.
"""

import importlib
import struct
import sys
from pathlib import Path
from typing import IO

from typedflow import type_engine
from typedflow.pb import literals_pb2


def send(stream: IO[bytes], parts: list[bytes]) -> None:
    """Writes one message of several parts."""
    stream.write(
        struct.pack("<I", len(parts)) + b"".join(struct.pack("<I", len(part)) + part for part in parts)
    )
    stream.flush()


def receive(stream: IO[bytes]) -> list[bytes]:
    """The parts of the next message; none at the end of the stream."""
    head = stream.read(4)
    return (
        [stream.read(*struct.unpack("<I", stream.read(4))) for _ in range(*struct.unpack("<I", head))]
        if head
        else []
    )


def main() -> None:
    """Answers until stdin ends."""
    from tests import exactness

    folder = sys.argv[1]
    sys.path.insert(0, folder)
    while parts := receive(sys.stdin.buffer):
        importlib.invalidate_caches()
        module = importlib.import_module(parts[0].decode())
        converter = type_engine.standard().converter(module.ANNOTATION)
        answer = []
        for part in parts[1:]:
            literal = literals_pb2.Literal.FromString(part)
            value = converter.from_literal(literal, "x", type_engine.NO_DATA)
            again = converter.to_literal(value, "x", type_engine.NO_DATA)
            answer += [exactness.exact(value).encode("utf-8", "surrogatepass"), again.SerializeToString()]
        send(sys.stdout.buffer, answer)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
