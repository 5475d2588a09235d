"""An attempt's log on disk, which is bounded: its beginning and its end are kept, what is between is given back.

The task and whatever it starts append to one file, with nobody in between who could slow them down or die. So what is
too much is taken out of the file as it lies there: the middle becomes a hole that takes no room on the disk, all else
stays at its offset, and whoever writes or reads notices nothing. A file system that has no holes does not bound logs.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

LIMIT = 64 * 1024 * 1024
"""Bytes of a log that are kept, if nothing else is said: a quarter of them its beginning."""

_BLOCK = 1024 * 1024
_PUNCH = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE, FALLOC_FL_KEEP_SIZE


def trim(path: Path, limit: int, trimmed: int = 0) -> int:
    """Takes the middle out of a log that has grown beyond `limit`.

    Gives where the hole ends; `trimmed` is what it gave the last time. Does nothing while little has been added.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return trimmed
    head = head_of(limit)
    end = (size - (limit - head)) // _BLOCK * _BLOCK
    if size <= limit or end - max(trimmed, head) < _BLOCK:
        return trimmed
    descriptor = os.open(path, os.O_WRONLY)
    try:
        return end if _punched(descriptor, head, end - head) else trimmed
    finally:
        os.close(descriptor)


def head_of(limit: int) -> int:
    """Bytes of a log's beginning that are always kept."""
    return max(_BLOCK, limit // 4 // _BLOCK * _BLOCK)


def read(descriptor: int, offset: int, most: int) -> tuple[int, bytes]:
    """What is at an offset, and how many bytes before it are not there any more.

    `(0, b"")` at the end of what has been written so far.
    """
    while True:
        data = _next_data(descriptor, offset)
        if data is None:
            return 0, b""
        piece = os.pread(descriptor, min(most, max(1, _next_hole(descriptor, data) - data)), data)
        if _next_hole(descriptor, data) >= data + len(piece):  # else it was taken out while it was read
            return data - offset, piece


def _next_data(descriptor: int, offset: int) -> int | None:
    """Where the next bytes are that are there; None when there are none."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        return offset if os.fstat(descriptor).st_size > offset else None


def _next_hole(descriptor: int, offset: int) -> int:
    try:
        return os.lseek(descriptor, offset, os.SEEK_HOLE)
    except OSError:
        return os.fstat(descriptor).st_size


def _punched(descriptor: int, start: int, length: int) -> bool:
    punch = _fallocate()
    return punch is not None and punch(descriptor, _PUNCH, start, length) == 0


@functools.cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    function = ctypes.CDLL(None, use_errno=True).fallocate
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
    return function
