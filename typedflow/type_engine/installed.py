"""Transformers that installed distributions bring, by the entry points of the group `typedflow.transformers`.

An entry point's name is the class that it is for, module and qualified name; its value a `Transformer`, class or
instance. Must never load one that no annotation asks for.
"""

from __future__ import annotations

import functools
from importlib import metadata
from typing import Any

from typedflow import errors
from typedflow.type_engine import alternatives, transformers

GROUP = "typedflow.transformers"


def find(of: type) -> transformers.Transformer[Any, Any] | None:
    """The transformer that a distribution has for a class; None where none has one.

    Raises:
        DefinitionError: it can't be loaded, is something else, or several have one; names the distributions.
    """
    name = alternatives.qualified_name(of)
    offers = _offers().get(name, ())
    if not offers:
        return None
    if len(offers) > 1:
        message = f"{' and '.join(sorted(map(_distribution, offers)))} each have a transformer of {name}"
        raise _broken(message, "uninstall all but one, or register the one that you want")
    offer = offers[0]
    whose = f"the transformer of {name} in {_distribution(offer)} ({offer.value})"
    hint = "install a version of it that works, or uninstall it"
    try:
        transformer = transformers.check(offer.load())
    except errors.DefinitionError as error:
        raise _broken(f"{whose} can't be used: {error.message}", hint) from error
    except Exception as error:
        raise _broken(f"{whose} can't be loaded: {type(error).__name__}: {error}", hint) from error
    if transformer.python_type is not of:
        raise _broken(f"{whose} is for {alternatives.text(transformer.python_type)}", hint)
    return transformer


@functools.cache
def _offers() -> dict[str, tuple[metadata.EntryPoint, ...]]:
    """All entry points of the group, read once in a process."""
    found: dict[str, tuple[metadata.EntryPoint, ...]] = {}
    for each in metadata.entry_points(group=GROUP):
        found[each.name] = (*found.get(each.name, ()), each)
    return found


def _distribution(offer: metadata.EntryPoint) -> str:
    return f"{offer.dist.name} {offer.dist.version}" if offer.dist else "a distribution without a name"


def _broken(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
