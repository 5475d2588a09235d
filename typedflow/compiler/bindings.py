"""What gives a variable its value: constants, promises of other nodes' outputs, and containers of both.

Goes over a binding once: it notes what is wrong and writes the converted binding. Recursion is as deep as containers
are nested, which is bounded; never as deep as a chain of nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from typedflow import literal_types
from typedflow.compiler import constants, containers, diagnostics, promises
from typedflow.compiler.report import cut
from typedflow.pb.workflows_pb2 import BindingValue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import ErrorPromise

    Fitting: TypeAlias = Callable[[LiteralType, int], str]

ERROR: Final = literal_types.EXECUTION_ERROR
"""What an error promise gives."""

_MOST_TRIES: Final = 200_000
"""Parts of containers that are tried with variants of unions, in one compilation: there may be very many ways."""


class Binder:
    """Converts the bindings of one workflow.

    Args:
        sources: what promises give, at the place where it is.
        fitting: a hint that names something else which gives values of a type; for the node that asks.
    """

    def __init__(self, sources: promises.Promises, fitting: Fitting) -> None:
        self._sources = sources
        self._fitting = fitting
        self._mismatches: dict[tuple[int, int], literal_types.Mismatch | None] = {}
        self._tries = 0

    def bind(self, value: BindingValue, target: LiteralType | None, what: str) -> BindingValue | None:
        """The binding for a variable of a type: the same message where nothing changes; None when it does not fit.

        Without a type only the references are checked.
        """
        return self._bind(value, target, what, "", 0)

    def fits(self, value: BindingValue, target: LiteralType) -> bool:
        """Whether it could be bound to a variable of the type; notes nothing but which nodes are waited for."""
        with self._sources.quietly():
            return self._bind(value, target, "", "", 0) is not None

    def look(self, value: BindingValue) -> LiteralType | None:
        """As `source`, noting nothing."""
        with self._sources.quietly():
            return self.source(value, "")

    def source(self, value: BindingValue, what: str) -> LiteralType | None:
        """The type of what a promise, or the error, gives; None of anything else, and where it gives nothing."""
        match value.WhichOneof("value"):
            case "promise":
                return self._sources.source(value.promise, what)
            case "error":
                return self._error(value.error, what)
            case _:
                return None

    def mismatch(self, source: LiteralType, target: LiteralType) -> literal_types.Mismatch | None:
        """As `literal_types.is_assignable`. Types are shared and outlive the binder, so their ids stand for them."""
        if source is target:
            return None
        key = (id(source), id(target))
        if key not in self._mismatches:
            self._mismatches[key] = literal_types.is_assignable(source, target)
        return self._mismatches[key]

    def _bind(
        self, value: BindingValue, target: LiteralType | None, what: str, place: str, depth: int
    ) -> BindingValue | None:
        match value.WhichOneof("value"):
            case "promise" | "error":
                return self._promise(value, target, _named(what, place))
            case "literal":
                if target is None:
                    return None
                return self._constant(value, value.literal, target, _named(what, place))
            case "list" | "dict" | "record":
                if depth >= literal_types.MAX_DEPTH:
                    self._sources.add(
                        diagnostics.NESTING_TOO_DEEP,
                        f"{_named(what, place)} is bound to something that is nested too deep",
                        expected=f"at most {literal_types.MAX_DEPTH} levels of lists, dicts and records",
                    )
                    return None
                return self._container(value, target, what, place, depth)
            case None:
                self._sources.add(
                    diagnostics.PARAMETER_NOT_BOUND,
                    f"{_named(what, place)} is bound to nothing",
                    hint="give it a value",
                )
                return None

    def _constant(
        self, value: BindingValue, literal: Literal, target: LiteralType, what: str
    ) -> BindingValue | None:
        sources = self._sources
        made = constants.convert(literal, target, what, sources.report, sources.at, sources.position)
        if made is None:
            return None
        return value if made is value.literal else BindingValue(literal=made)

    # Promises

    def _promise(self, value: BindingValue, target: LiteralType | None, what: str) -> BindingValue | None:
        source = self.source(value, what)
        if source is None or target is None or self._sources.report.full:
            return None
        mismatch = self.mismatch(source, target)
        if mismatch is None:
            return value
        given, expected = self._sources.report.text(source), self._sources.report.text(target)
        giver = promises.giver(value)
        self._sources.add(
            diagnostics.MISMATCHING_TYPES,
            f"{what} expects {expected}",
            expected=expected,
            given=given,
            label=f"{giver} gives {given}: {mismatch}",
            hint=self._fitting(target, self._sources.at) or mismatch.hint,
        )
        return None

    def _error(self, error: ErrorPromise, what: str) -> LiteralType | None:
        if self._sources.sections.sees_error(self._sources.section):
            return self._sources.follow(ERROR, error.path, promises.error, what)
        self._sources.add(
            diagnostics.NODE_OUT_OF_SCOPE,
            f"{what} is bound to the error, which can't be seen from here",
            label="there is an error only when the execution has failed",
            hint="take it in what the workflow runs on failure",
        )
        return None

    # Containers

    def _container(
        self, value: BindingValue, target: LiteralType | None, what: str, place: str, depth: int
    ) -> BindingValue | None:
        wrong = containers.malformed(value)
        if wrong is not None:
            self._sources.add(
                diagnostics.INVALID_VALUE,
                f"{_named(what, place)} is bound to a {value.WhichOneof('value')} that is none",
                given=wrong.name,
                label=wrong.reason,
            )
        if target is None or wrong is not None:
            self._references(value, what, place, depth)
            return None
        plain = containers.plain(value, depth)
        if plain is not None:
            return self._constant(value, plain, target, _named(what, place))
        parts = self._sources.parts
        allowed = containers.candidates(value, target, parts)
        found = [each for each in allowed if containers.fit(value, each, parts) is None]
        if len(found) == 1:
            return self._parts(value, found[0], what, place, depth)
        if found:
            return self._one_of(found, value, target, what, place, depth)
        self._references(value, what, place, depth)
        self._fits_none(value, target, allowed, _named(what, place))
        return None

    def _parts(
        self, value: BindingValue, type_: LiteralType, what: str, place: str, depth: int
    ) -> BindingValue | None:
        """The container with its parts bound; all of them are looked at even when one does not fit."""
        wanted = containers.wanted(value, type_, self._sources.parts)
        made = [
            self._bind(part, inner, what, place + step, depth + 1)
            for part, inner, step in zip(
                containers.children(value), wanted, containers.places(value), strict=True
            )
        ]
        fitting = [each for each in made if each is not None]
        return None if len(fitting) < len(made) else containers.assembled(value, fitting)

    def _references(self, value: BindingValue, what: str, place: str, depth: int) -> None:
        steps = containers.places(value)
        for part in containers.children(value):
            self._bind(part, None, what, place + next(steps, "[...]"), depth + 1)

    def _fits_none(
        self, value: BindingValue, target: LiteralType, allowed: Sequence[LiteralType], what: str
    ) -> None:
        """Says why a container fits none of a type's variants."""
        expected, kind = self._sources.report.text(target), value.WhichOneof("value") or ""
        code, label, hint = diagnostics.MISMATCHING_TYPES, f"a {kind} is given", ""
        if len(allowed) == 1:
            mistake = containers.fit(value, allowed[0], self._sources.parts)
            assert mistake is not None, "asked why something does not fit that does"
            label = mistake.reason
            if mistake.unknown:
                names = self._sources.parts.fields(allowed[0])
                code, label = (
                    diagnostics.FIELD_NOT_FOUND,
                    f"{expected} has no field `{cut(mistake.name, 100)}`",
                )
                hint = self._sources.report.did_you_mean(mistake.name, names)
        elif allowed:
            code, label = diagnostics.INCOMPATIBLE_UNION_BINDING, f"it is none of the {kind}s among these"
        self._sources.add(
            code, f"{what} expects {expected}", expected=expected, given=kind, label=label, hint=hint
        )

    def _one_of(
        self,
        types: Sequence[LiteralType],
        value: BindingValue,
        target: LiteralType,
        what: str,
        place: str,
        depth: int,
    ) -> BindingValue | None:
        """The first of a union's variants that takes every part.

        It must be the one that the promises alone lead to, because that is all that is known when it runs.
        """
        self._references(value, what, place, depth)
        by_promises: LiteralType | None = None
        made: BindingValue | None = None
        for type_ in types:
            fits, made = self._tried(type_, value, depth)
            if by_promises is None and fits:
                by_promises = type_
            if made is None:
                continue
            if by_promises is type_:
                return made
            break
        expected, kind = self._sources.report.text(target), value.WhichOneof("value") or ""
        if self._tries > _MOST_TRIES:
            code, label, hint = (
                diagnostics.GRAPH_TOO_LARGE,
                f"there are too many ways to read the {kind} as one of these",
                f"make the {kind} in a task",
            )
        elif by_promises is None or made is None:
            code, label, hint = (
                diagnostics.INCOMPATIBLE_UNION_BINDING,
                f"no {kind} among these takes every part of it",
                "",
            )
        else:
            fitting = literal_types.text(by_promises)
            code, label = (
                diagnostics.AMBIGUOUS_UNION_BINDING,
                f"the promises in it fit {fitting}, but the constants do not",
            )
            hint = f"make the {kind} in a task"
        self._sources.add(
            code,
            f"{_named(what, place)} expects {expected}",
            expected=expected,
            given=kind,
            label=label,
            hint=hint,
        )
        return None

    def _tried(self, type_: LiteralType, value: BindingValue, depth: int) -> tuple[bool, BindingValue | None]:
        """Whether the promises right in a container fit, and the converted binding if all of it does. Notes nothing."""
        self._tries += len(containers.children(value))
        if self._tries > _MOST_TRIES:
            return False, None
        with self._sources.quietly():
            wanted = containers.wanted(value, type_, self._sources.parts)
            fits = all(
                self._bind(part, inner, "", "", depth + 1)
                for part, inner in zip(containers.children(value), wanted, strict=True)
                if part.WhichOneof("value") in ("promise", "error")
            )
            return fits, self._parts(value, type_, "", "", depth)


def _named(what: str, place: str) -> str:
    """``element [2] of input `frames` of task `merge` ``, ``part .rate of input `config` of task `train` ``."""
    if not place:
        return what
    noun = "part" if "." in place or '"' in place else "element"
    return f"{noun} {cut(place, 200)} of {what}"
