"""A task run for each element of lists: which of its inputs are mapped, and whether they can be.

An input is mapped when what it is given fits as a list of what the task takes, and not as that itself; when both, the
author has to say. `over` names them; the compiler fills it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from typedflow import literal_types, literals
from typedflow.compiler import calls, diagnostics, interfaces
from typedflow.compiler.promises import some_of
from typedflow.compiler.report import cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typedflow.compiler.bindings import Binder
    from typedflow.compiler.report import Report
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import Binding, BindingValue, MapNode

MOST_CONCURRENT: Final = 1_000_000

_NOT_LISTS: Final = ("dict", "record", "error")


class Maps:
    """The maps of one workflow."""

    def __init__(self, types: interfaces.Types, report: Report) -> None:
        self._types = types
        self._report = report
        self._lists: dict[int, LiteralType | None] = {}
        self._calls: dict[tuple[int, bool], calls.Call] = {}

    def call(self, node: MapNode, of: calls.Call) -> calls.Call:
        """The task as the map's consumers see it: each output is a list, of optional values where slots may fail."""
        partial = node.HasField("min_success_ratio") and node.min_success_ratio < 1
        key = (id(of), partial)
        if key not in self._calls:
            outputs = {name: self._listed(type_, partial) for name, type_ in of.outputs.items()}
            self._calls[key] = calls.Call(of.owner, of.wanted, outputs, of.reference, of.entity)
        return self._calls[key]

    def check_ranges(self, node: MapNode, owner: str, at: int) -> None:
        """Notes what can't be of the numbers of a map."""
        ratio = node.min_success_ratio
        if node.HasField("min_success_ratio") and not (math.isfinite(ratio) and 0 <= ratio <= 1):
            self._report.add(
                diagnostics.INVALID_VALUE,
                f"the share of slots of the map of {owner} that must succeed is out of range",
                at=at,
                expected="a number from 0 to 1",
                given=str(ratio),
            )
        if node.concurrency > MOST_CONCURRENT:
            self._report.add(
                diagnostics.INVALID_VALUE,
                f"the map of {owner} may run too many slots at once",
                at=at,
                expected=f"at most {MOST_CONCURRENT:,}, or 0 for as many as the execution may",
                given=f"{node.concurrency:,}",
            )

    def wanted(
        self, node: MapNode, of: calls.Call, inputs: Sequence[Binding], binder: Binder, at: int
    ) -> tuple[calls.Wanted, list[str]]:
        """What the map's inputs are to be bound to, and the names of those that are mapped, in the task's order."""
        given: dict[str, BindingValue] = {}
        for binding in inputs:
            given.setdefault(binding.variable, binding.value)
        mapped = self._named(node, of, given, binder, at) if node.over else self._found(of, given, binder, at)
        variables = dict(of.wanted.variables)
        whats = dict(of.wanted.whats)
        for name, type_ in mapped.items():
            variables[name] = interfaces.Input(type_, None, False, 0)
            whats[name] = f"mapped {whats[name]}"
        defaults = {
            name: default
            for name, default in of.wanted.defaults.items()
            if name not in mapped  # a default is for one slot
        }
        wanted = calls.Wanted(variables, of.wanted.kind, of.owner, whats, defaults)
        return wanted, [name for name in variables if name in mapped]

    def check_lengths(self, bindings: Sequence[Binding], mapped: Sequence[str], owner: str, at: int) -> None:
        """Notes lists that are there already, and are not of one length."""
        names = set(mapped)
        lengths = {
            binding.variable: length
            for binding in bindings
            if binding.variable in names and (length := _length(binding.value)) is not None
        }
        if len(set(lengths.values())) < 2:
            return
        shown = [f"`{name}` has {length:,}" for name, length in lengths.items()]
        self._report.add(
            diagnostics.MAP_LENGTHS_DIFFER,
            f"the map of {owner} is over lists of different lengths",
            at=at,
            expected="as many elements in each",
            given=", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else ""),
            hint="a value that is the same for all slots is given as it is, outside a list",
        )

    # Which inputs are mapped

    def _named(
        self, node: MapNode, of: calls.Call, given: Mapping[str, BindingValue], binder: Binder, at: int
    ) -> dict[str, LiteralType | None]:
        mapped: dict[str, LiteralType | None] = {}
        for name in node.over:
            if self._report.full:
                break
            if name not in of.wanted.variables:
                self._report.add(
                    diagnostics.VARIABLE_NAME_NOT_FOUND,
                    f"the map is over input `{cut(name, 100)}`, which {of.owner} does not have",
                    at=at,
                    expected=some_of(of.wanted.variables),
                    given=name,
                    hint=self._report.did_you_mean(name, of.wanted.variables),
                )
            elif name in mapped:
                self._report.add(
                    diagnostics.INVALID_VALUE,
                    f"the map of {of.owner} is over input `{name}` twice",
                    at=at,
                    given=name,
                    hint="name it once",
                )
            else:
                mapped[name] = self._list_of(of.wanted.variables[name].type)
                kind = _other_than_list(given.get(name), binder)
                if kind:
                    self._no_list(name, kind, mapped[name], of, at)
                    mapped[name] = None
        return mapped

    def _found(
        self, of: calls.Call, given: Mapping[str, BindingValue], binder: Binder, at: int
    ) -> dict[str, LiteralType | None]:
        """The inputs that fit as lists only; of one that can't be told, or fits neither way, nothing is said here."""
        mapped: dict[str, LiteralType | None] = {}
        sure = True
        for name, variable in of.wanted.variables.items():
            value, list_ = given.get(name), self._list_of(variable.type)
            if value is None:
                continue
            if variable.type is None or list_ is None:
                sure = False
                continue
            as_one, as_list = binder.fits(value, variable.type), binder.fits(value, list_)
            if as_one and as_list:
                source = binder.look(value)
                given_as = _kind(value) if source is None else self._report.text(source)
                self._ambiguous(name, (list_, variable.type), given_as, of, at)
                sure = False
            elif as_list or (not as_one and _is_list(value, binder)):
                mapped[name] = list_
            elif not as_one:
                sure = False
        if sure and not mapped:
            self._report.add(
                diagnostics.MAP_INPUT_NOT_LIST,
                f"the map of {of.owner} is over nothing",
                at=at,
                label="none of its inputs is given a list of what the task takes",
                hint=f"call {of.owner} itself, or give a list of values"
                if given
                else "give it a list of values",
            )
        return mapped

    def _no_list(self, name: str, kind: str, list_: LiteralType | None, of: calls.Call, at: int) -> None:
        self._report.add(
            diagnostics.MAP_INPUT_NOT_LIST,
            f"the map of {of.owner} is over input `{name}`, which is given no list",
            at=at,
            expected="a list" if list_ is None else self._report.text(list_),
            given=kind,
            hint="leave it out of `over`: it is the same for all slots",
        )

    def _ambiguous(
        self, name: str, types: tuple[LiteralType, LiteralType], given: str, of: calls.Call, at: int
    ) -> None:
        self._report.add(
            diagnostics.AMBIGUOUS_MAP_INPUT,
            f"input `{name}` of {of.owner} could be mapped, or be the same for all slots",
            at=at,
            expected=", or ".join(map(self._report.text, types)),
            given=given,
            label="what it is given fits both ways",
            hint=f'say which inputs are mapped: `over=("{name}",)`',
        )

    # Types

    def _list_of(self, type_: LiteralType | None) -> LiteralType | None:
        """The list of a type, one message for each; None when that would be nested too deep."""
        if type_ is None:
            return None
        if id(type_) not in self._lists:
            deep = literal_types.depth(type_) >= literal_types.MAX_DEPTH
            self._lists[id(type_)] = None if deep else self._types.shared(literal_types.list_of(type_))
        return self._lists[id(type_)]

    def _listed(self, type_: LiteralType | None, partial: bool) -> LiteralType | None:
        if type_ is None:
            return None
        element = self._types.shared(literal_types.optional(type_)) if partial else type_
        made = self._list_of(element)
        if made is None:
            self._report.add(
                diagnostics.NESTING_TOO_DEEP,
                "a map gives a list that is nested too deep",
                expected=f"at most {literal_types.MAX_DEPTH} levels",
                given=self._report.text(type_),
            )
        return made


