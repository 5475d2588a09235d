"""An object as its store lists it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's digest, how many bytes it takes, and when it was written, in microseconds since 1970."""

    digest: str
    size: int
    at_us: int
