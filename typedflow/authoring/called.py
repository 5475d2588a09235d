"""What can be called in a workflow's body: the ground that tasks, workflows and launch plans have in common.

In a body, a call makes nodes and gives promises. Anywhere else it runs here, or says why it can't.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, ParamSpec, Self, TypeAlias, TypeVar, cast

from typedflow import errors, identifiers
from typedflow.authoring import context, definitions, promise, signature, source, trace
from typedflow.compiler import diagnostics
from typedflow.pb import identifiers_pb2, launch_plans_pb2, tasks_pb2, workflows_pb2

P = ParamSpec("P")
R = TypeVar("R")
Message: TypeAlias = (
    tasks_pb2.TaskTemplate | workflows_pb2.CompiledWorkflow | launch_plans_pb2.CompiledLaunchPlan
)


class Called(ABC, Generic[P, R]):
    """Something with a typed signature that nodes can call.

    Attributes:
        kind: for messages: "task", "workflow", "launch plan".
        short_name: the last part of its name, which its nodes go by.
        terms: how the next call differs from what is usual.
    """

    kind: ClassVar[str]

    def __init__(self, short_name: str) -> None:
        self.short_name = short_name
        self.terms: trace.Call = trace.Call()
        self._original: object = self
        self._signature: signature.Signature | None = None

    @property
    def signature(self) -> signature.Signature:
        """What it takes and gives. Raises AlreadyTold when its definition has mistakes."""
        if self._signature is None:
            raise definitions.AlreadyTold(f"{self.what} has mistakes in its definition")
        return self._signature

    @property
    def broken(self) -> bool:
        """Its definition has mistakes, which were noted."""
        return self._signature is None

    @property
    @abstractmethod
    def name(self) -> str:
        """The full name, under which it is registered."""

    @property
    def what(self) -> str:
        """For messages: "task `train`"."""
        return f"{self.kind} `{self.short_name}`"

    @abstractmethod
    def reference(self) -> identifiers_pb2.Identifier:
        """Empty parts are those of whoever refers to it."""

    @abstractmethod
    def resolved(self) -> Message:
        """What the compiler gets when a template refers to it: a task's template, or what it made of the rest."""

    @property
    def original(self) -> object:
        """The definition, of whatever terms this is."""
        return self._original

    def is_same(self, other: Called[..., Any]) -> bool:
        """Whether both are one definition, on whatever terms; two definitions can have one name."""
        return self._original is other._original

    def after(self, *results: object) -> Self:
        """The same, for one call, to start only once those calls have succeeded: `train.after(checked)(df=df)`."""
        first = tuple(each for result in results for each in promise.of_result(result))
        return self.on_terms(dataclasses.replace(self.terms, after=self.terms.after + first))

    def on_terms(self, call: trace.Call) -> Self:
        """The same, called on these terms."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied.__dict__["terms"] = call
        return copied

    def named(self, name: str | None) -> trace.Call:
        """The terms with the author's name for the node. Raises DefinitionError for one that is not legal."""
        return (
            self.terms
            if name is None
            else dataclasses.replace(self.terms, name=node_name(name, "with_overrides"))
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        tracing = context.tracing()
        if tracing is not None:
            return cast(R, self.typedflow_call(tracing, args, kwargs))
        return cast(R, self.call_here(args, kwargs))

    @abstractmethod
    def typedflow_call(self, tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What a call in a body gives: promises of the outputs of the nodes that it makes."""

    @abstractmethod
    def call_here(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What a call outside of a body gives: real values."""

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


def node_name(name: str, what: str) -> str:
    """The author's name for a node, if it is legal. Raises DefinitionError."""
    wrong = identifiers.check_node_id(str(name))
    if wrong or "." in name:
        raise errors.DefinitionError(
            f"{what}(name={name!r}): {wrong or 'a dot belongs to sub-workflows'}",
            where=definitions.place(source.caller()),
            code=diagnostics.INVALID_NAME,
            hint="use letters, digits, `_` and `-`, a letter first",
        )
    return name


def body_of(what: str) -> trace.Trace:
    """The trace under way. Raises StateConflict where there is none."""
    tracing = context.tracing()
    if tracing is None:
        raise errors.StateConflict(
            f"{what} works in the body of a workflow only",
            where=definitions.place(source.caller()),
            hint="call it in a function under @workflow",
        )
    return tracing
