"""Conditionals: their cases, what decides between them, and what each of them gives.

A conditional is decided before any node of its cases runs, and gives its outputs after those of the case that ran.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from typedflow.compiler import calls, conditions, diagnostics, interfaces, promises
from typedflow.compiler.report import cut, listed
from typedflow.compiler.sections import UNKNOWN
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.workflows_pb2 import Binding, BranchCase, BranchNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typedflow.compiler.bindings import Binder
    from typedflow.compiler.report import Report
    from typedflow.pb.identifiers_pb2 import SourcePosition
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import BindingValue, Node


def call(node: Node, types: interfaces.Types, report: Report, at: int) -> calls.Call:
    """What a conditional gives, as its consumers see it; it takes nothing of its own."""
    owner = f"conditional `{cut(node.id, 100)}`"
    checked = interfaces.check(Interface(outputs=node.branch.outputs), owner, types, report, at)
    return calls.Call(owner, calls.Wanted.of({}, "input", owner), checked.outputs)


class Branches:
    """Checks the conditionals of one workflow."""

    def __init__(self, binder: Binder, sources: promises.Promises) -> None:
        self._binder = binder
        self._sources = sources
        self._conditions = conditions.Conditions(binder, sources)

    def check_conditions(self, node: Node) -> list[BranchCase]:
        """The cases with their conditions converted, at the conditional's own place."""
        self._check_cases(node)
        made = []
        for i, case in enumerate(node.branch.cases):
            if self._sources.report.full:
                break
            converted = BranchCase(position=case.position if case.HasField("position") else None)
            if case.HasField("condition"):
                self._sources.position = _position(case)
                what = f"the condition of case {i + 1} of conditional `{cut(node.id, 100)}`"
                condition = self._conditions.check(case.condition, what)
                if condition is not None:
                    converted.condition.CopyFrom(condition)
            made.append(converted)
        self._sources.position = None
        return made

    def check_outputs(
        self, number: int, node: Node, outputs: Mapping[str, LiteralType | None], made: list[BranchCase]
    ) -> BranchNode:
        """The whole conditional, with what its cases give added to them.

        Leaves `upstreams` of the sources as what it waits for before it can give its outputs.
        """
        sources = self._sources
        around = sources.sections.of[number]
        waited: dict[int, None] = {}
        dangling = False
        for i, (case, converted) in enumerate(zip(node.branch.cases, made, strict=False)):
            if sources.report.full:
                break
            inside = sources.sections.case(number, i)
            sources.begin(number, around if inside == UNKNOWN else inside, _position(case))
            what = f"case {i + 1} of conditional `{cut(node.id, 100)}`"
            match case.WhichOneof("outcome"):
                case "fail":
                    converted.fail = case.fail
                case "outputs":
                    converted.outputs.bindings.extend(self._given(case.outputs.bindings, outputs, what))
                case None:
                    sources.add(
                        diagnostics.MISMATCHING_BRANCH_OUTPUTS,
                        f"{what} says neither what it gives nor that it fails",
                        expected=promises.some_of(outputs),
                        given="nothing",
                    )
            waited |= sources.upstreams
            dangling = dangling or sources.dangling
        sources.begin(number, around)
        sources.upstreams, sources.dangling = waited, dangling
        return BranchNode(cases=made, outputs=node.branch.outputs)

    def _check_cases(self, node: Node) -> None:
        owner, cases = f"conditional `{cut(node.id, 100)}`", node.branch.cases
        if not cases or not cases[0].HasField("condition"):
            self._sources.add(
                diagnostics.BRANCH_HAS_NO_CONDITION,
                f"{owner} has no condition",
                expected="at least one case with a condition, and one without",
                hint="begin with `.if_(...)`",
            )
        if not cases:
            return
        for i, case in enumerate(itertools.islice(cases, 1, len(cases) - 1), 2):
            if not case.HasField("condition"):
                self._sources.position = _position(case)
                self._sources.add(
                    diagnostics.BRANCH_HAS_NO_CONDITION,
                    f"case {i} of {owner} has no condition, which only the last may lack",
                    hint="give it one: `.elif_(...)`",
                )
        self._sources.position = None
        if cases[-1].HasField("condition"):
            self._sources.add(
                diagnostics.BRANCH_HAS_NO_DEFAULT,
                f"{owner} does not say what is done when none of its conditions is true",
                hint='end it with `.else_().then(...)`, or with `.else_().fail("why")`',
            )

    # What a case gives

    def _given(
        self, bindings: Iterable[Binding], outputs: Mapping[str, LiteralType | None], what: str
    ) -> list[Binding]:
        by_name: dict[str, Binding] = {}
        for binding in bindings:
            if by_name.setdefault(binding.variable, binding) is not binding:
                self._sources.add(
                    diagnostics.PARAMETER_BOUND_MORE_THAN_ONCE,
                    f"output `{cut(binding.variable, 100)}` of {what} is given more than once",
                    given=binding.variable,
                    hint="keep one of them",
                )
        missing = list(itertools.islice((name for name in outputs if name not in by_name), 10))
        extra = [name for name in by_name if name not in outputs]
        if missing or extra:
            self._sources.add(
                diagnostics.MISMATCHING_BRANCH_OUTPUTS,
                f"{what} does not give what the conditional gives",
                expected=promises.some_of(outputs),
                given=promises.some_of(by_name),
                label="; ".join(
                    [f"it lacks {listed(missing)}"] * bool(missing)
                    + [f"it gives {listed(extra)} too"] * bool(extra)
                ),
                hint="let every case give the same outputs, or fail",
            )
        made = []
        for name, type_ in outputs.items():
            if name in by_name:
                value = self._output(by_name[name].value, type_, f"output `{name}` of {what}")
                if value is not None:
                    made.append(Binding(variable=name, value=value))
            elif len(made) == len(by_name):
                break
        for name in extra:
            self._binder.bind(by_name[name].value, None, f"`{cut(name, 100)}`")
        return made

    def _output(self, value: BindingValue, type_: LiteralType | None, what: str) -> BindingValue | None:
        """What a promise gives is assignable to what the conditional gives, as anything is to what takes it.

        It need not be of the very type: a called workflow may be given a value of a narrower one than it passes on.
        """
        if type_ is None or not value.HasField("promise"):
            return self._binder.bind(value, type_, what)
        source = self._binder.source(value, what)
        if source is None:
            return None
        mismatch = self._binder.mismatch(source, type_)
        if mismatch is None:
            return value
        given, expected = self._sources.report.text(source), self._sources.report.text(type_)
        self._sources.add(
            diagnostics.MISMATCHING_BRANCH_OUTPUTS,
            f"{what} is {given}, and the conditional gives {expected}",
            expected=expected,
            given=given,
            label=f"{promises.shown(value.promise)} gives {given}: {mismatch}",
            hint="let every case give the same types, or fail",
        )
        return None


def _position(case: BranchCase) -> SourcePosition | None:
    return case.position if case.HasField("position") else None
