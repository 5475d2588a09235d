"""Constants where a body handles promises: what a sub-workflow is given, or gives, and is known already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typedflow import errors, literals
from typedflow.authoring.condition import Condition
from typedflow.authoring.promise import Origin, Promise, is_known, path_text, step_text
from typedflow.compiler import diagnostics
from typedflow.pb import literals_pb2, types_pb2, workflows_pb2

_MIRRORED = {
    workflows_pb2.OPERATOR_LESS: workflows_pb2.OPERATOR_GREATER,
    workflows_pb2.OPERATOR_LESS_OR_EQUAL: workflows_pb2.OPERATOR_GREATER_OR_EQUAL,
    workflows_pb2.OPERATOR_GREATER: workflows_pb2.OPERATOR_LESS,
    workflows_pb2.OPERATOR_GREATER_OR_EQUAL: workflows_pb2.OPERATOR_LESS_OR_EQUAL,
}


class Constant(Promise):
    """A value that a sub-workflow is given, or gives, and that is known already.

    To the body it is what a promise is, so that what can be written in a workflow does not depend on who calls it.
    """

    __slots__ = ("_literal",)

    def __init__(
        self,
        origin: Origin,
        name: str,
        literal: literals_pb2.Literal,
        type_: types_pb2.LiteralType,
        annotation: Any,
        nodes: Sequence[str] = (),
    ) -> None:
        super().__init__(origin, workflows_pb2.Promise(variable=name), type_, annotation, nodes)
        self._literal = literal

    def typedflow_bind(self, target: workflows_pb2.BindingValue) -> None:
        target.literal.CopyFrom(self.typedflow_origin.keep(self._literal))

    def typedflow_taken_as(
        self, type_: types_pb2.LiteralType, annotation: Any, nodes: Sequence[str] | None = None
    ) -> Promise:
        kept = self.typedflow_nodes if nodes is None else nodes
        name = self.typedflow_promise.variable
        return Constant(self.typedflow_origin, name, self._literal, type_, annotation, kept)

    def _compare(self, operator: workflows_pb2.Operator.ValueType, other: object) -> Condition:
        """With what is promised on the left, as a plain constant has it: Python asks a subclass first."""
        if isinstance(other, Promise) and not isinstance(other, Constant):
            return other._compare(_MIRRORED.get(operator, operator), self)  # noqa: SLF001 - of the same family
        return super()._compare(operator, other)

    def _step(self, step: workflows_pb2.PathStep) -> Promise:
        found = super()._step(step)
        if not is_known(found):
            return found
        try:
            part = literals.follow(self._literal, [step])
        except errors.ConversionError as error:
            self.typedflow_origin.note(
                diagnostics.FIELD_NOT_FOUND,
                f"`{path_text(self.typedflow_promise)}` has no `{step_text(step)}`",
                "",
                label=error.message,
            )
            return Promise(found.typedflow_origin, workflows_pb2.Promise(), found.typedflow_type)
        name = self.typedflow_promise.variable + step_text(step)
        return Constant(
            self.typedflow_origin,
            name,
            part,
            found.typedflow_type,
            found.typedflow_annotation,
            self.typedflow_nodes,
        )
