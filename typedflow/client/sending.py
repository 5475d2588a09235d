"""Inputs of a launch on their way out: Python values as plain ones, with literals where there is no plain form.

JSON is converted by the server, which knows the types. A file, a frame, an array, a zone's time and what else JSON has
no form for goes as a literal, and its bytes are uploaded before.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from typedflow import errors, interface, literal_types, literals, type_engine
from typedflow.authoring import signature
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.literals_pb2 import Literal, LiteralMap
from typedflow.pb.types_pb2 import LiteralType


def plain(value: Any, path: str, data: type_engine.Data) -> tuple[object, bool]:
    """The plain value, and whether it is one all through: JSON says all of it.

    Raises:
        ConversionError: something in it is of no type that is known; names the path.
    """
    return _Plain(data).of(value, path)


def literal(value: object, target: LiteralType, path: str) -> Literal:
    """What `plain` gave as a value of a type. Raises ConversionError."""
    return literals.from_json(value, target, path)


def written(
    inputs: Mapping[str, Any],
    data: type_engine.Data,
    plan: Callable[[], CompiledLaunchPlan],
    *,
    partly: bool = False,
) -> tuple[LiteralMap, str]:
    """The inputs of a launch as its request has them: literals, and the JSON of the others.

    Args:
        inputs: Python values by name.
        data: where the bytes of those that have any go.
        plan: what is launched, which is asked for when JSON does not say everything.
        partly: they are some of the inputs; those that are not given are somebody else's to give.

    Raises:
        ConversionError: what is given is of no type that is known; or does not fit, which names all that doesn't.
    """
    made = {name: _Plain(data).of(value, name) for name, value in inputs.items()}
    unpacked = {name: value for name, (value, _) in made.items()}
    if all(is_plain for _, is_plain in made.values()):
        return LiteralMap(), json.dumps(unpacked)
    compiled = plan()
    fixed = {each.name for each in compiled.launch_plan.fixed_inputs.values}
    given = {name: value for name, value in unpacked.items() if name not in fixed}
    taken = Interface()
    taken.CopyFrom(compiled.interface)
    if partly:
        del taken.inputs[:]
        taken.inputs.extend(each for each in compiled.interface.inputs if each.name in given)
    bound = interface.bind(taken, LiteralMap(), json=given)
    result = LiteralMap(values=[each for each in bound.values if each.name in given])
    for name in unpacked.keys() & fixed:  # the server knows what to say of them
        result.values.add(name=name)
    return result, ""


class _Plain:
    """Makes a value plain."""

    def __init__(self, data: type_engine.Data) -> None:
        self._data = data
        self._around: set[int] = set()  # the containers that a value is in, which it must not hold itself

    def of(self, value: Any, path: str) -> tuple[object, bool]:
        """The plain value, and whether it is one all through: JSON says all of it.

        Raises:
            ConversionError: something in it is of no type that is known; names the path.
        """
        try:
            return self._of(value, path)
        except RecursionError:
            raise errors.ConversionError("it is nested too deep", where=path) from None

    def _of(self, value: Any, path: str) -> tuple[object, bool]:
        if value is None or type(value) in (bool, int, float, str):
            return value, True
        if _is_numpy_scalar(value):
            return value.item(), True
        if isinstance(value, (int, float, str)) and not isinstance(value, enum.Enum):
            return value, True
        fields = _fields(value)
        if fields is None and not _is_listed(value):
            return self._typed(value, path), False
        if id(value) in self._around:
            raise errors.ConversionError("it holds itself", where=path)
        self._around.add(id(value))
        try:
            return self._list(value, path) if fields is None else self._object(value, fields, path)
        finally:
            self._around.discard(id(value))

    def _list(self, value: Any, path: str) -> tuple[object, bool]:
        made = [self._of(each, f"{path}[{i}]") for i, each in enumerate(value)]
        return [each for each, _ in made], all(plain for _, plain in made)

    def _object(self, value: Any, fields: Mapping[Any, Any], path: str) -> tuple[object, bool]:
        other = next((name for name in fields if not isinstance(name, str)), None)
        if other is not None:
            raise errors.ConversionError(
                f"the key {other!r} is no str", where=path, hint="the keys of a dict are str"
            )
        of_dict = isinstance(value, Mapping)
        made = {
            name: self._of(each, f"{path}[{json.dumps(name)}]" if of_dict else f"{path}.{name}")
            for name, each in fields.items()
        }
        return {name: each for name, (each, _) in made.items()}, all(plain for _, plain in made.values())

    def _typed(self, value: Any, path: str) -> Callable[[LiteralType], Literal]:
        """What a value's class says that it is: a file, a frame, a date, a member of an Enum."""
        if isinstance(value, Path):
            from typedflow.type_engine import directories  # noqa: PLC0415 - most launches give no folder

            value = directories.Directory(value) if value.is_dir() else type_engine.File(value)
        kind = datetime if isinstance(value, datetime) else type(value)
        try:
            signature.types().converter(kind)
        except errors.DefinitionError as error:
            raise errors.ConversionError(error.message, where=path, hint=error.hint) from None

        @functools.cache
        def of_format(name: str) -> Literal:
            annotation = Annotated[kind, type_engine.Format(name)] if name else kind
            return signature.types().converter(annotation).to_literal(value, "", self._data)

        return lambda target: of_format(_format(value, target))


def _format(value: Any, target: LiteralType) -> str:
    """The format that a type declares for a file or a folder that is made here: that is what it has then."""
    kind = {"File": "file", "Directory": "directory"}.get(type(value).__name__)
    declared = [
        each.file.format or each.directory.format
        for each in literal_types.variants(target) or [target]
        if each.WhichOneof("type") == kind
    ]
    return declared[0] if declared and "" not in declared else ""


def _is_listed(value: Any) -> bool:
    """Whether its parts go by place: a list, or what is gone through once."""
    return isinstance(value, (list, tuple, Iterator)) and not isinstance(value, io.IOBase)


def _fields(value: Any) -> Mapping[Any, Any] | None:
    """The parts of a value that go by name; None when it has none."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    if isinstance(value, type) or _is_custom(type(value)):
        return None
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if hasattr(type(value), "model_fields"):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return None


def _is_custom(kind: type) -> bool:
    """Whether a transformer says how its values travel, be it a dataclass or not."""
    try:
        return signature.types().converter(kind).type.HasField("custom")
    except errors.DefinitionError:
        return False


def _is_numpy_scalar(value: Any) -> bool:
    return type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0
