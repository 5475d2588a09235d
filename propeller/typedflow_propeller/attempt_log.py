"""Reads the log of an attempt while it grows and loses its middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from io import FileIO
from pathlib import Path

from typedflow.run_task import log_file
from typedflow_propeller.executor import LogPiece

_PIECE = 64 * 1024
_FOLLOW_S = 0.05


async def read(path: Path, ended: asyncio.Event | None, offset: int) -> AsyncGenerator[LogPiece, None]:
    """The log from an offset on; nothing when there is none.

    Args:
        ended: is set when the attempt has ended; until then what is added is waited for. None: does not wait.
    """
    log = _opened(path)
    while log is None:
        if ended is None or ended.is_set():
            return
        await passed(ended, _FOLLOW_S)  # it waits for its turn
        log = _opened(path)
    with log:
        while True:
            is_last = ended is None or ended.is_set()
            while True:
                missing, data = log_file.read(log.fileno(), offset, _PIECE)
                offset += missing
                if missing:
                    yield LogPiece(
                        f"\n[typedflow: {missing:,} bytes of the log are left out here]\n".encode(), offset
                    )
                if not data:
                    break
                offset += len(data)
                yield LogPiece(data, offset)
            if is_last or ended is None:
                return
            await passed(ended, _FOLLOW_S)


def _opened(path: Path) -> FileIO | None:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        return None


async def passed(event: asyncio.Event, seconds: float) -> None:
    """Waits for the event, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
