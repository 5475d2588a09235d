"""Tuples of as many elements as their annotation says: `tuple[A, B]`, `tuple[()]`.

They are records whose fields go by their places. `tuple[T, ...]` is a sequence, and is made where lists are.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from typedflow import errors, literal_types
from typedflow.type_engine import containers, conversion, records

if TYPE_CHECKING:
    from typedflow.type_engine.conversion import Place
    from typedflow.type_engine.registry import TypeEngine


def tuple_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of `tuple[A, B]`, `tuple[()]` or `tuple[T, ...]`."""
    if annotation is tuple or annotation is typing.Tuple:  # noqa: UP006 - as authors may write it
        message, hint = (
            "a tuple must say what it holds",
            "annotate it, as in `tuple[int, str]` or `tuple[int, ...]`",
        )
        raise errors.DefinitionError(message, hint=hint, code="UnsupportedType")
    arguments = get_args(annotation)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return containers.SequenceConverter(engine.converter(arguments[0]), tuple)
    return TupleConverter([engine.converter(argument) for argument in arguments])


class TupleConverter(records.RecordConverter):
    """A plain tuple; a NamedTuple is refused, since it would come back as a plain one."""

    kind, whole = tuple, False

    def __init__(self, elements: Sequence[conversion.Converter]) -> None:
        super().__init__(
            {str(i): element for i, element in enumerate(elements)},
            literal_types.tuple_of(*(element.type for element in elements)),
        )
        self._elements = tuple(elements)

    def is_exact(self, value: Any) -> bool:
        if type(value) is not tuple or len(value) != len(self._elements):
            return False
        return all(element.is_exact(each) for element, each in zip(self._elements, value, strict=True))

    def _check(self, value: Any, path: str) -> None:
        if type(value) is tuple and len(value) == len(self._elements):
            return
        reason, hint = "", ""
        if isinstance(value, tuple):
            wanted = "1 element" if len(self._elements) == 1 else f"{len(self._elements)} elements"
            reason = "" if len(value) == len(self._elements) else f"it must have {wanted}, not {len(value)}"
            hint = "" if reason else "write tuple(...)"
        elif isinstance(value, list):
            hint = "write tuple(...)"
        raise conversion.misfit(path, self.type, value, reason, hint)

    def _cells(self, values: Sequence[Any], place: Place) -> Sequence[Sequence[Any]]:
        for i, value in enumerate(values):
            if type(value) is not tuple or len(value) != len(self._elements):
                self._check(value, place(i))
        return list(zip(*values, strict=True))

    def _made(self, cells: Mapping[str, Sequence[Any]], count: int, place: Place) -> list[Any]:
        return list(zip(*cells.values(), strict=True)) if cells else [()] * count

    def _step(self, name: str) -> str:
        return f"[{name}]"
