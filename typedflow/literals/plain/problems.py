"""What is wrong with the parts of a value, as marshmallow's errors nest it, and the path to each part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import marshmallow  # noqa: TID253 - only `fields` imports this module

from typedflow.literals import scalars

if TYPE_CHECKING:
    from collections.abc import Hashable, ItemsView, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one value."""

    message: str
    code: str = ""


class Key(str):
    """A key of a dict in a path, which a field of a record is not."""

    __slots__ = ()


def flat(messages: object, path: str) -> Iterator[tuple[str, Problem]]:
    """Each problem in an error's messages, with the path to its place."""
    if isinstance(messages, dict):
        for step, inner in messages.items():
            yield from flat(inner, path + shown(step))
    elif isinstance(messages, list):
        yield from ((path, problem) for problem in messages)


def shown(step: object) -> str:
    """One step of a path."""
    if isinstance(step, int):
        return f"[{step}]"
    name = str(step)
    return f".{name}" if name.isidentifier() and not isinstance(step, Key) else f"[{scalars.quote(name)}]"


def wrong(messages: Mapping[object, object]) -> marshmallow.ValidationError:
    """What to raise for parts that do not fit, by their place."""
    return marshmallow.ValidationError(messages)  # type: ignore[arg-type]  # it takes keys of any type


def by_place(error: marshmallow.ValidationError) -> ItemsView[Hashable, object] | tuple[()]:
    """What does not fit of a value's parts."""
    return error.messages.items() if isinstance(error.messages, dict) else ()


def count(error: marshmallow.ValidationError) -> int:
    """How many problems it has."""
    return sum(1 for _ in flat(error.messages, ""))
