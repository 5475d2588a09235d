"""What gives a variable its value: constants, promises of other nodes' outputs, and lists of both.

Goes over a binding once: it notes what is wrong, writes the converted binding, and remembers which nodes are waited
for. Recursion is as deep as a list's nesting, which is bounded; never as deep as a chain of nodes.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, TypeAlias

from typedflow import literal_types, literals
from typedflow.compiler import constants, diagnostics
from typedflow.compiler.report import HEAD, Report, cut, listed
from typedflow.pb.workflows_pb2 import BindingValue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import PathStep, Promise

    Outputs: TypeAlias = Mapping[str, LiteralType | None]
    Fitting: TypeAlias = Callable[[LiteralType, int], str]

WORKFLOW: Final = -1
"""Stands for the workflow's inputs where a node is expected."""


class Binder:
    """Converts the bindings of one workflow.

    Args:
        nodes: their numbers by id.
        outputs: what a node gives, or `WORKFLOW` (its inputs); None when that is not known, which was noted elsewhere.
        fitting: a hint that names something else which gives values of a type; for the node that asks.
    """

    def __init__(
        self,
        nodes: Mapping[str, int],
        outputs: Callable[[int], Outputs | None],
        fitting: Fitting,
        report: Report,
    ) -> None:
        self.upstreams: dict[int, None] = {}
        self.dangling = False
        self._nodes = nodes
        self._outputs = outputs
        self._fitting = fitting
        self._report = report
        self._mismatches: dict[tuple[int, int], literal_types.Mismatch | None] = {}
        self._fields: dict[int, tuple[LiteralType, dict[str, LiteralType]]] = {}
        self._at = HEAD

    def begin(self, at: int) -> None:
        """From here on bindings are those of this place; `upstreams` and `dangling` start anew."""
        self.upstreams = {}
        self.dangling = False
        self._at = at

    def wait_for(self, node: str, what: str) -> int | None:
        """Notes that the place waits for a node (`what` says so); None when there is no such node."""
        number = self._nodes.get(node)
        if number is None:
            self.dangling = True
            hint = self._report.did_you_mean(node, self._nodes)
            self._add(
                diagnostics.NODE_REFERENCE_NOT_FOUND,
                f"{what} node `{cut(node, 100)}`, which there is not",
                given=node,
                hint=hint,
            )
            return None
        self.upstreams[number] = None
        return number

    def bind(self, value: BindingValue, target: LiteralType | None, what: str) -> BindingValue | None:
        """The binding for a variable of a type: the same message where nothing changes; None when it does not fit.

        Without a type only the references are checked.
        """
        return self._bind(value, target, what, 0)

    def _bind(
        self, value: BindingValue, target: LiteralType | None, what: str, depth: int
    ) -> BindingValue | None:
        match value.WhichOneof("value"):
            case "promise":
                return value if self._promise(value.promise, target, what) else None
            case "literal":
                if target is None:
                    return None
                return self._constant(value, value.literal, target, what)
            case "list":
                if depth >= literal_types.MAX_DEPTH:
                    expected = f"at most {literal_types.MAX_DEPTH} levels of lists"
                    self._add(
                        diagnostics.NESTING_TOO_DEEP,
                        f"{what} is bound to a list that is nested too deep",
                        expected=expected,
                    )
                    return None
                return self._list(value, target, what, depth)
            case None:
                self._add(
                    diagnostics.PARAMETER_NOT_BOUND, f"{what} is bound to nothing", hint="give it a value"
                )
                return None

    def _constant(
        self, value: BindingValue, literal: Literal, target: LiteralType, what: str
    ) -> BindingValue | None:
        made = constants.convert(literal, target, what, self._report, self._at)
        if made is None:
            return None
        return value if made is value.literal else BindingValue(literal=made)

    # Promises

    def _promise(self, promise: Promise, target: LiteralType | None, what: str) -> bool:
        number: int | None = WORKFLOW
        if promise.node:
            number = self.wait_for(promise.node, f"{what} is bound to an output of")
        outputs = None if number is None else self._outputs(number)
        if outputs is None:
            return False
        if promise.variable not in outputs:
            self._no_such_output(promise, outputs, what)
            return False
        source = outputs[promise.variable]
        if source is not None and promise.path:
            source = self._follow(source, promise, what)
        if source is None or target is None or self._report.full:
            return False
        mismatch = self._mismatch(source, target)
        if mismatch is None:
            return True
        self._does_not_fit(promise, source, target, mismatch, what)
        return False

    def _no_such_output(self, promise: Promise, outputs: Outputs, what: str) -> None:
        variable = cut(promise.variable, 100)
        whose = (
            f"output `{variable}` of node `{cut(promise.node, 100)}`"
            if promise.node
            else f"workflow input `{variable}`"
        )
        hint = self._report.did_you_mean(promise.variable, outputs)
        self._add(
            diagnostics.VARIABLE_NAME_NOT_FOUND,
            f"{what} is bound to {whose}, which there is not",
            expected=some_of(outputs),
            given=promise.variable,
            hint=hint,
        )

    def _mismatch(self, source: LiteralType, target: LiteralType) -> literal_types.Mismatch | None:
        """Types are shared and outlive the binder, so their ids stand for them."""
        if source is target:
            return None
        key = (id(source), id(target))
        if key not in self._mismatches:
            self._mismatches[key] = literal_types.is_assignable(source, target)
        return self._mismatches[key]

    def _does_not_fit(
        self,
        promise: Promise,
        source: LiteralType,
        target: LiteralType,
        mismatch: literal_types.Mismatch,
        what: str,
    ) -> None:
        given, expected = self._report.text(source), self._report.text(target)
        self._add(
            diagnostics.MISMATCHING_TYPES,
            f"{what} expects {expected}",
            expected=expected,
            given=given,
            label=f"{_source(promise)} gives {given}: {mismatch}",
            hint=self._fitting(target, self._at) or mismatch.hint,
        )

    def _follow(self, source: LiteralType, promise: Promise, what: str) -> LiteralType | None:
        """The type at a promise's path; None when the path leads nowhere, which is noted."""
        current = source
        done: list[PathStep] = []
        for step in promise.path:
            kind = step.WhichOneof("step")
            has = current.WhichOneof("type")
            if kind == "field" and has == "record" and step.field in self._fields_of(current):
                current = self._fields_of(current)[step.field]
            elif kind == "index" and has == "list" and current.list.element.WhichOneof("type") is not None:
                current = self._element_of(current)
            else:
                self._leads_nowhere(_source(promise, done), current, step, what)
                return None
            done.append(step)
        return current

    def _fields_of(self, record: LiteralType) -> dict[str, LiteralType]:
        known = self._fields.get(id(record))
        if known is None:
            known = self._fields[id(record)] = (
                record,
                {each.name: each.type for each in record.record.fields},
            )
        return known[1]

    def _element_of(self, list_: LiteralType) -> LiteralType:
        known = self._fields.get(id(list_))
        if known is None:
            known = self._fields[id(list_)] = (list_, {"": list_.list.element})
        return known[1][""]

    def _leads_nowhere(self, source: str, type_: LiteralType, step: PathStep, what: str) -> None:
        given = self._report.text(type_)
        hint, expected, message = "", "", "is followed by a step that says nothing"
        match step.WhichOneof("step"):
            case "field":
                message = f"has no field `{cut(step.field, 100)}`"
                if type_.WhichOneof("type") == "record":
                    names = self._fields_of(type_)
                    expected, hint = some_of(names), self._report.did_you_mean(step.field, names)
            case "index":
                message = f"has no element [{step.index}]"
            case None:
                pass
        if type_.WhichOneof("type") == "union":
            hint = (
                "take it apart in a task: which of the union's variants it is, is known only when it has run"
            )
        self._add(
            diagnostics.FIELD_NOT_FOUND,
            f"{what} is bound to a part of {source} that there is not",
            expected=expected,
            given=given,
            label=f"{source} gives {given}, which {message}",
            hint=hint,
        )

    # Lists

    def _list(
        self, value: BindingValue, target: LiteralType | None, what: str, depth: int
    ) -> BindingValue | None:
        elements = value.list.elements
        if target is None:
            self._references(elements, what, depth)
            return None
        plain = _plain(value, depth)
        if plain is not None:
            return self._constant(value, plain, target, what)
        lists = _lists(target)
        if not lists:
            expected = self._report.text(target)
            self._add(
                diagnostics.MISMATCHING_TYPES,
                f"{what} expects {expected}",
                expected=expected,
                given="list",
                label="a list is given",
            )
            self._references(elements, what, depth)
            return None
        if len(lists) > 1:
            return self._one_of(lists, value, target, what, depth)
        return self._elements(value, lists[0], what, depth)

    def _elements(
        self, value: BindingValue, list_: LiteralType, what: str, depth: int
    ) -> BindingValue | None:
        element = self._element_of(list_)
        if element.WhichOneof("type") is None:
            expected = self._report.text(list_)
            label = "a list that is not empty is given"
            self._add(
                diagnostics.MISMATCHING_TYPES,
                f"{what} expects {expected}",
                expected=expected,
                given="list",
                label=label,
            )
            self._references(value.list.elements, what, depth)
            return None
        made = [
            self._bind(each, element, _element(i, what), depth + 1)
            for i, each in enumerate(value.list.elements)
        ]
        fitting = [each for each in made if each is not None]
        if len(fitting) < len(made):
            return None
        if all(each is old for each, old in zip(fitting, value.list.elements, strict=True)):
            return value
        result = BindingValue()
        result.list.elements.extend(fitting)
        return result

    def _references(self, elements: Sequence[BindingValue], what: str, depth: int) -> None:
        for i, each in enumerate(elements):
            self._bind(each, None, _element(i, what), depth + 1)

    def _one_of(
        self, lists: Sequence[LiteralType], value: BindingValue, target: LiteralType, what: str, depth: int
    ) -> BindingValue | None:
        """The first of a union's lists that takes every element.

        It must be the one that the promises alone lead to, because that is all that is known when it runs.
        """
        self._references(value.list.elements, what, depth)
        by_promises: LiteralType | None = None
        made: BindingValue | None = None
        for list_ in lists:
            fits, made = self._tried(list_, value, what, depth)
            if by_promises is None and fits:
                by_promises = list_
            if made is None:
                continue
            if by_promises is list_:
                return made
            break
        expected = self._report.text(target)
        if by_promises is None or made is None:
            label = "no list among these takes every element"
            self._add(
                diagnostics.INCOMPATIBLE_UNION_BINDING,
                f"{what} expects {expected}",
                expected=expected,
                given="list",
                label=label,
            )
        else:
            label = f"the promises in it fit {literal_types.text(by_promises)}, but the constants do not"
            hint = "make the list in a task"
            self._add(
                diagnostics.AMBIGUOUS_UNION_BINDING,
                f"{what} expects {expected}",
                expected=expected,
                given="list",
                label=label,
                hint=hint,
            )
        return None

    def _tried(
        self, list_: LiteralType, value: BindingValue, what: str, depth: int
    ) -> tuple[bool, BindingValue | None]:
        """Whether the promises right in a list fit, and the converted binding if all of it does. Notes nothing."""
        report, self._report = self._report, Report("", None)
        try:
            promises = [each for each in value.list.elements if each.WhichOneof("value") == "promise"]
            fits = all(self._bind(each, self._element_of(list_), what, depth + 1) for each in promises)
            return fits, self._elements(value, list_, what, depth)
        finally:
            self._report = report

    def _add(
        self, code: str, message: str, *, expected: str = "", given: str = "", label: str = "", hint: str = ""
    ) -> None:
        self._report.add(code, message, at=self._at, expected=expected, given=given, label=label, hint=hint)


