"""Values that a workflow's body handles while it is traced: they stand for what a node will give.

A promise may be passed on, taken apart along its type (`.field`, `["key"]`, `[0]`), compared for a condition, and
nothing else: what would need the value now is an error that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from typedflow import errors, literal_types, literals, spelling, type_engine
from typedflow.authoring import condition, definitions, hints, signature, source
from typedflow.authoring.condition import Condition
from typedflow.compiler import diagnostics
from typedflow.pb import literals_pb2, types_pb2, workflows_pb2

_UNKNOWN = "its value is known only when the workflow runs"


class Origin(condition.Origin, Protocol):
    """The trace that a promise was made in."""

    keep: Callable[[literals_pb2.Literal], literals_pb2.Literal]

    def no_such_part(
        self, promise: workflows_pb2.Promise, given: types_pb2.LiteralType, step: workflows_pb2.PathStep
    ) -> None:
        """Notes, on the author's line, that a value has no such part."""
        ...

    def note(self, code: str, message: str, node: str, *, label: str = "", hint: str = "") -> None:
        """Notes what is wrong on the author's line."""
        ...

    def give_up(self) -> None:
        """Raises what was noted last, as it leaves nothing to go on with."""
        ...


class Promise:
    """The value that a node will give, or that the workflow will be given.

    What it knows of itself is kept under names that no field of a record is likely to have. A message without a
    variable is a gap: the place of a value that is missing or wrong, which has been told.
    """

    __slots__ = (
        "typedflow_annotation",
        "typedflow_nodes",
        "typedflow_origin",
        "typedflow_promise",
        "typedflow_type",
    )

    def __init__(
        self,
        origin: Origin,
        promise: workflows_pb2.Promise,
        type_: types_pb2.LiteralType,
        annotation: Any = hints.UNKNOWN,
        nodes: Sequence[str] | None = None,
    ) -> None:
        self.typedflow_origin: Origin = origin
        self.typedflow_promise: workflows_pb2.Promise = promise
        self.typedflow_type: types_pb2.LiteralType = type_
        self.typedflow_annotation: Any = annotation
        # Those that have to succeed before it is kept: none for an input of the workflow.
        own = (promise.node,) if promise.node else ()
        self.typedflow_nodes: Sequence[str] = own if nodes is None else nodes

    def typedflow_bind(self, target: workflows_pb2.BindingValue) -> None:
        """Writes it down where it is used; a gap leaves nothing."""
        if self.typedflow_promise.variable:
            target.promise.CopyFrom(self.typedflow_promise)

    def typedflow_taken_as(
        self, type_: types_pb2.LiteralType, annotation: Any, nodes: Sequence[str] | None = None
    ) -> Promise:
        """The same value, known from here on as one of a type that it is assignable to.

        `nodes` are those of the call that gives it, where it is kept only after these.
        """
        kept = self.typedflow_nodes
        if nodes is not None:
            own = self.typedflow_promise.node
            kept = [own, *nodes] if own and own not in nodes else nodes
        return Promise(self.typedflow_origin, self.typedflow_promise, type_, annotation, kept)

    def __getattr__(self, name: str) -> Promise:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._step(workflows_pb2.PathStep(field=name))

    def __getitem__(self, key: object) -> Promise:
        if isinstance(key, str):
            is_record = self.typedflow_type.WhichOneof("type") == "record"
            return self._step(
                workflows_pb2.PathStep(field=key) if is_record else workflows_pb2.PathStep(key=key)
            )
        if isinstance(key, int) and not isinstance(key, bool):
            return self._step(workflows_pb2.PathStep(index=key))
        return self._refuse(f"indexed by {key!r}", "index it with a number, a key or a field's name")

    def _step(self, step: workflows_pb2.PathStep) -> Promise:
        promise = workflows_pb2.Promise()
        promise.CopyFrom(self.typedflow_promise)
        promise.path.append(step)
        found = literal_types.at(self.typedflow_type, step)
        if found is None and is_known(self):
            self.typedflow_origin.no_such_part(self.typedflow_promise, self.typedflow_type, step)
        annotation = hints.at(self.typedflow_annotation, step)
        return Promise(
            self.typedflow_origin, promise, found or types_pb2.LiteralType(), annotation, self.typedflow_nodes
        )

    def __repr__(self) -> str:
        return f"<promise of {path_text(self.typedflow_promise)}: {literal_types.text(self.typedflow_type)}>"

    def __hash__(self) -> int:
        return id(self)

    def __copy__(self) -> Promise:
        return self

    def __deepcopy__(self, memo: object) -> Promise:
        return self

    def __str__(self) -> str:
        return self._refuse("made into a text", "make the text inside a task; `repr` shows what is promised")

    def __bool__(self) -> bool:
        return self._refuse(
            "used as a truth value (by `if`, `and`, `or`, `not` or `in`)",
            "decide inside a task, or with `conditional(...)`; conditions are combined with `&`, `|` and `~`",
        )

    def __iter__(self) -> Iterator[Any]:
        type_ = self.typedflow_type
        if type_.WhichOneof("type") == "record" and type_.record.positional:
            return iter([self[i] for i in range(len(type_.record.fields))])  # `low, high = pair(n=n)`
        return self._refuse(
            "iterated over", "loop inside a task, or run one for each element with `map_task`"
        )

    def __len__(self) -> int:
        return self._refuse("asked for its length", "take it inside a task")

    def __format__(self, spec: str) -> str:
        self._refuse("formatted into a text", "make the text inside a task")

    def __contains__(self, item: object) -> bool:
        self._refuse("searched", "search inside a task")

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]  # for a branch
        return self._compare(workflows_pb2.OPERATOR_EQUAL, other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]  # likewise
        return self._compare(workflows_pb2.OPERATOR_NOT_EQUAL, other)

    def __lt__(self, other: object) -> Condition:
        return self._compare(workflows_pb2.OPERATOR_LESS, other)

    def __le__(self, other: object) -> Condition:
        return self._compare(workflows_pb2.OPERATOR_LESS_OR_EQUAL, other)

    def __gt__(self, other: object) -> Condition:
        return self._compare(workflows_pb2.OPERATOR_GREATER, other)

    def __ge__(self, other: object) -> Condition:
        return self._compare(workflows_pb2.OPERATOR_GREATER_OR_EQUAL, other)

    def __and__(self, other: object) -> Condition:
        first, second = self._both(other)
        return first & second

    def __rand__(self, other: object) -> Condition:
        first, second = self._both(other)
        return second & first

    def __or__(self, other: object) -> Condition:
        first, second = self._both(other)
        return first | second

    def __ror__(self, other: object) -> Condition:
        first, second = self._both(other)
        return second | first

    def __invert__(self) -> Condition:
        return ~_truth(self)

    def _compare(self, operator: workflows_pb2.Operator.ValueType, other: object) -> Condition:
        comparison = workflows_pb2.Comparison(operator=operator)
        self.typedflow_bind(comparison.left)
        promises = [self]
        if isinstance(other, Promise):
            other.typedflow_bind(comparison.right)
            promises.append(other)
        else:
            self._constant(comparison.right, other)
        return Condition(self.typedflow_origin, workflows_pb2.Condition(comparison=comparison), promises)

    def _constant(self, target: workflows_pb2.BindingValue, value: object) -> None:
        """A value that it is compared with, as of its own type; the compiler takes it to the promise's."""
        if isinstance(value, Condition):
            bool(value)  # refuses
        try:
            made = signature.types().converter(type(value)).to_literal(value, "", type_engine.NO_DATA)
        except (errors.ConversionError, errors.DefinitionError) as error:
            self.typedflow_origin.refuse(
                diagnostics.CONDITION_TYPE_MISMATCH,
                f"{_what(self)} is compared with {value!r:.100}: {error.message}",
                self.typedflow_promise.node,
                hint="compare it with a number, a text, a bool, a date or None, or compare inside a task",
            )
        else:
            target.literal.CopyFrom(self._tagged(made))

    def _tagged(self, constant: literals_pb2.Literal) -> literals_pb2.Literal:
        """The constant as of the union that this is of.

        In a called workflow the value may turn out to be of a type that the constant is none of.
        """
        if not self.typedflow_type.HasField("union"):
            return constant
        try:
            return literals.constant(constant, self.typedflow_type, "")
        except errors.ConversionError:
            return constant  # the compiler tells

    def _both(self, other: object) -> tuple[Condition, Condition]:
        """Of `&` and `|`: the promise and the other side as conditions."""
        if isinstance(other, Promise):
            return _truth(self), _truth(other)
        if isinstance(other, Condition):
            return _truth(self), other
        if isinstance(other, bool):
            return _truth(self), condition.constant(self.typedflow_origin, other)
        return self._refuse("used in arithmetic", f"do it inside a task; {condition.HINT}")

    def _refuse(self, how: str, hint: str) -> NoReturn:
        if not is_known(self):
            self.typedflow_origin.give_up()  # `len(text.upper)`: that there is no such part is what is wrong
        self.typedflow_origin.refuse(
            diagnostics.PROMISE_USED_AS_VALUE,
            f"{_what(self)} is {how}, but {_UNKNOWN}",
            self.typedflow_promise.node,
            label=_label(self),
            hint=hint,
        )

    def _miss(self, how: str, hint: str) -> Promise:
        """The same where the body can go on, with a gap, so that what comes after it is told too."""
        if is_known(self):
            self.typedflow_origin.note(
                diagnostics.PROMISE_USED_AS_VALUE,
                f"{_what(self)} is {how}, but {_UNKNOWN}",
                self.typedflow_promise.node,
                label=_label(self),
                hint=hint,
            )
        return Promise(self.typedflow_origin, workflows_pb2.Promise(), types_pb2.LiteralType())


