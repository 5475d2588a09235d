"""Whether the columns of a list that somebody sent agree with each other, before anything is done with them.

A count is a few bytes of a message however large it is, so nothing here makes anything of the size that a list says
it has.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from typedflow import literal_types
from typedflow.literals import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.pb.literals_pb2 import Datetimes, Dict, Dicts, List, Records, Unions

# None and records without fields take no bytes in a message. More of them than this, beyond what is usual beside the
# bytes that it does have, is an attack, not a value.
_MOST_COUNTED = 2**20
_USUAL_PER_BYTE = 16
# One zone may stand for all datetimes of a column.
_LONGEST_ZONE = 255


def malformed(of: List) -> str:
    """How the columns of a list contradict each other; empty when they do not.

    Of a list for which nothing is said, `lists` and `columns` are sure to take time and space as its message does.
    What is in a `literals` column is not looked at.
    """
    counted = [0]
    wrong = _malformed(of, counted)
    if not wrong and counted[0] > _MOST_COUNTED + _USUAL_PER_BYTE * of.ByteSize():
        wrong = f"{counted[0]} times None and records without fields"
    return wrong


def contradiction(of: Dict) -> str:
    """The same for a dict: how its keys and its values contradict each other."""
    count = columns.length(of.values)
    if len(of.keys) != count:
        return f"{len(of.keys)} keys for {count} values"
    return malformed(of.values) or _repeated(of.keys)


def _malformed(of: List, counted: list[int]) -> str:
    match of.WhichOneof("column"):
        case "nones":
            counted[0] += of.nones
            return ""
        case "datetimes":
            return _datetimes(of.datetimes)
        case "unions":
            return _unions(of.unions, counted)
        case "records":
            return _records(of.records, counted)
        case "lists":
            wrong = _malformed(of.lists.elements, counted)
            expected, actual = sum(of.lists.lengths), columns.length(of.lists.elements)
            if not wrong and expected != actual:
                return f"{actual} elements for lists that have {expected} together"
            return wrong
        case "dicts":
            return _dicts(of.dicts, counted)
        case _:
            return ""


def _datetimes(of: Datetimes) -> str:
    count = len(of.epoch_microseconds)
    for noun, found in (("offsets", len(of.offset_seconds)), ("zones", len(of.zones))):
        if found not in (1, count) or (found and not count):
            return f"{found} {noun} for {count} datetimes"
    if any(len(zone) > _LONGEST_ZONE for zone in of.zones):
        return f"a zone of more than {_LONGEST_ZONE} characters"
    return ""


def _unions(of: Unions, counted: list[int]) -> str:
    if len(of.columns) > literal_types.MOST_VARIANTS:
        return f"columns for {len(of.columns)} variants"
    counts = Counter(of.variants)
    for variant, column in enumerate(of.columns):
        wrong = _malformed(column, counted)
        if wrong:
            return wrong
        found = columns.length(column)
        if found != counts[variant]:
            return f"{found} values of variant {variant} for {counts[variant]} elements"
    highest = max(counts, default=-1)
    return f"no column for variant {highest}" if highest >= len(of.columns) else ""


def _dicts(of: Dicts, counted: list[int]) -> str:
    wrong = _malformed(of.values, counted)
    if wrong:
        return wrong
    expected, actual = sum(of.lengths), columns.length(of.values)
    if expected != actual or len(of.keys) != actual:
        return f"{len(of.keys)} keys and {actual} values for dicts that have {expected} together"
    at = 0
    for length in of.lengths:
        if length > 1:
            wrong = _repeated(of.keys[at : at + length])
            if wrong:
                return wrong
        at += length
    return ""


def _records(of: Records, counted: list[int]) -> str:
    if not of.columns:
        counted[0] += of.length
        return ""
    if not of.length:
        return "columns for no records"
    if len({c.name for c in of.columns}) < len(of.columns):
        return "a field has two columns"
    for column in of.columns:
        wrong = _malformed(column.values, counted)
        if wrong:
            return wrong
        found = columns.length(column.values)
        if found != of.length:
            return f"{found} values of field `{column.name}` for {of.length} records"
    return ""


def _repeated(keys: Sequence[str]) -> str:
    return "a key is there twice" if len(set(keys)) < len(keys) else ""
