"""Where two messages differ, in a few words: for the error that says why a version is refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from google._upb._message import FieldDescriptor as UpbFieldDescriptor
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_LONGEST = 60

Field = FieldDescriptor | UpbFieldDescriptor


def describe(old: Message, new: Message, limit: int = 3) -> str:
    """The first differences, as in ``options.retry.retries: 2 became 3``; empty when there are none."""
    found = list(islice(_walk(old, new, ""), limit + 1))
    shown = "; ".join(found[:limit])
    return f"{shown}; and more" if len(found) > limit else shown


def _walk(old: Message, new: Message, path: str) -> Iterator[str]:
    if old == new:
        return
    for field in old.DESCRIPTOR.fields:
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after and _present(old, field) == _present(new, field):
            continue
        place = f"{path}.{field.name}" if path else field.name
        if field.is_repeated:
            yield from _walk_repeated(field, before, after, place)
        elif field.message_type is None:
            yield f"{place}: {_text(before)} became {_text(after)}"
        elif _present(old, field) and _present(new, field):
            yield from _walk(before, after, place)
        else:
            yield f"{place} was {'added' if _present(new, field) else 'removed'}"


def _walk_repeated(field: Field, before: list[Message], after: list[Message], place: str) -> Iterator[str]:
    if field.message_type is None:
        yield f"{place}: {_text(list(before))} became {_text(list(after))}"
        return
    if len(before) != len(after):
        yield f"{place}: {len(before)} became {len(after)}"
    for number, (one, other) in enumerate(zip(before, after, strict=False)):
        yield from _walk(one, other, f"{place}[{_label(other) or number}]")


def _label(message: Message) -> str:
    """What people call an element of a list: its name or node id."""
    for name in ("name", "variable", "id"):
        if name in message.DESCRIPTOR.fields_by_name:
            value = getattr(message, name)
            if isinstance(value, str):
                return value
            if isinstance(value, Message) and "name" in value.DESCRIPTOR.fields_by_name:
                return str(getattr(value, "name", ""))
    return ""


def _present(message: Message, field: Field) -> bool:
    return message.HasField(field.name) if field.has_presence else True


def _text(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