def as_condition(promise: Promise) -> Condition:
    """What is true when the promised value is; the compiler tells of one that is no bool."""
    message = workflows_pb2.Condition(value=workflows_pb2.BindingValue())
    promise.typedflow_bind(message.value)
    return Condition(promise.typedflow_origin, message, [promise])


def _truth(promise: Promise) -> Condition:
    """A promise of a bool as a condition; of anything else it is arithmetic that is meant."""
    type_ = literal_types.plain(promise.typedflow_type)
    if is_known(promise) and not literal_types.equal(type_, literal_types.BOOL):
        promise.typedflow_origin.refuse(
            diagnostics.PROMISE_USED_AS_VALUE,
            f"{_what(promise)} is used with `&`, `|` or `~`, but it is no bool and {_UNKNOWN}",
            promise.typedflow_promise.node,
            label=_label(promise),
            hint=f"do arithmetic inside a task; {condition.HINT}",
        )
    return as_condition(promise)


def is_known(promise: Promise) -> bool:
    """Whether its type is known; where it is not, that has been told."""
    return promise.typedflow_type.WhichOneof("type") is not None


def path_text(promise: workflows_pb2.Promise) -> str:
    """As the compiler names it: `prep.rows[0]`; the one output without a name of its own is its node."""
    named = promise.node and promise.variable not in ("", "o0")
    where = f"{promise.node}.{promise.variable}" if named else promise.node or promise.variable
    return where + "".join(map(step_text, promise.path))


