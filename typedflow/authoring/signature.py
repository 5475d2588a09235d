"""A Python function's signature as an interface: names, types, defaults and outputs.

Everything that a call needs later (converters, the order of parameters, the form of the result) is worked out once, at
definition.
"""

from __future__ import annotations

import collections
import inspect
import keyword
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from typedflow import errors, literal_types, type_engine
from typedflow.authoring import source
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, interface_pb2
from typedflow.type_engine import shared

NO_DEFAULT = inspect.Parameter.empty


def types() -> type_engine.TypeEngine:
    """The type engine that the decorators use, with the transformers that authors have registered."""
    return shared.types()


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    annotation: Any
    converter: type_engine.Converter
    default: Any  # NO_DEFAULT when it is required


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    annotation: Any
    converter: type_engine.Converter


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's parameters and outputs.

    Attributes:
        form: the NamedTuple class of a whole return, `tuple` for a plain tuple, None for one value or none.
    """

    parameters: Mapping[str, Parameter]
    outputs: tuple[Output, ...]
    form: type | None
    interface: interface_pb2.Interface

    def output_text(self, name: str, of: str) -> str:
        """One of its outputs for messages, as the compiler calls it."""
        return f"the result of {of}" if self.form is None and name == "o0" else f"output `{name}` of {of}"

    @property
    def takes_none(self) -> bool:
        """Whether None is a whole result of it."""
        if self.form is not None or not self.outputs:
            return not self.outputs
        return literal_types.is_assignable(literal_types.NONE, self.outputs[0].converter.type) is None

    def result(self, values: Sequence[Any]) -> Any:
        """Outputs in order, in the form in which the function returns them."""
        if self.form is None:
            return values[0] if values else None
        return tuple(values) if self.form is tuple else self.form(*values)

    def values(self, result: Any, name: str) -> Sequence[Any]:
        """The inverse of `result`. Raises ConversionError for a result of another form."""
        if self.form is None:
            if self.outputs:
                return (result,)
            if result is not None:
                raise errors.ConversionError(
                    f"`{name}` returned a {type(result).__name__}, but is annotated to return None",
                    where="outputs",
                    hint="annotate what it returns, as in `-> int`",
                )
            return ()
        if not isinstance(result, tuple) or len(result) != len(self.outputs):
            got = (
                f"{len(result)} values"
                if isinstance(result, tuple)
                else f"{result!r:.80} ({type(result).__name__})"
            )
            names = ", ".join(output.name for output in self.outputs)
            raise errors.ConversionError(
                f"`{name}` must return {len(self.outputs)} values ({names}), not {got}", where="outputs"
            )
        if self.form is not tuple and getattr(result, "_fields", None) not in {
            None,
            tuple(o.name for o in self.outputs),
        }:
            raise errors.ConversionError(
                f"`{name}` must return {self.form.__name__}, not {type(result).__name__}", where="outputs"
            )
        return result


class Broken(Exception):
    """A signature with mistakes; the diagnostics tell them."""

    def __init__(self, diagnostics: list[diagnostics_pb2.Diagnostic]) -> None:
        super().__init__()
        self.diagnostics = diagnostics


def read(function: FunctionType, name: str, kind: str, scope: Mapping[str, Any]) -> Signature:
    """A function's signature. Raises Broken with every mistake in it.

    Args:
        name: for messages, `train`.
        kind: for messages, `task`.
        scope: names that annotations may refer to beside the function's globals: the locals where it is defined.
    """
    return _Reader(function, name, kind, scope).signature()


def declare(
    inputs: Mapping[str, tuple[Any, Any]], outputs: Mapping[str, Any], descriptions: Mapping[str, str]
) -> Signature:
    """The signature of what is no Python function.

    Args:
        inputs: annotation and default (NO_DEFAULT: required) by name.
        outputs: annotations by name; one is given as it is, several as a NamedTuple of these names.
        descriptions: of inputs.

    Raises:
        DefinitionError: a name that is none, a type that has no place in an interface, a default that does not fit.
    """
    for name in (*inputs, *outputs):
        if not str(name).isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise errors.DefinitionError(
                f"{name!r:.80} can't be the name of an input or output",
                hint="use letters, digits and `_`, a letter first",
                code=diagnostics.INVALID_NAME,
            )
    interface = interface_pb2.Interface()
    parameters = {}
    for name, (annotation, default) in inputs.items():
        parameter = Parameter(name, annotation, _converter(annotation, f"input `{name}`"), default)
        parameters[name] = parameter
        variable = interface.inputs.add(
            name=name, type=parameter.converter.type, description=descriptions.get(name, "")
        )
        if default is not NO_DEFAULT:
            try:
                literal = parameter.converter.to_literal(default, name, type_engine.NO_DATA)
            except errors.ConversionError as error:
                message = f"the default of input `{name}` is wrong: {error.message}"
                raise errors.DefinitionError(message, hint=error.hint, code=error.code) from None
            variable.default.CopyFrom(literal)
    made = tuple(Output(name, each, _converter(each, f"output `{name}`")) for name, each in outputs.items())
    for output in made:
        interface.outputs.add(name=output.name, type=output.converter.type)
    form = collections.namedtuple("Outputs", list(outputs)) if len(made) > 1 else None  # noqa: PYI024 - names are data
    return Signature(parameters, made, form, interface)


def _converter(annotation: Any, what: str) -> type_engine.Converter:
    try:
        return types().converter(annotation)
    except errors.DefinitionError as error:
        raise errors.DefinitionError(f"{what}: {error.message}", hint=error.hint, code=error.code) from None


class _Reader:
    def __init__(self, function: FunctionType, name: str, kind: str, scope: Mapping[str, Any]) -> None:
        self.function = function
        self.name = name
        self.kind = kind
        self.scope = scope
        self.mistakes: list[diagnostics_pb2.Diagnostic] = []

    def signature(self) -> Signature:
        hints = self.hints()
        parameters = {}
        described = _descriptions(self.function.__doc__ or "")
        interface = interface_pb2.Interface()
        for parameter in inspect.signature(self.function).parameters.values():
            read = self.parameter(parameter, hints)
            if read is not None:
                parameters[read.name] = read
                variable = interface.inputs.add(
                    name=read.name, type=read.converter.type, description=described.get(read.name, "")
                )
                self.default(read, variable)
        outputs, form = self.outputs(hints)
        self.body(outputs)
        for output in outputs:
            interface.outputs.add(name=output.name, type=output.converter.type)
        if self.mistakes:
            raise Broken(self.mistakes)
        return Signature(parameters, outputs, form, interface)

    def hints(self) -> dict[str, Any]:
        scope = dict(zip(self.function.__code__.co_freevars, _cells(self.function), strict=True)) | dict(
            self.scope
        )
        try:
            return typing.get_type_hints(self.function, localns=scope, include_extras=True)
        except Exception as error:  # noqa: BLE001 - an annotation is any expression, and may raise anything
            self.mistake(
                diagnostics.UNSUPPORTED_TYPE,
                f"the annotations of {self.kind} `{self.name}` can't be read: {error}",
                hint="a type must be there when the module is imported, not only under `if TYPE_CHECKING:`"
                if isinstance(error, NameError)
                else "",
            )
            raise Broken(self.mistakes) from None

    def parameter(self, parameter: inspect.Parameter, hints: dict[str, Any]) -> Parameter | None:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            self.mistake(
                diagnostics.UNSUPPORTED_TYPE,
                f"parameter `{_shown(parameter)}` of {self.kind} `{self.name}` can't be given by name",
                hint="give every parameter a name and a type of its own",
                at=parameter.name,
            )
            return None
        if parameter.name not in hints:
            self.mistake(
                diagnostics.MISSING_ANNOTATION,
                f"parameter `{parameter.name}` of {self.kind} `{self.name}` has no type",
                expected="a type",
                hint="a method can't be one: write a function at the top level of the module"
                if parameter.name in ("self", "cls")
                else f"annotate it, as in `{parameter.name}: int`",
                at=parameter.name,
            )
            return None
        what = f"parameter `{parameter.name}` of {self.kind} `{self.name}`"
        converter = self.converter(hints[parameter.name], what, at=parameter.name)
        if converter is None:
            return None
        return Parameter(parameter.name, hints[parameter.name], converter, parameter.default)

    def default(self, parameter: Parameter, variable: interface_pb2.Variable) -> None:
        if parameter.default is NO_DEFAULT:
            return
        try:
            variable.default.CopyFrom(
                parameter.converter.to_literal(parameter.default, parameter.name, type_engine.NO_DATA)
            )
        except errors.ConversionError as error:
            self.mistake(
                diagnostics.INVALID_VALUE,
                f"the default of parameter `{parameter.name}` of {self.kind} `{self.name}` is wrong",
                expected=literal_types.text(parameter.converter.type),
                given=repr(parameter.default),
                label=error.message,
                hint=error.hint
                or (
                    f"annotate it `{shown(parameter.annotation)} | None`" if parameter.default is None else ""
                ),
                at=parameter.name,
            )

    def outputs(self, hints: dict[str, Any]) -> tuple[tuple[Output, ...], type | None]:
        if "return" not in hints:
            self.mistake(
                diagnostics.MISSING_ANNOTATION,
                f"{self.kind} `{self.name}` does not say what it returns",
                expected="a type, or None",
                hint="annotate it, as in `-> int` or `-> None`",
            )
            return (), None
        annotation = hints["return"]
        if annotation is type(None):
            return (), None
        named, form = _unfold(annotation)
        outputs = []
        for name, part in named.items():
            what = (
                f"the result of {self.kind} `{self.name}`"
                if form is None
                else f"output `{name}` of {self.kind} `{self.name}`"
            )
            converter = self.converter(part, what, at="return")
            if converter is not None:
                outputs.append(Output(name, part, converter))
        return tuple(outputs), form

    def body(self, outputs: Sequence[Output]) -> None:
        """Whether the result is there when the function returns, or is a stream that it gives by and by."""
        flags = self.function.__code__.co_flags
        if flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            self.mistake(
                diagnostics.UNSUPPORTED_TYPE,
                f"{self.kind} `{self.name}` is written with `async def`, and nothing awaits what it gives",
                hint="write a plain `def`"
                + (
                    "; it can run a coroutine: `return asyncio.run(work(...))`" if self.kind == "task" else ""
                ),
            )
        elif not flags & inspect.CO_GENERATOR:
            return
        elif self.kind != "task":
            self.mistake(
                diagnostics.UNSUPPORTED_TYPE,
                f"{self.kind} `{self.name}` is a generator, which gives its values by and by",
                hint="write `return` in place of `yield`",
            )
        elif len(outputs) != 1 or not outputs[0].converter.type.HasField("stream"):
            self.mistake(
                diagnostics.UNSUPPORTED_TYPE,
                f"task `{self.name}` is a generator, which its annotation does not say",
                hint="annotate what it yields, as in `-> Iterator[int]`, or write `return` in place of `yield`",
            )

    def converter(self, annotation: Any, what: str, at: str) -> type_engine.Converter | None:
        try:
            return types().converter(annotation)
        except errors.DefinitionError as error:
            message = f"{what}: {error.message}"
            self.mistake(error.code, message, given=shown(annotation), hint=error.hint, at=at)
            return None

    def mistake(
        self,
        code: str,
        message: str,
        *,
        expected: str = "",
        given: str = "",
        label: str = "",
        hint: str = "",
        at: str = "",
    ) -> None:
        """Notes it, at the function or at one of its parameters ("return": what it returns)."""
        self.mistakes.append(
            diagnostics_pb2.Diagnostic(
                code=code,
                message=message,
                workflow=self.name,
                position=source.declaration(self.function, at) if at else source.definition(self.function),
                expected=expected,
                given=given,
                label=label,
                hint=hint,
            )
        )


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"*{parameter.name}"
    return f"**{parameter.name}" if parameter.kind is parameter.VAR_KEYWORD else parameter.name


def _unfold(annotation: Any) -> tuple[Mapping[str, Any], type | None]:
    """The outputs of a return annotation by name, and their form."""
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        return typing.get_type_hints(annotation, include_extras=True), annotation
    if typing.get_origin(annotation) is tuple:
        parts = typing.get_args(annotation)
        if Ellipsis not in parts and parts:
            return {f"o{i}": part for i, part in enumerate(parts)}, tuple
    return {"o0": annotation}, None


def _cells(function: FunctionType) -> list[Any]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not filled yet: the name is bound later in the enclosing function
            cells.append(None)
    return cells


def shown(annotation: Any) -> str:
    """An annotation as its author may have written it."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _descriptions(doc: str) -> dict[str, str]:
    """Of parameters, from the `Args:` section of a Google-style docstring."""
    described: dict[str, str] = {}
    lines = iter(inspect.cleandoc(doc).splitlines())
    for line in lines:
        if line.strip() in ("Args:", "Arguments:", "Parameters:"):
            break
    name = ""
    for line in lines:
        if line and not line.startswith(" "):
            break
        head, colon, text = line.strip().partition(":")
        word = head.split("(")[0].strip()
        if colon and word.isidentifier():
            name = word
            described[name] = text.strip()
        elif name and line.strip():
            described[name] = f"{described[name]} {line.strip()}".strip()
    return described


def first_paragraph(doc: str | None) -> str:
    """Of a docstring, on one line."""
    return " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split())
