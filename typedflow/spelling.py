"""What was probably meant by a name that nobody has: for hints.

Loads nothing before somebody is mistaken: the command line's help and every definition import this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was most likely meant; None when none is close.

    The one candidate that has `name` as its last part wins over any that is merely similar, and one that is similar as
    a whole over one whose last part is.
    """
    import difflib  # noqa: PLC0415 - see above

    names = sorted(set(candidates))
    ending = [c for c in names if c.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.6):
        return close[0]
    last_parts = {c.rpartition(".")[2]: c for c in names}
    close = difflib.get_close_matches(name, last_parts, n=1, cutoff=0.6)
    return last_parts[close[0]] if close else None