def _what(promise: Promise) -> str:
    """For messages: "the result of `prep`", "the input `n`"."""
    of = promise.typedflow_promise
    shown = f"`{path_text(of)}`"
    if of.path:
        return shown
    return f"the result of {shown}" if of.node else f"the input {shown}"


def _label(promise: Promise) -> str:
    return f"it is a promise of {literal_types.text(promise.typedflow_type)}"


def step_text(step: workflows_pb2.PathStep) -> str:
    """`.field`, `[0]` or `['key']`."""
    match step.WhichOneof("step"):
        case "field":
            return f".{step.field}"
        case "key":
            return f"[{step.key!r}]"
        case _:
            return f"[{step.index}]"


def _refuses(how: str) -> Any:
    def refuse(self: Promise, *_: object, **__: object) -> NoReturn:
        self._refuse(how, "do it inside a task")

    return refuse


def _misses(how: str) -> Any:
    def miss(self: Promise, *_: object, **__: object) -> Promise:
        return self._miss(how, "do it inside a task")

    return miss


for _name in (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul"),
    *("xor", "lshift", "rshift"),
):
    setattr(Promise, f"__{_name}__", _misses("used in arithmetic"))
    setattr(Promise, f"__r{_name}__", _misses("used in arithmetic"))
for _name in ("neg", "pos", "abs", "round"):
    setattr(Promise, f"__{_name}__", _misses("used in arithmetic"))
