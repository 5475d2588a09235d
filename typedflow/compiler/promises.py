"""What a promise gives: the node that it is of, the output, and the way into its value, each checked.

Remembers which nodes are waited for, and notes what can't be: a node that there is not, one that can't be seen from
where it is asked for, an output or a part that there is not.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Final, TypeAlias

from typedflow.compiler import diagnostics, parts
from typedflow.compiler.report import HEAD, Report, cut, listed
from typedflow.compiler.sections import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from typedflow.compiler.sections import Sections
    from typedflow.pb.identifiers_pb2 import SourcePosition
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import BindingValue, PathStep, Promise

    Outputs: TypeAlias = Mapping[str, LiteralType | None]

WORKFLOW: Final = -1
"""Stands for the workflow's inputs where a node is expected."""

_MOST_STEPS: Final = 50
"""Of a path, that are shown."""


class Promises:
    """Follows the promises of one workflow.

    Args:
        nodes: their numbers by id.
        outputs: what a node gives, or `WORKFLOW` (its inputs); None when that is not known, which was noted elsewhere.
        sections: which nodes can be seen from where.
    """

    def __init__(
        self,
        nodes: Mapping[str, int],
        outputs: Callable[[int], Outputs | None],
        sections: Sections,
        report: Report,
    ) -> None:
        self.upstreams: dict[int, None] = {}
        self.dangling = False
        self.report = report
        self.parts = parts.Parts()
        self.at = HEAD
        self.position: SourcePosition | None = None
        self.section = ALWAYS
        self.sections = sections
        self._nodes = nodes
        self._outputs = outputs

    def begin(self, at: int, section: int, position: SourcePosition | None = None) -> None:
        """From here on promises are those of this place; `upstreams` and `dangling` start anew."""
        self.upstreams = {}
        self.dangling = False
        self.at = at
        self.position = position
        self.section = section

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Inside, nothing is noted but which nodes are waited for."""
        report, self.report = self.report, Report("", None)
        try:
            yield
        finally:
            self.report = report

    def wait_for(self, node: str, what: str) -> int | None:
        """Notes that the place waits for a node (`what` says so); None when that can't be."""
        number = self._nodes.get(node)
        if number is None:
            self.dangling = True
            self.add(
                diagnostics.NODE_REFERENCE_NOT_FOUND,
                f"{what} node `{cut(node, 100)}`, which there is not",
                given=node,
                hint=self.report.did_you_mean(node, self._nodes),
            )
            return None
        if not self.sections.sees(self.section, number):
            reason, hint = self.sections.why_not(self.section, number)
            self.add(
                diagnostics.NODE_OUT_OF_SCOPE,
                f"{what} node `{cut(node, 100)}`, which can't be seen from here",
                given=node,
                label=reason,
                hint=hint,
            )
            return None
        self.upstreams[number] = None
        return number

    def source(self, promise: Promise, what: str) -> LiteralType | None:
        """The type of what a promise gives; None when it gives nothing, which is noted."""
        number: int | None = WORKFLOW
        if promise.node:
            number = self.wait_for(promise.node, f"{what} is bound to an output of")
        outputs = None if number is None else self._outputs(number)
        if outputs is None:
            return None
        if promise.variable not in outputs:
            self._no_such_output(promise, outputs, what)
            return None
        found = outputs[promise.variable]
        if found is None or not promise.path:
            return found
        return self.follow(found, promise.path, lambda path: shown(promise, path), what)

    def follow(
        self,
        source: LiteralType,
        path: Sequence[PathStep],
        called: Callable[[Sequence[PathStep]], str],
        what: str,
    ) -> LiteralType | None:
        """The type at a path into what is `called` so; None when the path leads nowhere, which is noted."""
        current = source
        for done, step in enumerate(path):
            found = self.parts.at(current, step)
            if found is None:
                self._leads_nowhere(called(path[:done]), current, step, what)
                return None
            current = found
        return current

    def add(
        self, code: str, message: str, *, expected: str = "", given: str = "", label: str = "", hint: str = ""
    ) -> None:
        """Notes a mistake at the present place."""
        self.report.add(
            code,
            message,
            at=self.at,
            expected=expected,
            given=given,
            label=label,
            hint=hint,
            position=self.position,
        )

    def _no_such_output(self, promise: Promise, outputs: Outputs, what: str) -> None:
        variable = cut(promise.variable, 100)
        whose = (
            f"output `{variable}` of node `{cut(promise.node, 100)}`"
            if promise.node
            else f"workflow input `{variable}`"
        )
        self.add(
            diagnostics.VARIABLE_NAME_NOT_FOUND,
            f"{what} is bound to {whose}, which there is not",
            expected=some_of(outputs),
            given=promise.variable,
            hint=self.report.did_you_mean(promise.variable, outputs),
        )

    def _leads_nowhere(self, source: str, type_: LiteralType, step: PathStep, what: str) -> None:
        given = self.report.text(type_)
        has = type_.WhichOneof("type")
        hint, expected, message = "", "", "is followed by a step that says nothing"
        match step.WhichOneof("step"):
            case "field":
                message = f"has no field `{cut(step.field, 100)}`"
                if has == "record" and not type_.record.positional:
                    names = self.parts.fields(type_)
                    expected, hint = some_of(names), self.report.did_you_mean(step.field, names)
                elif has == "record":
                    hint = "take an element by its place: `[0]`"
                elif has == "dict":
                    hint = f'take the value of a key: `["{cut(step.field, 100)}"]`'
            case "index":
                message = f"has no element [{step.index}]"
                if has == "record" and type_.record.positional:
                    expected = f"an index below {len(type_.record.fields)}"
                elif has == "stream":
                    hint = "take a list: the elements of an iterator come one after another, and go"
            case "key":
                message = f'has no key ["{cut(step.key, 100)}"]'
                if has == "record" and step.key in self.parts.fields(type_):
                    hint = f"take the field: `.{cut(step.key, 100)}`"
            case None:
                pass
        if has == "union":
            hint = (
                "take it apart in a task: which of the union's variants it is, is known only when it has run"
            )
        self.add(
            diagnostics.FIELD_NOT_FOUND,
            f"{what} is bound to a part of {source} that there is not",
            expected=expected,
            given=given,
            label=f"{source} gives {given}, which {message}",
            hint=hint,
        )


def some_of(names: Collection[str]) -> str:
    """Names that would have been right, for `expected`."""
    return listed(list(itertools.islice(names, 11)), 10) if names else "none"


def giver(value: BindingValue) -> str:
    """Where the value of a promise, or of the error, comes from."""
    return shown(value.promise) if value.HasField("promise") else error(value.error.path)


def shown(promise: Promise, path: Sequence[PathStep] | None = None) -> str:
    """Where a promise's value comes from: ``upstream `evaluate.auc` ``; the one unnamed output is its node."""
    steps = _steps(promise.path if path is None else path)
    if not promise.node:
        return f"workflow input `{cut(promise.variable + steps, 200)}`"
    name = promise.node if promise.variable == "o0" else f"{promise.node}.{promise.variable}"
    return f"upstream `{cut(name + steps, 200)}`"


def error(path: Sequence[PathStep]) -> str:
    """Where a part of the error comes from."""
    return f"the error's `{cut(_steps(path), 200)}`" if path else "the error"


def _steps(path: Sequence[PathStep]) -> str:
    return "".join(map(_step, path[:_MOST_STEPS]))


def _step(step: PathStep) -> str:
    match step.WhichOneof("step"):
        case "field":
            return f".{step.field}"
        case "key":
            return f'["{step.key}"]'
        case _:
            return f"[{step.index}]"
