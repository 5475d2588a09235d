"""`torch.Tensor`, and `dict[str, torch.Tensor]`, which is what `state_dict()` gives: one safetensors file each.

A tensor comes back on the CPU, contiguous, with every bit of its elements. A state dict comes back in its order, with
tensors that are one still one, and with what it says of versions. Must never pickle.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion, tensor_files
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine

_KEY = "tensor"


def tensor_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `torch.Tensor`. Raises DefinitionError where safetensors is not installed."""
    require()
    return TensorConverter(annotation)


def require() -> None:
    """Raises DefinitionError where safetensors is not installed."""
    from importlib import util  # noqa: PLC0415 - no other type asks for it

    if util.find_spec("safetensors") is None:
        raise errors.DefinitionError(
            "tensors travel as safetensors, which is not installed",
            hint="pip install 'typedflow[torch]'",
            code="UnsupportedType",
        )


class TensorConverter(conversion.Converter):
    """Dense tensors of any shape."""

    whole = True

    def __init__(self, cls: type) -> None:
        self.type = literal_types.custom("torch.Tensor", tensor_files.TYPE)
        self.kind = cls

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        tensor_files.check(value, self.type, path)
        data.require(path, "a tensor")
        return literals_pb2.Literal(file=tensor_files.write({_KEY: value}, {}, "tensor.safetensors", data))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "file":
            raise conversion.mismatch(path, self.type, literal)
        found, _ = tensor_files.read(literal.file, path, data)
        if len(found) != 1:
            message = f"expected a safetensors file of one tensor, and this has {len(found)}"
            raise errors.ConversionError(message, where=path, hint="dict[str, torch.Tensor] takes many")
        return next(iter(found.values()))

    def keyed(self) -> conversion.Converter:
        return StateDictConverter()


class StateDictConverter(conversion.Converter):
    """Tensors by name. An `OrderedDict`, as `state_dict()` gives it, comes back as one."""

    def __init__(self) -> None:
        self.type = literal_types.custom("dict[str, torch.Tensor]", tensor_files.TYPE)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if not self.is_exact(value):
            raise conversion.misfit(path, self.type, value)
        for key, tensor in value.items():
            if type(key) is not str:
                raise conversion.misfit(path, literal_types.STRING, key, reason="it is a key")
            tensor_files.check(tensor, self.type, f"{path}{conversion.key_step(key)}")
        data.require(path, "a dict of tensors")
        notes: dict[str, object] = {}
        if type(value) is OrderedDict:
            notes = {"ordered": True, "versions": _versions(value, path)}
        return literals_pb2.Literal(file=tensor_files.write(value, notes, "state_dict.safetensors", data))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> dict[str, Any]:
        if literal.WhichOneof("value") != "file":
            raise conversion.mismatch(path, self.type, literal)
        found, notes = tensor_files.read(literal.file, path, data)
        if not notes.get("ordered"):
            return found
        ordered = OrderedDict(found)
        if notes.get("versions") is not None:
            vars(ordered)["_metadata"] = OrderedDict(notes["versions"])
        return ordered

    def is_exact(self, value: Any) -> bool:
        return type(value) in {dict, OrderedDict}


def _versions(state: Any, path: str) -> object:
    """What `state_dict()` notes of the versions of modules."""
    said = getattr(state, "_metadata", None)
    if said is None:
        return None
    try:
        if json.loads(json.dumps(said)) == dict(said):
            return dict(said)
    except (TypeError, ValueError):
        pass
    hint = "return dict(...) of it, which leaves them out"
    raise errors.ConversionError("its notes on versions are no plain values", where=path, hint=hint)
