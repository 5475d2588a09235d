"""Where two messages differ, part by part: for the error that says why a version is refused, and to compare versions.

Goes over both at once and knows nothing of what they mean: `Wording` says how parts are called and printed, and which
do not count. Takes time linear in the messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import Message

from typedflow.pb.registry_pb2 import Difference

if TYPE_CHECKING:
    from google._upb._message import FieldDescriptor as UpbFieldDescriptor
    from google.protobuf.descriptor import FieldDescriptor

    Field = FieldDescriptor | UpbFieldDescriptor

_LONGEST = 60


class Wording(Protocol):
    """How the parts of messages are called and printed."""

    def counts(self, path: str, field: str) -> bool:
        """Whether a field of the part at `path` is looked at."""

    def step(self, message: str, field: str) -> str:
        """What a field of a kind of message is called in paths; empty: its parts are those of what holds it."""

    def is_whole(self, message: Message) -> bool:
        """Whether a message is told as one, and not part by part."""

    def same(self, old: Message, new: Message) -> bool:
        """Whether two messages that are told as one are the same to people."""

    def text(self, message: Message, path: str) -> str:
        """A message in a few words."""

    def apart(self, old: Message, new: Message) -> str:
        """What the new one of two that read the same is, in contrast to the old one; empty: nothing is known of it."""


def between(old: Message, new: Message, wording: Wording, path: str = "") -> Iterator[Difference]:
    """Every difference between two messages of one kind, in the order of their fields."""
    if old == new:
        return
    for field in _set_fields(old, new):
        if not wording.counts(path, field.name):
            continue
        before, after = getattr(old, field.name), getattr(new, field.name)
        place = _joined(path, wording.step(old.DESCRIPTOR.name, field.name))
        if field.is_repeated and field.message_type is not None:
            yield from of_lists(before, after, wording, place)
        elif field.is_repeated:
            if before != after:
                yield Difference(path=place, old=_listed(field, before), new=_listed(field, after))
        elif field.message_type is not None:
            there = old.HasField(field.name), new.HasField(field.name)
            yield from _of_parts(before if there[0] else None, after if there[1] else None, wording, place)
        else:
            texts = [
                "" if field.has_presence and not each.HasField(field.name) else _scalar(field, value)
                for each, value in ((old, before), (new, after))
            ]
            if texts[0] != texts[1]:
                yield Difference(path=place, old=texts[0], new=texts[1])


def of_lists(
    old: Iterable[Message], new: Iterable[Message], wording: Wording, path: str
) -> Iterator[Difference]:
    """The differences of elements that go by their names; where they have none, by their places."""
    before, after = _by_label(old, new)
    for label, element in after.items():
        yield from _of_parts(before.get(label), element, wording, _joined(path, label))
    for label, element in before.items():
        if label not in after:
            yield from _of_parts(element, None, wording, _joined(path, label))


def describe(old: Message, new: Message, wording: Wording, limit: int = 3) -> str:
    """The first differences, as in ``options.retry.retries: 2 became 3``; empty when there are none."""
    found = list(islice(between(old, new, wording), limit + 1))
    shown = "; ".join(map(_sentence, found[:limit]))
    return f"{shown}; and more" if len(found) > limit else shown


def cut(text: str, longest: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _of_parts(old: Message | None, new: Message | None, wording: Wording, path: str) -> Iterator[Difference]:
    if old is None or new is None:
        if old is not None or new is not None:
            yield Difference(
                path=path,
                old=(wording.text(old, path) or "{}") if old is not None else "",
                new=(wording.text(new, path) or "{}") if new is not None else "",
            )
    elif not wording.is_whole(new):
        yield from between(old, new, wording, path)
    elif not wording.same(old, new):
        texts = wording.text(old, path), wording.text(new, path)
        after = wording.apart(old, new) if texts[0] == texts[1] else ""
        yield Difference(path=path, old=texts[0], new=after or texts[1])


def _set_fields(old: Message, new: Message) -> list[Field]:
    """The fields that one of them has, in order."""
    found = {field.number: field for message in (old, new) for field, _ in message.ListFields()}
    return [found[number] for number in sorted(found)]


def _by_label(
    old: Iterable[Message], new: Iterable[Message]
) -> tuple[Mapping[str, Message], Mapping[str, Message]]:
    """The elements of two lists by what they are called, or by their places where that is not one for each."""
    lists = list(old), list(new)
    before, after = ({_label(element): element for element in elements} for elements in lists)
    if len(before) < len(lists[0]) or len(after) < len(lists[1]) or "" in before or "" in after:
        before, after = ({str(n): element for n, element in enumerate(elements)} for elements in lists)
    return before, after


def _label(message: Message) -> str:
    """What people call an element of a list: its name or node id."""
    for name in ("name", "variable", "id", "launch_plan", "key"):
        if name in message.DESCRIPTOR.fields_by_name:
            value = getattr(message, name)
            if isinstance(value, str):
                return value
            if isinstance(value, Message):
                return _label(value)
    return ""


def _joined(path: str, step: str) -> str:
    return f"{path}.{step}" if path and step else path or step


def _listed(field: Field, values: Iterable[object]) -> str:
    return ", ".join(_scalar(field, value) for value in values)


def _scalar(field: Field, value: object) -> str:
    if field.enum_type is not None and isinstance(value, int):
        values = field.enum_type.values_by_number
        prefix = values[0].name.removesuffix("UNSPECIFIED")
        return values[value].name.removeprefix(prefix) if value in values else str(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sentence(difference: Difference) -> str:
    old, new = (cut(each, _LONGEST) for each in (difference.old, difference.new))
    if old and new:
        return f"{difference.path}: {old} became {new}"
    return f"{difference.path} was {'added' if new else 'removed'}: {new or old}"
