"""What an author's iterator raises while it is converted: the author's error, and not one of the conversion.

A generator's body runs while its elements are written. What it raises must reach whoever called the task as it is,
with its own traceback and cause, and must not be taken for a failure of the store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class Raised(Exception):
    """Carries the author's error out of a conversion."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"an iterator raised {type(error).__name__}")
        self.error = error


def as_they_are(convert: Callable[[], _T]) -> _T:
    """What `convert` gives; what the author's iterators raise in it is raised as it is."""
    try:
        return convert()
    except Raised as raised:
        error = raised.error
    try:
        raise error  # out here it is not told as raised while another was handled
    finally:
        del error
