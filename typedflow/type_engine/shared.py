"""The one registry of a process that annotations are read with, and where authors add types to it."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

from typedflow.type_engine import registry, transformers
from typedflow.type_engine.standard import standard

_Given = TypeVar(
    "_Given", bound="transformers.Transformer[Any, Any] | type[transformers.Transformer[Any, Any]]"
)


@functools.cache
def types() -> registry.TypeEngine:
    """The registry that the decorators use."""
    return standard()


def register_transformer(transformer: _Given) -> _Given:
    """Has values of a class travel by this transformer, from now on; gives back what it was given.

    As a decorator, or with a transformer that is made already. Every process that reads an annotation of the class must
    have registered it: call it in the module of the class, or in one that each such task's module imports.

    Raises:
        DefinitionError: it is for no class, for one that has another transformer or that typedflow itself takes, or its
            name is another type's.
    """
    types().register_transformer(transformers.check(transformer))
    return transformer
