"""What a frame means, from the digests of its columns: so a selection of them has its content without a byte read.

Must never look at the columns themselves, which only the type engine does.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from blake3 import blake3

from typedflow import errors
from typedflow.pb.literals_pb2 import Frame
from typedflow.pb.types_pb2 import FrameType

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGEST_BYTES = 32
_TAG = b"typedflow:frame:2\0"


def content(rows: int, names: Sequence[str], columns: Sequence[bytes], index: bytes) -> str:
    """The digest of a frame of these columns, given the digests of each and of the index; docs/hashing.md has it."""
    whole = blake3(_TAG)
    whole.update(struct.pack("<QQ", rows, len(names)))
    for name, digest in zip(names, columns, strict=True):
        text = name.encode()
        whole.update(struct.pack("<Q", len(text)) + text + digest)
    whole.update(index)
    return "b3:" + whole.hexdigest()


def contradiction(frame: Frame) -> str:
    """How what a frame says of its columns contradicts itself; empty when it does not."""
    names, digests = [column.name for column in frame.type.columns], frame.column_contents
    if len(digests) != len(names):
        return f"{len(digests)} digests for {len(names)} columns"
    if any(len(digest) != DIGEST_BYTES for digest in digests):
        return f"a column's digest is not of {DIGEST_BYTES} bytes"
    if len(frame.index_content) not in (0, DIGEST_BYTES):
        return f"the index's digest is not of {DIGEST_BYTES} bytes"
    return "a column is there twice" if len(set(names)) < len(names) else ""


def is_selected(frame: Frame, of: FrameType) -> bool:
    """Whether it has no column that the type leaves out."""
    if not of.filter:
        return True
    own = {column.name for column in of.columns}
    return all(column.name in own for column in frame.type.columns)


def selected(frame: Frame, of: FrameType) -> Frame:
    """The frame without the columns that the type leaves out, in its own order and with its index; of the same bytes.

    The same message where none is left out. What the selection was checked for is not known, so it says nothing of it.

    Raises:
        ConversionError: the frame contradicts itself.
    """
    if is_selected(frame, of):
        return frame
    if wrong := contradiction(frame):
        raise errors.ConversionError(f"a data frame that contradicts itself: {wrong}")
    own = {column.name for column in of.columns}
    kept = [i for i, column in enumerate(frame.type.columns) if column.name in own]
    columns = [frame.type.columns[i] for i in kept]
    digests = [frame.column_contents[i] for i in kept]
    return Frame(
        content=content(frame.rows, [column.name for column in columns], digests, frame.index_content),
        blob=frame.blob,
        format=frame.format,
        rows=frame.rows,
        type=FrameType(columns=columns, strict=True),
        column_contents=digests,
        index_content=frame.index_content,
    )
