"""Whether a module that is made anew would be the same as another, once it has its state.

Compares all that a state dict does not hold: the parts and their classes, plain attributes, hooks, which parameters are
one, buffers that are not saved. What can't be compared is different.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def difference(module: Any, fresh: Any) -> str:
    """What would be different, in words; nothing where nothing would."""
    parts, made = dict(module.named_modules()), dict(fresh.named_modules())
    if parts.keys() != made.keys():
        odd = min(parts.keys() ^ made.keys())
        return f"`{odd}` is {'not made by __init__' if odd in parts else 'missing in it'}"
    for name, part in parts.items():
        said = _part(part, made[name])
        if said:
            return f"{f'`{name}` ' if name else 'it '}{said}"
    return _tensors(module, fresh)


def cast(module: Any, state: Mapping[str, Any]) -> None:
    """Gives the parameters and buffers of a module the dtypes of a state that it will load."""
    for name, tensor in module.state_dict(keep_vars=True).items():
        wanted = state.get(name)
        if wanted is not None and tensor.dtype != wanted.dtype:
            tensor.data = tensor.data.to(wanted.dtype)


def _part(one: Any, other: Any) -> str:
    if type(one) is not type(other):
        return f"is a {type(one).__name__}, and is made a {type(other).__name__}"
    mine, its = vars(one), vars(other)
    for name in sorted(mine.keys() ^ its.keys()):
        return f"has an attribute `{name}` that {'__init__ does not set' if name in mine else 'it had when made'}"
    for name, value in mine.items():
        if name in {"training", "_parameters", "_buffers", "_modules"}:
            continue
        if name.endswith("_hooks"):
            if len(value or ()) != len(its[name] or ()):
                return "has hooks"
        elif not _same(value, its[name]):
            return f"has an attribute `{name}` that is not what __init__ makes it"
    return ""


def _tensors(module: Any, fresh: Any) -> str:
    state, made = module.state_dict(), fresh.state_dict()
    if state.keys() != made.keys():
        return f"its state has other names: {min(state.keys() ^ made.keys())!r}"
    for name, tensor in state.items():
        if tensor.shape != made[name].shape:
            return f"`{name}` has the shape {tuple(tensor.shape)}, and is made {tuple(made[name].shape)}"
    if _ties(module) != _ties(fresh):
        return "other parameters of it are one and the same"
    buffers = dict(fresh.named_buffers(remove_duplicate=False))
    for name, buffer in module.named_buffers(remove_duplicate=False):
        if name not in state and not _same(buffer, buffers.get(name)):
            return f"the buffer `{name}` is not saved, and is not what __init__ makes it"
    return ""


def _ties(module: Any) -> list[tuple[str, ...]]:
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return sorted(tuple(each) for each in names.values())


def _same(one: Any, other: Any) -> bool:
    """Whether two attributes are equal; those of which that can't be said are not."""
    import torch

    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return bool(alike and torch.equal(one.detach().cpu(), other.detach().cpu()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    code = getattr(one, "__code__", None)
    if code is not None:  # a function that __init__ makes; what it has taken in is compared too
        return bool(code is other.__code__) and _same(_taken(one), _taken(other))
    if isinstance(one, float) and one != one:  # noqa: PLR0124 - NaN is what is meant
        return bool(other != other)  # noqa: PLR0124
    try:
        return (one == other) is True
    except Exception:  # noqa: BLE001 - what can't be compared
        return False


def _taken(function: Any) -> list[Any]:
    """What a function has beside its code."""
    return [
        *(cell.cell_contents for cell in function.__closure__ or ()),
        function.__defaults__,
        function.__kwdefaults__,
    ]
