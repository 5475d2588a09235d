"""The annotations of a class's fields, with the arguments of a generic class put in: `Box[int]` has fields of int.

Must never guess what a type variable stands for: what is left open is refused where its converter is asked for.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from typedflow import errors
from typedflow.type_engine import alternatives

_WRAPPERS = frozenset({"Final", "ReadOnly", "Required", "NotRequired"})


def of(annotation: Any) -> dict[str, Any]:
    """The fields' annotations by name, from a class or from a generic one with arguments.

    Raises DefinitionError when they can't be read.
    """
    cls = get_origin(annotation) or annotation
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        message = f"the fields' types of `{cls.__name__}` can't be read: {error}"
        hint = "import it, or define it, in the class's module"
        raise errors.DefinitionError(message, hint=hint, code="UnsupportedType") from None
    arguments: dict[Any, Mapping[Any, Any]] = {}
    _collect(annotation, {}, arguments)
    if not any(arguments.values()):
        return hints
    owners = _owners(cls, arguments)
    return {name: _filled(hint, arguments.get(owners.get(name), {})) for name, hint in hints.items()}


def name(annotation: Any) -> str:
    """The name of a class, with its arguments: `Layer`, `Box[int]`."""
    cls = get_origin(annotation)
    if cls is None:
        return str(annotation.__name__)
    return f"{cls.__name__}[{', '.join(map(_short, get_args(annotation)))}]"


def _short(argument: Any) -> str:
    if isinstance(argument, type) and get_origin(argument) is None:
        return argument.__name__
    return alternatives.text(argument)


def unwrapped(hint: Any) -> tuple[Any, frozenset[str]]:
    """A field's annotation without what says something of the field and not of its value, and the names of that."""
    found = set()
    metadata: list[Any] = []
    while True:
        origin = get_origin(hint)
        if origin is typing.Annotated:
            hint, *more = get_args(hint)
            metadata = [*more, *metadata]
            continue
        wrapper = getattr(origin, "_name", None)
        if wrapper not in _WRAPPERS:
            break
        found.add(wrapper)
        (hint,) = get_args(hint)
    # `Annotated[T, *metadata]` is no expression of Python 3.10's grammar for types, but subscribing with a tuple is.
    return (typing.Annotated[(hint, *metadata)] if metadata else hint), frozenset(found)


def _collect(annotation: Any, outer: Mapping[Any, Any], into: dict[Any, Mapping[Any, Any]]) -> None:
    """What the type variables of a class and of each of its bases stand for, as seen from an annotation."""
    cls = get_origin(annotation) or annotation
    given = [_filled(argument, outer) for argument in get_args(annotation)]
    parameters = getattr(cls, "__parameters__", ())
    mine = dict(zip(parameters, given, strict=False)) if len(parameters) == len(given) else {}
    if cls in into and not mine:
        return
    into[cls] = mine
    for base in getattr(cls, "__orig_bases__", getattr(cls, "__bases__", ())):
        if (get_origin(base) or base) not in (typing.Generic, object):
            _collect(base, mine, into)


def _owners(cls: Any, known: Mapping[Any, Any]) -> dict[str, Any]:
    """The class in which each field was declared last."""
    # A TypedDict's bases are not in its method resolution order, so all known classes are looked at, nearest last.
    order = [*reversed(list(known)), *reversed(cls.__mro__)]
    return {name: each for each in order for name in inspect.get_annotations(each)}


def _filled(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    """The annotation with type variables replaced by what they stand for, where that is known."""
    if isinstance(hint, typing.TypeVar):
        return arguments.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    if (isinstance(hint, type) and get_origin(hint) is None) or not parameters:
        return hint  # a generic class without arguments says nothing of ours
    return hint[tuple(arguments.get(parameter, parameter) for parameter in parameters)]
