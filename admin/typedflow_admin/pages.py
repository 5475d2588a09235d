"""Page tokens: opaque to clients, the place after the last row for us.

A token says which list it belongs to, so that one of another list, or of the same list with other filters, is refused
instead of giving rows from a wrong place.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from blake3 import blake3

from typedflow import errors, identifiers
from typedflow_admin import store

T = TypeVar("T")

_DEFAULT_SIZE = 100
LARGEST_SIZE = 1000


def size(asked: int) -> int:
    """How many rows a page has.

    Raises:
        UsageError: more than 1,000 are asked for.
    """
    if asked > LARGEST_SIZE:
        raise errors.UsageError(
            f"a page has at most {LARGEST_SIZE} rows, not {asked}", where="page_size", code="InvalidPageSize"
        )
    return asked or _DEFAULT_SIZE


def token(place: int | str, *filters: object) -> str:
    """A token for what comes after `place` in the list that `filters` tell."""
    return base64.urlsafe_b64encode(json.dumps([_fingerprint(filters), place]).encode()).decode().rstrip("=")


def number(given: str, *filters: object) -> int:
    """The number that a token was made of; 0 for no token."""
    place = _place(given, filters) if given else 0
    if type(place) is not int or not 0 <= place < store.LAST:
        raise _invalid()
    return place


def name(given: str, *filters: object) -> str:
    """The name that a token was made of; empty for no token."""
    if not given:
        return ""
    place = _place(given, filters)
    if not isinstance(place, str) or identifiers.check_name(place):
        raise _invalid()
    return place


def cut(
    rows: Sequence[T],
    limit: int,
    weight: Callable[[T], int],
    place: Callable[[T], int | str],
    *filters: object,
) -> tuple[Sequence[T], str]:
    """The page of at most `limit` rows, and the token for the next; `rows` has one more when there is one."""
    count = fitting(rows[:limit], weight)
    if count == len(rows):
        return rows, ""
    return rows[:count], token(place(rows[count - 1]), *filters)


def fitting(rows: Sequence[T], weight: Callable[[T], int]) -> int:
    """How many of the rows are together no more than `store.PAGE_BYTES`; the first is, whatever its size."""
    total = 0
    for count, row in enumerate(rows):
        total += weight(row)
        if total > store.PAGE_BYTES and count:
            return count
    return len(rows)


def _place(given: str, filters: tuple[object, ...]) -> object:
    try:
        fingerprint, place = json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _invalid() from None
    if fingerprint != _fingerprint(filters):
        raise _invalid()
    return place


def _fingerprint(filters: tuple[object, ...]) -> str:
    return blake3(repr(filters).encode()).hexdigest(8)


def _invalid() -> errors.UsageError:
    return errors.UsageError(
        "the page token is not one of this list",
        where="page_token",
        hint="pass `next_page_token` of the page before with the same filters, or none to begin",
        code="InvalidPageToken",
    )
