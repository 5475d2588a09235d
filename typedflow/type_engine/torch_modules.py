"""`torch.nn.Module`: a class of the author's, by the arguments that it was made with and its state.

A module travels as the arguments of its `__init__`, which are read from its attributes of the same names, and its state
dict. It is made anew from them at once, and whatever would come back different is an error: nothing of a module is lost
silently. Must never pickle, nor make a class that the annotation does not name.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import alternatives, conversion, tensor_files, torch_comparison, torch_tensors
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine

_STATE = "state_dict"
_OTHERWISE = "return its state_dict() as dict[str, torch.Tensor], or register a Transformer of the class"


def module_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of a class of modules. Raises DefinitionError for arguments that have no type."""
    torch_tensors.require()
    name = alternatives.text(annotation)
    if annotation.__module__ == "torch.nn.modules.module":
        raise _unsupported(f"{name} is any module", f"name its class, or {_OTHERWISE}")
    try:
        hints = typing.get_type_hints(annotation.__init__, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise _unsupported(f"the types of `{name}.__init__` can't be read: {error}", _OTHERWISE) from None
    converters, optional = {}, []
    for each in list(inspect.signature(annotation.__init__).parameters.values())[1:]:
        if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY}:
            raise _unsupported(f"`{each}` of `{name}.__init__` can't be given by name", _OTHERWISE)
        if each.name not in hints:
            if each.default is each.empty:
                raise _unsupported(
                    f"`{each.name}` of `{name}.__init__` has no type", f"annotate it, or {_OTHERWISE}"
                )
            continue
        try:
            converters[each.name] = engine.converter(hints[each.name])
        except errors.DefinitionError as error:
            message = f"`{each.name}` of `{name}.__init__`: {error.message}"
            raise errors.DefinitionError(message, hint=error.hint or _OTHERWISE, code=error.code) from None
        if each.default is not each.empty:
            optional.append(each.name)
    if _STATE in converters:
        raise _unsupported(
            f"`{name}.__init__` takes a `{_STATE}`, which is what its state goes by", _OTHERWISE
        )
    return ModuleConverter(annotation, converters, optional)


class ModuleConverter(conversion.Converter):
    """The modules of one class, not of its subclasses."""

    whole = True

    def __init__(self, cls: type, arguments: Mapping[str, conversion.Converter], optional: list[str]) -> None:
        self._class = self.kind = cls
        self._name = alternatives.text(cls)
        self._arguments = arguments
        self._optional = frozenset(optional)
        fields = {name: converter.type for name, converter in arguments.items()}
        travels = literal_types.record(cls.__name__, {**fields, _STATE: tensor_files.TYPE}, optional=optional)
        self.type = literal_types.custom(self._name, travels)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if type(value) is not self._class:
            raise conversion.misfit(path, self.type, value)
        given, fields = {}, []
        for name, converter in self._arguments.items():
            if hasattr(value, name):
                try:
                    literal = converter.to_literal(getattr(value, name), f"{path}.{name}", data)
                except errors.ConversionError:
                    if name not in self._optional:
                        raise
                    continue  # another thing of the same name: should the default not do, comparison tells
                given[name] = getattr(value, name)
                fields.append(literals_pb2.FieldValue(name=name, value=literal))
            elif name not in self._optional:
                hint = f"keep it, as in `self.{name} = {name}`, or {_OTHERWISE}"
                raise errors.ConversionError(
                    f"it has no attribute `{name}` to be made with", where=path, hint=hint
                )
        state, notes = self._state(value, given, path)
        data.require(path, "a module")
        file = tensor_files.write(state, notes, "module.safetensors", data)
        fields.append(literals_pb2.FieldValue(name=_STATE, value=literals_pb2.Literal(file=file)))
        return literals_pb2.Literal(record=literals_pb2.Record(fields=fields))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        given = {field.name: field.value for field in literal.record.fields}
        if _STATE not in given or given[_STATE].WhichOneof("value") != "file":
            raise conversion.mismatch(path, self.type, literal)
        arguments = {
            name: converter.from_literal(given[name], f"{path}.{name}", data)
            for name, converter in self._arguments.items()
            if name in given
        }
        module = self._make(arguments, path)
        state, notes = tensor_files.read(given[_STATE].file, f"{path}.{_STATE}", data)
        try:
            torch_comparison.cast(module, state)
            module.load_state_dict(state, strict=True)
            resting, frozen = set(notes.get("resting", ())), set(notes.get("frozen", ()))
        except (RuntimeError, TypeError) as error:
            raise errors.ConversionError(
                f"{self._name} does not take this state: {error}",
                where=path,
                hint="has its code changed since? Run again the task that made it",
            ) from None
        for name, part in module.named_modules():
            part.training = name not in resting
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in frozen)
        return module

    def _state(
        self, module: Any, arguments: dict[str, Any], path: str
    ) -> tuple[dict[str, Any], dict[str, object]]:
        """The state, and what else there is of a module that comes back as it is. Raises ConversionError."""
        state = dict(module.state_dict())
        for name, tensor in state.items():
            tensor_files.check(tensor, self.type, f"{path}{conversion.key_step(name)}")
        different = torch_comparison.difference(module, self._make(arguments, path))
        if different:
            message = f"this {self._name} would come back different: {different}"
            raise errors.ConversionError(message, where=path, hint=_OTHERWISE)
        return state, {
            "resting": [name for name, part in module.named_modules() if not part.training],
            "frozen": [name for name, each in module.named_parameters() if not each.requires_grad],
        }

    def _make(self, arguments: dict[str, Any], path: str) -> Any:
        """A new module, without a step of the random numbers that the task draws. Raises ConversionError."""
        import torch

        try:
            with torch.random.fork_rng(devices=[]):
                return self._class(**arguments)
        except Exception as error:  # noqa: BLE001 - an author's __init__ may raise anything
            raise conversion.refused(path, self.type, self._name, error) from None


def _unsupported(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
