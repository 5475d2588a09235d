"""Values that a workflow's body handles while it is traced: they stand for what a node will give.

A promise may be passed on, taken apart along its type (`.field`, `[0]`), and nothing else: what would need the value
now is an error that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from typedflow import errors, literal_types, spelling
from typedflow.authoring import definitions, source
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, types_pb2, workflows_pb2


class Origin(Protocol):
    """The trace that a promise was made in: it means something there and nowhere else."""

    name: str


class Promise:
    """The value that a node will give, or that the workflow will be given.

    The message and its type are kept under names that no field of a record is likely to have. A message without a
    variable is a gap: the place of a value that is missing or wrong, which has been told.
    """

    __slots__ = ("typedflow_origin", "typedflow_promise", "typedflow_type")

    def __init__(self, origin: Origin, promise: workflows_pb2.Promise, type_: types_pb2.LiteralType) -> None:
        self.typedflow_origin = origin
        self.typedflow_promise = promise
        self.typedflow_type = type_

    @property
    def typedflow_nodes(self) -> Sequence[str]:
        """The nodes that have to succeed before it is kept: none for an input of the workflow."""
        return (self.typedflow_promise.node,) if self.typedflow_promise.node else ()

    def __getattr__(self, name: str) -> Promise:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._step(workflows_pb2.PathStep(field=name))

    def __getitem__(self, key: object) -> Promise:
        if isinstance(key, str):
            return self._step(workflows_pb2.PathStep(field=key))
        if isinstance(key, int) and not isinstance(key, bool):
            return self._step(workflows_pb2.PathStep(index=key))
        return self._refuse(f"indexed by {key!r}", "index it with a number or a field's name")

    def _step(self, step: workflows_pb2.PathStep) -> Promise:
        promise = workflows_pb2.Promise()
        promise.CopyFrom(self.typedflow_promise)
        promise.path.append(step)
        return Promise(self.typedflow_origin, promise, _at(self.typedflow_type, step))

    def __repr__(self) -> str:
        promise = self.typedflow_promise
        path = "".join(f".{s.field}" if s.HasField("field") else f"[{s.index}]" for s in promise.path)
        where = f"{promise.node}.{promise.variable}" if promise.node else promise.variable
        return f"<promise of {where}{path}: {literal_types.text(self.typedflow_type)}>"

    def __hash__(self) -> int:
        return id(self)

    def __copy__(self) -> Promise:
        return self

    def __deepcopy__(self, memo: object) -> Promise:
        return self

    def __str__(self) -> str:
        return self._refuse("made into a text", "make the text inside a task; `repr` shows what is promised")

    def __bool__(self) -> bool:
        return self._refuse("used as a truth value", "decide inside a task")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("iterated over", "loop inside a task")

    def __len__(self) -> int:
        return self._refuse("asked for its length", "take it inside a task")

    def __format__(self, spec: str) -> str:
        self._refuse("formatted into a text", "make the text inside a task")

    def __contains__(self, item: object) -> bool:
        self._refuse("searched", "search inside a task")

    def __eq__(self, other: object) -> bool:
        self._refuse("compared", "compare inside a task")

    def __ne__(self, other: object) -> bool:
        self._refuse("compared", "compare inside a task")

    def _refuse(self, how: str, hint: str) -> NoReturn:
        message = f"{self!r} is {how}, but its value is known only when the workflow runs"
        raise _mistake(
            self.typedflow_origin,
            self.typedflow_promise.node,
            diagnostics.PROMISE_USED_AS_VALUE,
            message,
            hint,
        )


def _at(type_: types_pb2.LiteralType, step: workflows_pb2.PathStep) -> types_pb2.LiteralType:
    """The type one step further; the one that nothing has where the step leads nowhere, which the compiler tells."""
    if step.HasField("field"):
        found = literal_types.field(type_, step.field)
        return found.type if found else types_pb2.LiteralType()
    return type_.list.element


def _refuses(how: str) -> Any:
    def refuse(self: Promise, *_: object, **__: object) -> NoReturn:
        self._refuse(how, "do it inside a task")

    return refuse


for _name in (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
):
    setattr(Promise, f"__{_name}__", _refuses("used in arithmetic"))
    setattr(Promise, f"__r{_name}__", _refuses("used in arithmetic"))
for _name in ("neg", "pos", "abs", "invert", "int", "float", "index", "round"):
    setattr(Promise, f"__{_name}__", _refuses("used in arithmetic"))
for _name, _how in (("call", "called"), ("await", "awaited"), ("reduce_ex", "pickled")):
    setattr(
        Promise, f"__{_name}__", _refuses(_how)
    )  # not for type checkers: to them a promise is no callable
for _name in ("lt", "le", "gt", "ge"):
    setattr(Promise, f"__{_name}__", _refuses("compared"))


class Nothing(Promise):
    """What the call of a task or a sub-workflow without outputs gives: good for `after` only."""

    __slots__ = ("_nodes",)

    def __init__(self, origin: Origin, called: str, nodes: Sequence[str]) -> None:
        super().__init__(origin, workflows_pb2.Promise(node=called), literal_types.NONE)
        self._nodes = nodes

    @property
    def typedflow_nodes(self) -> Sequence[str]:
        return self._nodes

    def _step(self, step: workflows_pb2.PathStep) -> NoReturn:  # noqa: ARG002 - any step is one too many
        self._refuse("taken apart", "use it in `after(...)`, or let what is called return a value")

    def __repr__(self) -> str:
        return f"<end of {self.typedflow_promise.node}, which gives nothing>"


def of_result(value: Any) -> list[Promise]:
    """The promises that a call gave. Raises DefinitionError for what is not a call's result."""
    if isinstance(value, Promise):
        return [value]
    if isinstance(value, tuple) and value:
        return [each for part in value for each in of_result(part)]
    raise errors.DefinitionError(
        f"after({value!r:.80}) is given a {type(value).__name__}",
        where=definitions.place(source.caller()),
        code=diagnostics.INVALID_VALUE,
        hint="give it the results of task calls, as in `train.after(prepared)(df=df)`",
    )


def outputs(form: type, values: Mapping[str, Any], origin: Origin, node: str, what: str) -> Any:
    """Several results as the tuple, or the author's NamedTuple, that the function is annotated to return."""
    if form is tuple:
        return tuple(values.values())

    def missing(_: object, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        nearest = spelling.nearest(name, list(values))
        message = f"{what} gives {', '.join(f'`{n}`' for n in values)}, not `{name}`"
        hint = f"did you mean `{nearest}`?" if nearest else ""
        raise _mistake(origin, node, diagnostics.FIELD_NOT_FOUND, message, hint)

    return type(form.__name__, (form,), {"__slots__": (), "__getattr__": missing})(**values)


def _mistake(origin: Origin, node: str, code: str, message: str, hint: str) -> errors.DefinitionError:
    mistake = diagnostics_pb2.Diagnostic(
        code=code, message=message, workflow=origin.name, node=node, position=source.author(), hint=hint
    )
    return definitions.as_error([mistake])
