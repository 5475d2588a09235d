"""Values that a workflow's body handles while it is traced: they stand for what a node will give.

A promise may be passed on, taken apart along its type (`.field`, `[0]`), and nothing else: what would need the value
now is an error that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from typedflow import literal_types, spelling
from typedflow.authoring import definitions, source
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, types_pb2, workflows_pb2


class Promise:
    """The value that a node will give, or that the workflow will be given.

    The message and its type are kept under names that no field of a record is likely to have.
    """

    __slots__ = ("typedflow_promise", "typedflow_type", "typedflow_workflow")

    def __init__(self, workflow: str, promise: workflows_pb2.Promise, type_: types_pb2.LiteralType) -> None:
        self.typedflow_workflow = workflow
        self.typedflow_promise = promise
        self.typedflow_type = type_

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
        return Promise(self.typedflow_workflow, promise, _at(self.typedflow_type, step))

    def __repr__(self) -> str:
        promise = self.typedflow_promise
        path = "".join(f".{s.field}" if s.HasField("field") else f"[{s.index}]" for s in promise.path)
        where = f"{promise.node}.{promise.variable}" if promise.node else promise.variable
        return f"<promise of {where}{path}: {literal_types.text(self.typedflow_type)}>"

    def __hash__(self) -> int:
        return id(self)

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
        self.typedflow_fail(
            diagnostics.PROMISE_USED_AS_VALUE,
            f"{self!r} is {how}, but its value is known only when the workflow runs",
            hint,
        )

    def typedflow_fail(self, code: str, message: str, hint: str) -> NoReturn:
        raise definitions.as_error(
            [
                diagnostics_pb2.Diagnostic(
                    code=code,
                    message=message,
                    workflow=self.typedflow_workflow,
                    node=self.typedflow_promise.node,
                    position=source.caller(),
                    hint=hint,
                )
            ]
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


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
    setattr(Promise, f"__{_name}__", _refuses("used in arithmetic"))
    setattr(Promise, f"__r{_name}__", _refuses("used in arithmetic"))
for _name in ("neg", "pos", "abs", "invert", "int", "float", "index", "round"):
    setattr(Promise, f"__{_name}__", _refuses("used in arithmetic"))
setattr(Promise, "__call__", _refuses("called"))  # noqa: B010 - not for type checkers: a promise is not callable
for _name in ("lt", "le", "gt", "ge"):
    setattr(Promise, f"__{_name}__", _refuses("compared"))


def outputs(form: type, promises: Mapping[str, Promise], what: str) -> Any:
    """Several promises as the tuple, or the author's NamedTuple, that the function is annotated to return."""
    if form is tuple:
        return tuple(promises.values())

    def missing(_: object, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        nearest = spelling.nearest(name, list(promises))
        next(iter(promises.values())).typedflow_fail(
            diagnostics.FIELD_NOT_FOUND,
            f"{what} gives {', '.join(f'`{n}`' for n in promises)}, not `{name}`",
            f"did you mean `{nearest}`?" if nearest else "",
        )

    return type(form.__name__, (form,), {"__slots__": (), "__getattr__": missing})(**promises)