def _length(value: BindingValue) -> int | None:
    """How many slots a value makes, where that is known."""
    match value.WhichOneof("value"):
        case "list":
            return len(value.list.elements)
        case "literal" if value.literal.HasField("list"):
            return literals.length(value.literal.list)
        case _:
            return None


def _is_list(value: BindingValue, binder: Binder) -> bool:
    match value.WhichOneof("value"):
        case "promise":
            source = binder.look(value)
            return source is not None and source.HasField("list")
        case "literal":
            return _untagged(value.literal).HasField("list")
        case kind:
            return kind == "list"


def _other_than_list(value: BindingValue | None, binder: Binder) -> str:
    """What a value is that is certainly no list; empty where it is one, or where that is not known."""
    match value.WhichOneof("value") if value is not None else None:
        case "promise":
            assert value is not None
            source = binder.look(value)
            return "" if source is None or source.HasField("list") else literal_types.text(source)
        case "literal":
            assert value is not None
            constant = _untagged(value.literal)
            return (
                ""
                if constant.WhichOneof("value") in ("list", "offloaded", None)
                else f"a {constant.WhichOneof('value')}"
            )
        case kind:
            return kind if kind in _NOT_LISTS else ""


def _untagged(literal: Literal) -> Literal:
    return literal.union.value if literal.HasField("union") else literal


def _kind(value: BindingValue) -> str:
    found = value.literal if value.HasField("literal") else value
    return f"a {found.WhichOneof('value')}"
