"""Launch plans: a workflow with some inputs given beforehand, versioned."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ParamSpec, Self, TypeVar, overload

from typedflow import errors, identifiers, spelling, type_engine
from typedflow.authoring import definitions, runner, source, trace
from typedflow.authoring.called import Called
from typedflow.authoring.schedule import Cron, FixedRate
from typedflow.authoring.signature import Signature
from typedflow.authoring.wiring import Wiring
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, identifiers_pb2, interface_pb2, launch_plans_pb2, literals_pb2

P = ParamSpec("P")
R = TypeVar("R")


class LaunchPlan(Called[P, R]):
    """A versioned way to launch a workflow.

    In a workflow's body a call launches an execution of its own and waits for it. Elsewhere a call runs the workflow
    here, with the launch plan's inputs filled in.

    Args:
        workflow: what is launched.
        name: the last part of the launch plan's name, under the module that defines it.
        default_inputs: values that a launch may override.
        fixed_inputs: values that it may not; they are no part of the launch plan's interface.
        max_parallelism: how many attempts may run at once, over all executions of the launch plan; None is no limit.
        schedule: when it launches by itself, while it is active; None: only when somebody asks.
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
        >>> LaunchPlan(scaled, name="nightly", schedule=Cron("0 2 * * *"))(n=3)
        6
    """

    kind = "launch plan"

    # Which inputs are left when some are given is beyond static types: then any are let through, and checked here.
    @overload
    def __init__(
        self,
        workflow: Wiring[P, R],
        *,
        name: str,
        max_parallelism: int | None = None,
        schedule: Cron | FixedRate | None = None,
        description: str = "",
    ) -> None: ...

    @overload
    def __init__(
        self: LaunchPlan[..., R],
        workflow: Wiring[..., R],
        *,
        name: str,
        default_inputs: Mapping[str, Any] | None = None,
        fixed_inputs: Mapping[str, Any] | None = None,
        max_parallelism: int | None = None,
        schedule: Cron | FixedRate | None = None,
        description: str = "",
    ) -> None: ...

    def __init__(
        self,
        workflow: Wiring[..., Any],
        *,
        name: str,
        default_inputs: Mapping[str, Any] | None = None,
        fixed_inputs: Mapping[str, Any] | None = None,
        max_parallelism: int | None = None,
        schedule: Cron | FixedRate | None = None,
        description: str = "",
    ) -> None:
        super().__init__(name)
        self._position = source.caller()
        self.workflow = workflow
        for kind, given in (("default", default_inputs), ("fixed", fixed_inputs)):
            if given is not None and not isinstance(given, Mapping):
                raise errors.DefinitionError(
                    f"LaunchPlan({kind}_inputs={given!r:.80}) is not a mapping of names to values",
                    where=self._where(),
                    code=diagnostics.INVALID_VALUE,
                )
        self.default_inputs: dict[str, Any] = dict(default_inputs or {})
        self.fixed_inputs: dict[str, Any] = dict(fixed_inputs or {})
        self.max_parallelism = max_parallelism
        self.schedule = schedule
        self.description = description
        self._module = source.calling_module()
        self._mistakes: list[diagnostics_pb2.Diagnostic] = []
        self._read: Signature | None = None
        self._left: Signature
        if not isinstance(workflow, Wiring):
            raise errors.DefinitionError(
                f"LaunchPlan is given {workflow!r:.80}, which is not a workflow", where=self._where()
            )
        wrong = identifiers.check_node_id(str(name))
        if wrong:
            raise errors.DefinitionError(
                f"LaunchPlan(name={name!r}): {wrong}", where=self._where(), code=diagnostics.INVALID_NAME
            )
        if max_parallelism is not None and (type(max_parallelism) is not int or max_parallelism < 1):
            self.max_parallelism = None
            definitions.forgive(
                errors.DefinitionError(
                    f"LaunchPlan(max_parallelism={max_parallelism!r}) is no number of attempts",
                    where=self._where(),
                    code=diagnostics.INVALID_VALUE,
                    hint="write a number from 1, or None for no limit",
                )
            )
        said: object = schedule
        if not isinstance(said, Cron | FixedRate | None):
            self.schedule = None
            definitions.forgive(
                errors.DefinitionError(
                    f"LaunchPlan(schedule={schedule!r:.80}) is no schedule",
                    where=self._where(),
                    code=diagnostics.INVALID_SCHEDULE,
                    hint='write Cron("0 2 * * *") or FixedRate(timedelta(hours=1))',
                )
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
            schedule=self.schedule.message() if self.schedule else None,
        )

    @property
    def signature(self) -> Signature:
        """What may be given at launch, and what comes out."""
        if self.broken:
            raise definitions.AlreadyTold(f"{self.what} has mistakes in its definition")
        read = self.workflow.signature
        if self._read is not read:  # a workflow may be built further
            self._read, self._left = read, self._left_of(read)
        return self._left

    def _left_of(self, read: Signature) -> Signature:
        """The workflow's signature without what is fixed, and with the launch plan's defaults."""
        parameters = {
            name: dataclasses.replace(each, default=self.default_inputs.get(name, each.default))
            for name, each in read.parameters.items()
            if name not in self.fixed_inputs
        }
        interface = interface_pb2.Interface(outputs=read.interface.outputs)
        defaults = {each.name: each.value for each in self._literals("default", self.default_inputs).values}
        for variable in read.interface.inputs:
            if variable.name in parameters:
                made = interface.inputs.add()
                made.CopyFrom(variable)
                if variable.name in defaults:
                    made.default.CopyFrom(defaults[variable.name])
        return Signature(parameters, read.outputs, read.form, interface)

    def with_overrides(self, *, name: str | None = None) -> Self:
        """The same, for one call; `name` becomes the node's name."""
        return self.on_terms(self.named(name))

    def resolved(self) -> launch_plans_pb2.CompiledLaunchPlan:
        return launch_plans_pb2.CompiledLaunchPlan(
            launch_plan=self.template(), interface=self.signature.interface
        )

    def typedflow_call(self, tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        node, place = tracing.begin(self.terms, self.short_name, self.what)
        node.launch_plan.launch_plan.CopyFrom(self.reference())
        tracing.give(node, self.signature, args, kwargs, place)
        tracing.nodes.append(node)
        tracing.use(self, place)
        return tracing.promises(self.signature, node.id, self.what)

    def call_here(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return runner.current().call_launch_plan(self, args, kwargs)

    def reference(self) -> identifiers_pb2.Identifier:
        return identifiers.launch_plan(self.name)

    def _literals(self, kind: str, values: Mapping[str, Any]) -> literals_pb2.LiteralMap:
        made = literals_pb2.LiteralMap()
        parameters = self.workflow.signature.parameters
        for name, value in values.items():
            parameter = parameters.get(name)
            if parameter is None:
                nearest = spelling.nearest(name, list(parameters))
                known = ", ".join(f"`{each}`" for each in parameters)
                hint = f"did you mean `{nearest}`?" if nearest else f"it has {known or 'none'}"
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