for _name in ("int", "float", "index"):
    setattr(Promise, f"__{_name}__", _refuses("made into a number"))
# Not for type checkers: to them a promise is no callable.
for _name, _does in (
    ("call", _misses("called")),
    ("await", _refuses("awaited")),
    ("reduce_ex", _refuses("pickled")),
):
    setattr(Promise, f"__{_name}__", _does)


class Nothing(Promise):
    """What the call of a task or a sub-workflow without outputs gives: good for `after` only."""

    __slots__ = ()

    def __init__(self, origin: Origin, called: str, nodes: Sequence[str]) -> None:
        super().__init__(origin, workflows_pb2.Promise(node=called), literal_types.NONE, nodes=nodes)

    def _step(self, step: workflows_pb2.PathStep) -> NoReturn:  # noqa: ARG002 - any step is one too many
        self._refuse("taken apart", "use it in `after(...)`, or let what is called return a value")

    def _compare(self, operator: workflows_pb2.Operator.ValueType, other: object) -> NoReturn:  # noqa: ARG002
        self._refuse("compared", "use it in `after(...)`, or let what is called return a value")

    def __repr__(self) -> str:
        return f"<end of {self.typedflow_promise.node}, which gives nothing>"


class Failure(Promise):
    """Why the execution failed, which what is called `on_failure` may be given: handed over whole."""

    __slots__ = ()

    def __init__(self, origin: Origin, type_: types_pb2.LiteralType, annotation: Any) -> None:
        super().__init__(origin, workflows_pb2.Promise(variable="error"), type_, annotation)

    def typedflow_taken_as(
        self,
        type_: types_pb2.LiteralType,
        annotation: Any,
        nodes: Sequence[str] | None = None,  # noqa: ARG002 - it comes after all others
    ) -> Promise:
        return Failure(self.typedflow_origin, type_, annotation)

    def typedflow_bind(self, target: workflows_pb2.BindingValue) -> None:
        target.error.SetInParent()

    def _step(self, step: workflows_pb2.PathStep) -> NoReturn:  # noqa: ARG002 - any step is one too many
        self._refuse(
            "taken apart", "give it to a task whole, as `error: ExecutionError`, and take it apart there"
        )

    def _compare(self, operator: workflows_pb2.Operator.ValueType, other: object) -> NoReturn:  # noqa: ARG002
        self._refuse("compared", "give it to a task whole, as `error: ExecutionError`, and decide there")


def of_result(value: Any, what: str = "after") -> list[Promise]:
    """The promises that a call gave. Raises DefinitionError for what is not a call's result."""
    if isinstance(value, Promise):
        return [value]
    if isinstance(value, tuple) and value:
        return [each for part in value for each in of_result(part, what)]
    raise errors.DefinitionError(
        f"{what}({value!r:.80}) is given a {type(value).__name__}",
        where=definitions.place(source.caller()),
        code=diagnostics.INVALID_VALUE,
        hint="give it the results of task calls, as in `train.after(prepared)(df=df)`",
    )


def outputs(form: type, values: Mapping[str, Any], origin: Origin, node: str, what: str) -> Any:
    """Several results as the tuple, or the author's NamedTuple, that the function is annotated to return."""
    if form is tuple:
        return tuple(values.values())

    def missing(_: object, name: str) -> Promise:
        if name.startswith("_"):
            raise AttributeError(name)
        nearest = spelling.nearest(name, list(values))
        message = f"{what} gives {', '.join(f'`{n}`' for n in values)}, not `{name}`"
        hint = f"did you mean `{nearest}`?" if nearest else ""
        origin.note(diagnostics.FIELD_NOT_FOUND, message, node, hint=hint)
        return Promise(origin, workflows_pb2.Promise(), types_pb2.LiteralType())

    body = {"__slots__": (), "__getattr__": missing, "typedflow_form": form}
    return type(form.__name__, (form,), body)(**values)


def form_of(value: tuple[Any, ...]) -> type:
    """The author's NamedTuple of which these are the fields, or `tuple`."""
    form: type = getattr(type(value), "typedflow_form", type(value))
    return form if hasattr(form, "_fields") else tuple
