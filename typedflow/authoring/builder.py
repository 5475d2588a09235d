"""Workflows that programs build: the same graph, node by node, without a function's body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast, overload

from typedflow import errors
from typedflow.authoring import (
    binding,
    called,
    context,
    definitions,
    failure,
    hints,
    mapping,
    reference,
    signature,
    source,
    trace,
    wiring,
)
from typedflow.authoring.binding import Place
from typedflow.authoring.called import Called
from typedflow.authoring.promise import Promise
from typedflow.authoring.signature import Signature
from typedflow.authoring.wiring import Traced, Wiring
from typedflow.authoring.workflow import POLICIES, FailurePolicy
from typedflow.compiler import diagnostics
from typedflow.pb import workflows_pb2

T = TypeVar("T")
R = TypeVar("R")


class Workflow(Wiring[..., Any]):
    """A workflow that a program builds: inputs, nodes and outputs are added one by one.

    What `add_input` and `add_node` give stands for the values, as in the body of a workflow. Once it is whole, it is
    called, registered and launched as any other: it is registered when a module has it at its top level.

    Args:
        name: the last part of the workflow's name, under the module that builds it.
        failure_policy: as of `@workflow`.
        on_failure: as of `@workflow`.
        description: for people.

    Raises:
        DefinitionError: the name is not legal.

    Example:
        >>> from typedflow import task
        >>> @task
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> chain = Workflow("chain")
        >>> value = chain.add_input("n", int, default=1)
        >>> for i in range(3):
        ...     value = chain.add_node(double, n=value)
        >>> chain.add_output("result", value)
        >>> chain(n=5)
        40
    """

    def __init__(
        self,
        name: str,
        *,
        failure_policy: FailurePolicy = "fail_fast",
        on_failure: Called[..., Any] | None = None,
        description: str = "",
    ) -> None:
        super().__init__(called.node_name(name, "Workflow"))
        if failure_policy not in POLICIES:
            raise _wrong(
                f"Workflow(failure_policy={failure_policy!r})", f"write one of {', '.join(POLICIES)}"
            )
        self.failure_policy = failure_policy
        self.on_failure = on_failure
        self.description = description
        self.__doc__ = description
        self._position = source.caller()
        self._module = source.calling_module()
        self._trace = trace.Trace(self.name)
        self._inputs: dict[str, tuple[Any, Any]] = {}
        self._outputs: dict[str, tuple[Any, Any, Place]] = {}
        self._promises: dict[str, Promise] = {}
        self._descriptions: dict[str, str] = {}
        self._compiling = False
        self._traced: Traced | None = None
        self._compiled: workflows_pb2.CompiledWorkflow | None = None

    @property
    def module(self) -> str:
        """Dotted, under the import root."""
        return self._module

    @property
    def name(self) -> str:
        """`module.name`: the name under which it is registered."""
        return f"{self._module}.{self.short_name}"

    @property
    def broken(self) -> bool:
        """Never: what is wrong is raised where it is added, or told when it is compiled."""
        return False

    @overload
    def add_input(self, name: str, type_: type[T], *, default: Any = ..., description: str = "") -> T: ...

    @overload
    def add_input(self, name: str, type_: object, *, default: Any = ..., description: str = "") -> Any: ...

    def add_input(
        self, name: str, type_: Any, *, default: Any = signature.NO_DEFAULT, description: str = ""
    ) -> Any:
        """Adds an input; gives what stands for its value.

        Args:
            name: of the input; a Python name.
            type_: of its values.
            default: when none is given; without one it is required.
            description: for people.

        Raises:
            DefinitionError: there is one of the name, the type has no place in an interface, the default does not fit.
        """
        if name in self._inputs:
            raise _wrong(
                f"workflow `{self.short_name}` has an input `{name}` already", "give it another name"
            )
        made = self._declared({name: (type_, default)}, {})
        self._inputs[name] = type_, default
        self._descriptions[name] = description
        self._forget()
        found = made.parameters[name].converter.type
        self._promises[name] = self._trace.promise("", name, found, type_)
        return self._promises[name]

    def add_node(self, entity: Callable[..., R], **inputs: Any) -> R:
        """Adds a call of a task, a map, another workflow or a launch plan; gives what stands for its results.

        Args:
            entity: what is called; `entity.after(...)` and `entity.with_overrides(...)` say on which terms.
            inputs: as in a call. `name` names the node, unless the entity has an input of that name: then it is that
                input's value, and `with_overrides(name=...)` names the node.

        Raises:
            DefinitionError: the entity can't be called by a node.
        """
        if not isinstance(entity, Called | mapping.MapTask):
            raise _wrong(
                f"add_node is given {entity!r:.80}, which no node can call",
                "give it a task, workflow or launch plan",
            )
        if entity is self:
            raise _wrong(
                f"workflow `{self.short_name}` calls itself, which would never end",
                "",
                diagnostics.CYCLE_DETECTED,
            )
        self._forget()
        chosen: Any = entity
        read = (entity.task if isinstance(entity, mapping.MapTask) else entity).signature
        if "name" in inputs and "name" not in read.parameters:
            chosen = _named(chosen, called.node_name(inputs.pop("name"), "add_node"))
        with context.entered(self._trace):
            return cast(R, chosen.typedflow_call(self._trace, (), inputs))

    def add_output(self, name: str, value: Any, type_: Any = None) -> None:
        """Adds an output.

        Args:
            name: of the output; a Python name.
            value: what stands for the result of a node, or for an input; a list, dict or tuple of such with `type_`.
            type_: of the output; None is the value's own.

        Raises:
            DefinitionError: there is one of the name, or nothing says of what type it is.
        """
        if name in self._outputs:
            raise _wrong(
                f"workflow `{self.short_name}` has an output `{name}` already", "give it another name"
            )
        if type_ is None:
            type_ = value.typedflow_annotation if isinstance(value, Promise) else hints.UNKNOWN
        if type_ is hints.UNKNOWN:
            raise _wrong(
                f"add_output({name!r}, {value!r:.80}): nothing says of what type it is",
                "give it the type too, as in `add_output(name, value, list[int])`",
            )
        self._declared({}, {name: type_})
        what = f"the result of {self.what}" if name == "o0" else f"output `{name}` of {self.what}"
        place = Place("", source.caller(), what)
        self._outputs[name] = type_, value, place
        self._forget()

    @property
    def signature(self) -> Signature:
        """What it takes and gives, as far as it is built."""
        if self._signature is None:
            outputs = {name: type_ for name, (type_, _, _) in self._outputs.items()}
            self._signature = signature.declare(self._inputs, outputs, self._descriptions)
        return self._signature

    @property
    def traced(self) -> Traced:
        """Its template and what it calls."""
        if self._traced is None:
            self._traced = self._trace_whole()
        return self._traced

    @property
    def compiled(self) -> workflows_pb2.CompiledWorkflow:
        """What the compiler makes of it. Raises CompileError with every diagnostic."""
        if self._compiled is None:
            if self._compiling:
                raise _wrong(
                    f"workflow `{self.short_name}` calls itself by way of others, which would never end",
                    "",
                    diagnostics.CYCLE_DETECTED,
                )
            self._compiling = True
            try:
                self._compiled = wiring.compiled(self.traced)
            finally:
                self._compiling = False
        return self._compiled

    def resolved(self) -> workflows_pb2.CompiledWorkflow:
        return cast(Workflow, self._original).compiled

    def typedflow_call(self, tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return reference.wire(self, tracing, args, kwargs)

    def _trace_whole(self) -> Traced:
        tracing = self._trace
        template = workflows_pb2.WorkflowTemplate(
            id=self.reference(),
            interface=self.signature.interface,
            failure_policy=POLICIES[self.failure_policy],
            position=self._position,
            description=signature.first_paragraph(self.description),
        )
        with tracing.provisionally():  # all of it is made again when it is built further
            if self.on_failure is not None:
                failure.wire(tracing, self.on_failure, self._promises, Place("", self._position, self.what))
            for output in self.signature.outputs:
                _, value, place = self._outputs[output.name]
                bound = workflows_pb2.Binding(variable=output.name)
                binding.bind(tracing, bound.value, value, output, place)
                template.outputs.append(bound)
            template.nodes.extend(tracing.nodes)
            mistakes = [*tracing.mistakes, *tracing.unfinished.values()]
        places = {name: place.position for name, (_, _, place) in self._outputs.items()}
        return Traced(template, tracing.called, mistakes, outputs_at=places, asked=tracing.asked)

    def _forget(self) -> None:
        """What was made of it is no longer the whole."""
        self._signature = None
        self._traced = None
        self._compiled = None

    def _declared(self, inputs: Mapping[str, tuple[Any, Any]], outputs: Mapping[str, Any]) -> Signature:
        try:
            return signature.declare(inputs, outputs, {})
        except errors.DefinitionError as error:
            raise _wrong(f"{self.what}: {error.message}", error.hint, error.code) from None


def _named(entity: Any, name: str) -> Any:
    if isinstance(entity, mapping.MapTask):
        return entity.with_overrides(name=name)
    return entity.on_terms(entity.named(name))


def _wrong(message: str, hint: str, code: str = diagnostics.INVALID_VALUE) -> errors.DefinitionError:
    return errors.DefinitionError(message, where=definitions.place(source.caller()), code=code, hint=hint)
