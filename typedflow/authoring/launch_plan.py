"""Launch plans: a workflow with some inputs given beforehand, versioned."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from typedflow import errors, identifiers, spelling, type_engine
from typedflow.authoring import definitions, source
from typedflow.authoring.workflow import Workflow
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, identifiers_pb2, launch_plans_pb2, literals_pb2


class LaunchPlan:
    """A versioned way to launch a workflow.

    Args:
        workflow: what is launched.
        name: the last part of the launch plan's name, under the module that defines it.
        default_inputs: values that a launch may override.
        fixed_inputs: values that it may not; they are no part of the launch plan's interface.
        max_parallelism: how many nodes of one execution may run at once; None is no limit.
        description: for people; no part of what is run.

    Raises:
        DefinitionError: an input that the workflow does not have, a value that does not fit, a name that is not legal.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def scale(n: int, by: int) -> int:
        ...     return n * by
        >>> @workflow
        ... def scaled(n: int, by: int = 2) -> int:
        ...     return scale(n=n, by=by)
        >>> LaunchPlan(scaled, name="tenfold", fixed_inputs={"by": 10}).short_name
        'tenfold'
    """

    def __init__(
        self,
        workflow: Workflow[Any, Any],
        *,
        name: str,
        default_inputs: Mapping[str, Any] | None = None,
        fixed_inputs: Mapping[str, Any] | None = None,
        max_parallelism: int | None = None,
        description: str = "",
    ) -> None:
        self._position = source.caller()
        self.workflow = workflow
        self.short_name = name
        for kind, given in (("default", default_inputs), ("fixed", fixed_inputs)):
            if given is not None and not isinstance(given, Mapping):
                raise errors.DefinitionError(
                    f"LaunchPlan({kind}_inputs={given!r:.80}) is not a mapping of names to values",
                    where=self._where(),
                    code=diagnostics.INVALID_VALUE,
                )
        self.default_inputs = dict(default_inputs or {})
        self.fixed_inputs = dict(fixed_inputs or {})
        self.max_parallelism = max_parallelism
        self.description = description
        self._module = source.calling_module()
        self._mistakes: list[diagnostics_pb2.Diagnostic] = []
        if not isinstance(workflow, Workflow):
            raise errors.DefinitionError(
                f"LaunchPlan is given {workflow!r:.80}, which is not a workflow", where=self._where()
            )
        wrong = identifiers.check_node_id(str(name))
        if wrong:
            raise errors.DefinitionError(
                f"LaunchPlan(name={name!r}): {wrong}", where=self._where(), code=diagnostics.INVALID_NAME
            )
        if max_parallelism is not None and (type(max_parallelism) is not int or max_parallelism < 1):
            raise errors.DefinitionError(
                f"LaunchPlan(max_parallelism={max_parallelism!r})",
                where=self._where(),
                code=diagnostics.INVALID_VALUE,
                hint="a number from 1, or None for no limit",
            )
        if not workflow.broken:
            self._template()
            definitions.report(self._mistakes)

    @property
    def broken(self) -> bool:
        """Its definition has mistakes, which were noted."""
        return self.workflow.broken or bool(self._mistakes)

    @functools.cached_property
    def name(self) -> str:
        """`module.name`: the name under which it is registered."""
        return f"{self._module}.{self.short_name}"

    def template(self) -> launch_plans_pb2.LaunchPlanTemplate:
        """The launch plan on the wire."""
        return self._template()

    def _template(self) -> launch_plans_pb2.LaunchPlanTemplate:
        self._mistakes.clear()
        return launch_plans_pb2.LaunchPlanTemplate(
            id=self.reference(),
            workflow=self.workflow.reference(),
            default_inputs=self._literals("default", self.default_inputs),
            fixed_inputs=self._literals("fixed", self.fixed_inputs),
            max_parallelism=self.max_parallelism or 0,
            position=self._position,
            description=self.description,
        )

    def reference(self) -> identifiers_pb2.Identifier:
        return identifiers.launch_plan(self.name)

    def _literals(self, kind: str, values: Mapping[str, Any]) -> literals_pb2.LiteralMap:
        made = literals_pb2.LiteralMap()
        parameters = self.workflow.signature.parameters
        for name, value in values.items():
            parameter = parameters.get(name)
            if parameter is None:
                nearest = spelling.nearest(name, list(parameters))
                hint = f"did you mean `{nearest}`?" if nearest else ""
                self._mistake(
                    diagnostics.UNKNOWN_INPUT,
                    f"{kind} input `{name}`: `{self.workflow.short_name}` has no such input",
                    hint,
                )
                continue
            if kind == "fixed" and name in self.default_inputs:
                self._mistake(
                    diagnostics.FIXED_INPUT_OVERRIDDEN,
                    f"input `{name}` has both a default and a fixed value",
                    "keep one of them",
                )
            try:
                literal = parameter.converter.to_literal(value, name, type_engine.NO_DATA)
            except errors.ConversionError as error:
                self._mistake(
                    diagnostics.INVALID_VALUE,
                    f"{kind} input `{name}` does not fit its type: {error.message}",
                    error.hint,
                )
            else:
                made.values.add(name=name, value=literal)
        return made

    def _mistake(self, code: str, message: str, hint: str) -> None:
        self._mistakes.append(
            diagnostics_pb2.Diagnostic(
                code=code,
                message=f"launch plan `{self.short_name}`: {message}",
                workflow=self.workflow.name,
                position=self._position,
                hint=hint,
            )
        )

    def _where(self) -> str:
        return definitions.place(self._position)

    def __repr__(self) -> str:
        return f"<launch plan {self.name}>"
