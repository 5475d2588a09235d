"""Branches: `conditional("size").if_(n > 10).then(big(n=n)).else_().then(small(n=n))`.

Python evaluates what stands in the parentheses of `then` after `if_` has returned and before `then` is called, so the
nodes that are made in between are those of the case. What is written on one line in that order needs no lambda.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Never, NoReturn, TypeVar, overload

from typedflow import errors, literal_types
from typedflow.authoring import binding, called, condition, hints, promise, signature, source, trace
from typedflow.authoring.binding import Place
from typedflow.authoring.condition import Condition
from typedflow.authoring.promise import Nothing, Promise
from typedflow.compiler import diagnostics
from typedflow.pb import interface_pb2, types_pb2, workflows_pb2

T = TypeVar("T")
S = TypeVar("S")


def conditional(name: str) -> Conditional:
    """Begins a branch: exactly the first case whose condition is true runs.

    Conditions are comparisons of promises, or promises of bools, combined with `&`, `|` and `~`. What is called inside
    the parentheses of `then` runs in that case only. The whole gives what its cases give, all of the same type.

    Args:
        name: of the branch's node, `size`, `size-2`, ... where several have it; the nodes in its cases are named under
            it, as in `size.big`.

    Raises:
        StateConflict: this is no workflow's body.
        DefinitionError: the name is not legal for a node.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def big(n: int) -> str:
        ...     return "big"
        >>> @task
        ... def small(n: int) -> str:
        ...     return "small"
        >>> @workflow
        ... def sized(n: int, flag: bool) -> str:
        ...     return (
        ...         conditional("size")
        ...         .if_((n > 10) & ~flag).then(big(n=n))
        ...         .elif_(n > 3).then(small(n=n))
        ...         .else_().fail("too small")
        ...     )
        >>> [node.id for node in sized.compiled.workflow.nodes]
        ['size', 'size.big', 'size.small']
    """
    tracing = called.body_of("conditional(...)")
    return Conditional(tracing, called.node_name(name, "conditional"))


@dataclass(slots=True)
class _Outcome:
    """What a case does: gives a value, or fails."""

    message: workflows_pb2.BranchCase
    place: Place
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    form: type | None = None


class _Branch:
    """One branch while it is written down."""

    def __init__(self, tracing: trace.Trace, name: str) -> None:
        self.tracing = tracing
        self.node: workflows_pb2.Node
        self.place: Place
        self.node, self.place = tracing.begin(trace.Call(), name, f"conditional `{name}`")
        self.node.branch.SetInParent()
        tracing.nodes.append(self.node)
        self.outside: trace.Scope = tracing.scope
        self.inside: trace.Scope = tracing.scope
        self.outcomes: list[_Outcome] = []
        self.expect(diagnostics.BRANCH_HAS_NO_CONDITION, "has no case", "add one")

    def wait_for(self, results: Sequence[Promise]) -> None:
        """Nodes that come before it is decided."""
        first = [
            id_
            for each in results
            if binding.is_own(self.tracing, each, self.place)
            for id_ in each.typedflow_nodes
        ]
        self.node.after.extend(id_ for id_ in dict.fromkeys(first) if id_ not in self.node.after)

    def open(self, decides: object, step: str, *, last: bool = False) -> None:
        """A case begins: what is called from here on belongs to it."""
        position = source.caller()
        if self.tracing.scope is not self.outside or self not in self.tracing.unfinished:
            self._overlap()
        place = Place(self.node.id, position, f"{step} of {self.place.what}")
        message = self.node.branch.cases.add(position=position)
        if not last:
            made = self._condition(decides, place)
            if made is not None:
                message.condition.CopyFrom(made.message)
            else:
                message.condition.value.literal.boolean = False  # its mistake is told
        section = workflows_pb2.BranchSection(node=self.node.id, case=len(self.outcomes))
        self.inside = trace.Scope(self.node.id + ".", workflows_pb2.Section(branch=section))
        self.tracing.scope = self.inside
        self.outcomes.append(_Outcome(message, place))
        self.expect(
            diagnostics.BRANCH_HAS_NO_DEFAULT, f"ends after `{step}`, which does nothing", "say what it does"
        )

    def expect(self, code: str, problem: str, hint: str) -> None:
        """Until something more is said, this is what is wrong with it."""
        self.tracing.unfinished[self] = diagnostics.make(
            code,
            f"{self.place.what} {problem}",
            workflow=self.tracing.name,
            node=self.node.id,
            position=self.place.position,
            hint=f"{hint}, as in `{_AS_IN}`",
        )

    def close(self) -> _Outcome:
        """The case's calls are done."""
        if self.tracing.scope is not self.inside or self not in self.tracing.unfinished:
            self._overlap()
        self.tracing.scope = self.outside
        self.expect(diagnostics.BRANCH_HAS_NO_DEFAULT, "does not say what is done else", "add it")
        return self.outcomes[-1]

    def give(self, value: Any) -> None:
        """The case gives this value."""
        outcome = self.close()
        if isinstance(value, tuple):
            outcome.form = promise.form_of(value)
            names = getattr(value, "_fields", None) or [f"o{i}" for i in range(len(value))]
            outcome.values = dict(zip(names, value, strict=True))
        elif not isinstance(value, Nothing):
            outcome.values = {"o0": value}
        elif binding.is_own(self.tracing, value, outcome.place):
            outcome.values = {}

    def fail(self, message: object) -> None:
        """The case fails with a message, which must be a text."""
        outcome = self.close()
        if not isinstance(message, str) or not message:
            self.tracing.mistake(
                diagnostics.INVALID_VALUE,
                f"{outcome.place.what} fails without a message",
                outcome.place,
                given=f"{message!r:.100}",
                hint='say why, as in `fail("too small")`; it can hold no promise',
            )
        outcome.message.fail = message if isinstance(message, str) else "-"

    def result(self) -> Any:
        """What it gives, once every case is known."""
        del self.tracing.unfinished[self]
        giving = [each for each in self.outcomes if not each.message.HasField("fail")]
        first = giving[0] if giving else None
        if first is None or not first.values:
            for each in giving:
                self._bind(each, {})
            return Nothing(self.tracing, self.node.id, [self.node.id])
        kinds = {name: self._kind(name, giving) for name in first.values}
        for name, (type_, _) in kinds.items():
            self.node.branch.outputs.append(interface_pb2.Variable(name=name, type=type_))
        for each in giving:
            self._bind(each, kinds)
        made = {
            name: self.tracing.promise(self.node.id, name, type_, annotation)
            for name, (type_, annotation) in kinds.items()
        }
        if first.form is None:
            return made["o0"]
        return promise.outputs(first.form, made, self.tracing, self.node.id, self.place.what)

    def _overlap(self) -> NoReturn:
        self.tracing.refuse(
            diagnostics.NODE_OUT_OF_SCOPE,
            f"{self.place.what} goes on where another one is open, or after its end",
            self.node.id,
            hint="write each conditional as one expression, from `conditional(...)` to what is done else",
        )

    def _condition(self, decides: object, place: Place) -> Condition | None:
        if isinstance(decides, Promise):
            return promise.as_condition(decides) if binding.is_usable(self.tracing, decides, place) else None
        if isinstance(decides, bool):
            return condition.constant(self.tracing, decides)
        if isinstance(decides, Condition):
            foreign = [each for each in decides.promises if not binding.is_own(self.tracing, each, place)]
            return None if foreign else decides
        self.tracing.mistake(
            diagnostics.CONDITION_TYPE_MISMATCH,
            f"{place.what} is given {decides!r:.100}, which is no condition",
            place,
            expected="a comparison, or a promise of a bool",
            given=type(decides).__name__,
            hint=condition.HINT,
        )
        return None

    def _kind(self, name: str, giving: Sequence[_Outcome]) -> tuple[types_pb2.LiteralType, Any]:
        """An output's type and annotation: those of the first promise among its values, else of a constant."""
        values = [each.values[name] for each in giving if name in each.values]
        for value in values:
            if isinstance(value, Promise) and promise.is_known(value):
                return value.typedflow_type, value.typedflow_annotation
        for value in values:
            try:
                return signature.types().converter(type(value)).type, type(value)
            except errors.DefinitionError:
                continue
        return literal_types.NONE, hints.UNKNOWN

    def _bind(self, outcome: _Outcome, kinds: Mapping[str, tuple[types_pb2.LiteralType, Any]]) -> None:
        outcome.message.outputs.SetInParent()
        for name, value in outcome.values.items():
            bound = outcome.message.outputs.bindings.add(variable=name)
            annotation = kinds[name][1] if name in kinds else type(value)
            place = outcome.place.inside("" if outcome.form is None else f", value `{name}`")
            binding.bind_as(self.tracing, bound.value, value, annotation, place)


