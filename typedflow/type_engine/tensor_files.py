"""Tensors in a safetensors file, which any program that reads the format can read, and nothing in which is code.

What the format does not keep (the order of the tensors, which of them are one) is noted in its metadata. Must never
pickle, and never hand out memory that is shared with the stored file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine import conversion, files  # noqa: TID253 - a family of files itself
from typedflow.type_engine.data import Data

FORMAT = "safetensors"
TYPE: types_pb2.LiteralType = literal_types.file(FORMAT)

_NOTES = "typedflow"  # the one key of the metadata: several would be written in any order
_DTYPES = {
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64", "complex64"),
}


def check(value: Any, expected: types_pb2.LiteralType, path: str) -> None:
    """Raises ConversionError for what is not a tensor that can be given back as it is."""
    import torch

    if type(value) is not torch.Tensor:
        hint = ""
        if isinstance(value, torch.Tensor):
            hint = "write .detach(): what comes back is a torch.Tensor itself"
        elif type(value).__module__.partition(".")[0] == "numpy":
            hint = "write torch.from_numpy(...)"
        raise conversion.misfit(path, expected, value, hint=hint)
    if value.requires_grad:
        reason, hint = "it is part of a graph of gradients", "write .detach()"
    elif value.is_nested or value.layout is not torch.strided:
        reason, hint = f"its layout is {value.layout}", "write .to_dense(), or return its parts"
    elif value.is_quantized:
        reason, hint = "it is quantized", "write .dequantize(), or return its parts"
    elif value.is_meta:
        reason, hint = "it is on the device meta, and has no values", ""
    elif str(value.dtype).removeprefix("torch.") not in _DTYPES:
        reason, hint = (
            f"a safetensors file can't hold {value.dtype}",
            "give it another dtype, as with .to(...)",
        )
    else:
        return
    raise errors.ConversionError(f"the tensor can't be carried as it is: {reason}", where=path, hint=hint)


def write(
    tensors: Mapping[str, Any], notes: Mapping[str, object], name: str, data: Data
) -> literals_pb2.File:
    """Publishes checked tensors in one file. What is one tensor under several names is written once."""
    from safetensors import torch as safetensors_torch

    first: dict[object, str] = {}
    same: dict[str, str] = {}
    written: dict[str, Any] = {}
    storages: set[int] = set()
    for key, tensor in tensors.items():
        whole = _whole(tensor)
        if whole is not None and whole in first:
            same[key] = first[whole]
            continue
        if whole is not None:
            first[whole] = key
        plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        storage = plain.untyped_storage()
        if storage.data_ptr() in storages or storage.nbytes() != plain.nbytes:
            plain = plain.clone()
            storage = plain.untyped_storage()
        storages.add(storage.data_ptr())
        written[key] = plain
    told = json.dumps({"order": list(tensors), "same": same, **notes})
    with data.new_file(name) as file:
        safetensors_torch.save_file(written, file, metadata={_NOTES: told})
        blob = data.put_file(file)
    return literals_pb2.File(content=files.content(blob.digest, FORMAT), blob=blob, format=FORMAT, name=name)


def read(literal: literals_pb2.File, path: str, data: Data) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors in their order, on the CPU, and the notes; of another program's file, those in its own order.

    Raises:
        ConversionError: it is no safetensors file.
        IntegrityError: it is gone or damaged, or not what its content digest says.
    """
    if not literal.blob.digest:
        return _read(files.received(literal, data).path, path)
    files.check_content(literal, path)
    with data.checked_file(literal.blob) as file:
        return _read(file, path)


def _read(file: Path, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    import safetensors

    try:
        with safetensors.safe_open(file, framework="pt", device="cpu") as opened:
            metadata = opened.metadata() or {}
            found = {key: opened.get_tensor(key).clone() for key in opened.keys()}  # noqa: SIM118 - it is no dict
    except (safetensors.SafetensorError, AttributeError) as error:
        raise errors.ConversionError(f"it is no safetensors file: {error}", where=path) from None
    if _NOTES not in metadata:
        return found, {}
    try:
        notes = json.loads(metadata[_NOTES])
        same = notes["same"]
        return {key: found[same.get(key, key)] for key in notes["order"]}, notes
    except (ValueError, KeyError, TypeError, AttributeError):
        raise errors.ConversionError("the notes in the safetensors file are wrong", where=path) from None


def _whole(tensor: Any) -> object:
    """What two tensors have in common that are one; None for what has no elements."""
    if not tensor.numel():
        return None
    return (
        tensor.data_ptr(),
        tensor.device,
        tensor.dtype,
        tensor.shape,
        tensor.stride(),
        tensor.is_conj(),
        tensor.is_neg(),
    )