def some_of(names: Collection[str]) -> str:
    """Names that would have been right, for `expected`."""
    return listed(list(itertools.islice(names, 11)), 10) if names else "none"


def _source(promise: Promise, path: Sequence[PathStep] | None = None) -> str:
    """Where a promise's value comes from: ``upstream `evaluate.auc` ``; the one unnamed output is its node."""
    steps = "".join(
        f".{s.field}" if s.WhichOneof("step") == "field" else f"[{s.index}]"
        for s in (promise.path if path is None else path)
    )
    if not promise.node:
        return f"workflow input `{cut(promise.variable + steps, 200)}`"
    name = promise.node if promise.variable == "o0" else f"{promise.node}.{promise.variable}"
    return f"upstream `{cut(name + steps, 200)}`"


def _element(i: int, what: str) -> str:
    """``element [2] of input `frames` of task `merge` ``; of lists in lists ``element [0][2] of ...``."""
    if what.startswith("element ["):
        place, _, of = what.removeprefix("element ").partition(" of ")
        return f"element {place}[{i}] of {of}"
    return f"element [{i}] of {what}"


def _lists(target: LiteralType) -> list[LiteralType]:
    """The lists that a type allows."""
    candidates = target.union.variants if target.WhichOneof("type") == "union" else (target,)
    return [each for each in candidates if each.WhichOneof("type") == "list"]


def _plain(value: BindingValue, depth: int) -> Literal | None:
    """A list of constants as one constant; None when there is anything in it that is no constant, or no value."""
    if value.WhichOneof("value") == "literal":
        return None if constants.shape_mistake(value.literal) else value.literal
    if value.WhichOneof("value") != "list" or depth >= literal_types.MAX_DEPTH:
        return None
    made = []
    for each in value.list.elements:
        inner = _plain(each, depth + 1)
        if inner is None:
            return None
        made.append(inner)
    return literals.from_list(literals.pack(made))