_AS_IN = 'conditional("size").if_(n > 10).then(big(n=n)).else_().then(small(n=n))'


class Conditional(binding.Unfinished):
    """A branch without a case; `conditional` makes it, and `if_` comes next."""

    _branch: _Branch

    def __init__(self, tracing: trace.Trace, name: str) -> None:
        super().__init__(_Branch(tracing, name))

    def after(self, *results: object) -> Conditional:
        """The same, to be decided only once those calls have succeeded."""
        self._branch.wait_for([each for result in results for each in promise.of_result(result)])
        return self

    def if_(self, decides: Condition | int) -> Case[Never]:
        """The first case, if this is true.

        Args:
            decides: a comparison such as `n > 10`, a promise of a bool, or several combined with `&`, `|` and `~`.
        """
        self._branch.open(decides, "if_(...)")
        return Case(self._branch)


class Case(binding.Unfinished, Generic[T]):
    """A case whose condition is written; `then` or `fail` says what it does."""

    _branch: _Branch

    @overload
    def then(self: Case[Never], value: S) -> Cases[S]: ...

    @overload
    def then(self, value: T) -> Cases[T]: ...

    def then(self, value: Any) -> Cases[Any]:
        """What the branch gives in this case.

        Args:
            value: what a call gives that is made right here, in the parentheses; it runs in this case only. A value
                from before, or a constant, will do too.
        """
        self._branch.give(value)
        return Cases(self._branch)

    def fail(self, message: str) -> Cases[T]:
        """In this case the execution fails with this message."""
        self._branch.fail(message)
        return Cases(self._branch)


class Cases(binding.Unfinished, Generic[T]):
    """Some cases; `elif_` adds one, `else_` the last."""

    _branch: _Branch

    def elif_(self, decides: Condition | int) -> Case[T]:
        """The next case, if this is true and nothing before it was."""
        self._branch.open(decides, "elif_(...)")
        return Case(self._branch)

    def else_(self) -> Else[T]:
        """What is done when nothing was true."""
        self._branch.open(None, "else_()", last=True)
        return Else(self._branch)


class Else(binding.Unfinished, Generic[T]):
    """The last case; `then` or `fail` gives what the whole branch gives."""

    _branch: _Branch

    @overload
    def then(self: Else[Never], value: S) -> S: ...

    @overload
    def then(self, value: T) -> T: ...

    def then(self, value: Any) -> Any:
        """What the branch gives when nothing was true; the same as every case that does not fail, by its type."""
        self._branch.give(value)
        return self._branch.result()

    def fail(self, message: str) -> T:
        """When nothing was true, the execution fails with this message."""
        self._branch.fail(message)
        return self._branch.result()  # type: ignore[no-any-return]  # promises of it
