"""Inputs on a command line: options made from an interface, `--input NAME=VALUE`, and files of values.

What is typed is read by the input's type, so that a mistake is told before anything is sent. Files and folders, frames
and arrays are given as paths. Values leave here as `Client.launch` takes them: plain, or as what it uploads.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from typedflow import errors, literal_types, literals, spelling
from typedflow.cli import input_files
from typedflow.type_engine import File

if TYPE_CHECKING:
    from typedflow.pb.interface_pb2 import Interface, Variable
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.types_pb2 import EnumType, LiteralType

    ParamType = click.ParamType["Given | _Refused"]
else:
    ParamType = click.ParamType  # not generic in older releases of click


_TEXTS = frozenset(
    t.simple
    for t in (
        literal_types.STRING,
        literal_types.DATETIME,
        literal_types.DATE,
        literal_types.DURATION,
        literal_types.DECIMAL,
        literal_types.BYTES,
    )
)
"""Simple types whose values are texts in JSON, so that what is typed is one already."""

_PATHS = frozenset({"file", "directory", "frame", "array"})
"""Kinds of types whose values are given as paths."""

_MOST_CHOICES = 12


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given; None may be one."""

    value: object


@dataclass(frozen=True, slots=True)
class _Refused:
    """An option's value that does not fit; told together with all else that is wrong."""

    error: errors.ConversionError


class Value(ParamType):  # type: ignore[explicit-any]  # in how click declares it
    """The value of an input, read by its type."""

    def __init__(self, name: str, type_: LiteralType) -> None:
        self._type = type_
        self._input = name
        self.name = literal_types.text(type_)

    def convert(
        self,
        value: object,
        param: click.Parameter | None,  # noqa: ARG002 - click's signature
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Given | _Refused:
        """Reads it. Never fails, so that one wrong value does not hide the next."""
        if isinstance(value, Given | _Refused):
            return value
        try:
            return Given(from_text(str(value), self._type, f"--{dashed(self._input)}"))
        except errors.ConversionError as error:
            return _Refused(error)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        """The type as Python prints it; of an enum, and of one that may be None, the values that there are."""
        variants = [v for v in self._type.union.variants if v != literal_types.NONE] or [self._type]
        if len(variants) != 1 or not variants[0].HasField("enum"):
            return self.name
        or_null = "|null" if self._type.HasField("union") else ""
        return f"[{choices(variants[0].enum)}{or_null}]"


def options(interface: Interface, taken: Iterable[str] = ()) -> list[click.Option]:
    """An option for each input whose name is not `taken` by an option of the command's own."""
    reserved = set(taken)
    names = {dashed(variable.name) for variable in interface.inputs}
    return [
        _option(variable, names | reserved)
        for variable in interface.inputs
        if dashed(variable.name) not in reserved
    ]


def choices(of: EnumType) -> str:
    """The values of an enum's members as they are typed; of many, the first."""
    listed = [_shown(literals.to_json(each)) for each in _members(of)]
    return "|".join([*listed, "..."] if len(of.members) > _MOST_CHOICES else listed)


def dashed(name: str) -> str:
    """How options are compared: `-` and `_` alike."""
    return name.replace("_", "-")


def parse(
    context: click.Context,
    interface: Interface,
    arguments: Sequence[str],
    *,
    subject: str,
    taken: Iterable[str] = (),
    pairs: Sequence[str] = (),
    file: str = "",
) -> dict[str, object]:
    """The values of one call: from the options among `arguments`, then `--input` pairs, then the file.

    `subject` is what the command was called with before them, for its messages.

    Raises:
        UsageError: a name that is unknown or given twice, a missing one, a file that can't be read.
        ConversionError: values that do not fit their types; all that is wrong, where that is more than one thing.
        click.UsageError: an unknown option, or one without its value.
    """
    command = click.Command(
        None,
        params=[*options(interface, taken)],
        add_help_option=False,
        context_settings={"token_normalize_func": dashed},
    )
    inner = command.make_context(f"{context.info_name} {subject}", [*arguments], parent=context.parent)
    wrong: list[errors.UsageError] = [v.error for v in inner.params.values() if isinstance(v, _Refused)]
    values = _read_file(file, interface, wrong) if file else {}
    chosen = {
        name: given.value if isinstance(given, Given) else given
        for name, given in inner.params.items()
        if isinstance(given, Given | _Refused | bool)
    }
    _read_pairs(pairs, interface, chosen, wrong)
    values |= chosen
    missing = [v for v in interface.inputs if v.name not in values and not v.HasField("default")]
    help_ = f"`{inner.command_path} --help` lists what there is"
    if missing and not wrong:
        raise errors.UsageError(
            f"missing {', '.join(f'--{dashed(v.name)} ({literal_types.text(v.type)})' for v in missing)}",
            hint=help_,
            code="MissingInput",
        )
    if len(wrong) == 1 and not missing:
        wrong[0].hint = wrong[0].hint or help_
        raise wrong[0]
    if wrong:
        problems = [problem for error in wrong for problem in _problems(error)]
        lacking = [
            (f"--{dashed(v.name)}", f"missing: expected {literal_types.text(v.type)}") for v in missing
        ]
        raise errors.ConversionError.of([*problems, *lacking])
    return values


def from_text(text: str, type_: LiteralType, path: str = "") -> object:
    """What a text means as a value of a type: itself where values are texts, a path for a file, otherwise JSON.

    Raises:
        ConversionError: it is no such value.
    """
    match type_.WhichOneof("type"):
        case kind if kind in _PATHS:
            return _from_path(text, type_, path)
        case "union":
            return _variant(text, type_, path)
        case "custom":
            return from_text(text, type_.custom.representation, path)
        case "simple" if type_.simple in _TEXTS:
            plain: object = text
        case "enum" if any(literals.to_json(each) == text for each in _members(type_.enum)):
            plain = text
        case _:
            plain = _json(text, type_)
    if _has_paths(type_):
        return from_plain(plain, type_, path)
    literals.from_json(plain, type_, path)
    return plain


def from_plain(value: object, type_: LiteralType, path: str) -> object:
    """What a value of a file means: a text is a path where the type, or a part of it, has paths, otherwise itself.

    Raises:
        ConversionError: parts that do not fit, each with its path.
    """
    if not _has_paths(type_):
        literals.from_json(value, type_, path)
        return _as_json(value)
    wrong: list[errors.ConversionError] = []
    made = _with_paths(value, type_, path, wrong)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise errors.ConversionError.of([problem for error in wrong for problem in error.problems])
    return made


def _has_paths(type_: LiteralType) -> bool:
    return _is_path(type_) or any(map(_has_paths, literal_types.children(type_)))


def _with_paths(value: object, type_: LiteralType, path: str, wrong: list[errors.ConversionError]) -> object:
    """A value, or a part of one, with what is read from the paths in it; what does not fit is added to `wrong`."""
    if type_.HasField("custom"):
        return _with_paths(value, type_.custom.representation, path, wrong)
    if type_.HasField("union"):
        fits = [v for v in type_.union.variants if _form(v) is type(value)]
        type_ = next(filter(_has_paths, fits), fits[0] if fits else type_)
    parts = type_.list.element if type_.HasField("list") else type_.stream.element
    match type_.WhichOneof("type"), value:
        case "list" | "stream", list():
            return [_with_paths(each, parts, f"{path}[{i}]", wrong) for i, each in enumerate(value)]
        case "dict", dict():
            return {
                key: _with_paths(each, type_.dict.value, f"{path}[{json.dumps(key)}]", wrong)
                for key, each in value.items()
            }
        case "record", list() | dict():
            return _fields_with_paths(value, type_, path, wrong)
        case _:
            pass
    try:
        if isinstance(value, str) and _is_path(type_):
            return from_text(value, type_, path)
        literals.from_json(value, type_, path)
    except errors.ConversionError as error:
        wrong.append(error)
    return _as_json(value)


def _fields_with_paths(
    value: list[object] | dict[str, object],
    type_: LiteralType,
    path: str,
    wrong: list[errors.ConversionError],
) -> object:
    """The same for a record or a tuple; what is no field of it stays, and is refused with everything else of it."""
    types = {each.name: each.type for each in type_.record.fields}
    named = value if isinstance(value, dict) else {str(i): each for i, each in enumerate(value)}
    made = {
        name: _with_paths(
            each, types[name], f"{path}[{name}]" if type_.record.positional else f"{path}.{name}", wrong
        )
        if name in types
        else each
        for name, each in named.items()
    }
    return made if isinstance(value, dict) else [*made.values()]


def _form(type_: LiteralType) -> type[object] | None:
    """What values of a type are in a file, where that tells them from others."""
    match type_.WhichOneof("type"):
        case "list" | "stream":
            return list
        case "dict":
            return dict
        case "record":
            return list if type_.record.positional else dict
        case "custom":
            return _form(type_.custom.representation)
        case kind:
            return str if kind in _PATHS else type(None) if type_ == literal_types.NONE else None


def _as_json(value: object) -> object:
    """What fits its type as it is, as JSON has it: YAML and TOML have dates, and numbers that are none."""
    match value:
        case dict():
            return {name: _as_json(each) for name, each in value.items()}
        case list():
            return [_as_json(each) for each in value]
        case dt.date():
            return value.isoformat()
        case bytes():
            return b64encode(value).decode("ascii")
        case float() if not math.isfinite(value):
            return literals.to_json(literals.from_float(value))
        case _:
            return value


def _option(variable: Variable, names: set[str]) -> click.Option:
    notes = "[required]"
    if variable.HasField("default"):
        notes = f"[default: {_shown(literals.to_json(variable.default, variable.type))}]"
    help_ = f"{variable.description}  {notes}".strip()
    name = dashed(variable.name)
    if variable.type == literal_types.BOOL and f"no-{name}" not in names:
        return click.Option([f"--{name}/--no-{name}", variable.name], default=None, help=help_)
    return click.Option([f"--{name}", variable.name], type=Value(variable.name, variable.type), help=help_)


def _shown(plain: object) -> str:
    """A plain value as it would be typed."""
    return plain if isinstance(plain, str) and plain else json.dumps(plain)


def _members(of: EnumType) -> Iterator[Literal]:
    """The first values of an enum, as they travel."""
    return (literals.from_member(literal_types.member_value(each)) for each in of.members[:_MOST_CHOICES])


def _json(text: str, type_: LiteralType) -> object:
    """The JSON in a text; the text itself where it is none, which then fits only what takes texts."""
    if type_.simple == literal_types.BOOL.simple:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.lower(), text
        )
    try:
        return input_files.json_value(text)
    except (ValueError, RecursionError):
        return text


def _variant(text: str, type_: LiteralType, path: str) -> object:
    """A path where the union has one, else JSON where that fits, else the text."""
    variants = type_.union.variants
    if text.lower() in ("null", "none") and literal_types.NONE in variants:
        return None
    for variant in filter(_is_path, variants):
        return from_text(text, variant, path)
    plain = _json(text, type_)
    if _has_paths(type_):
        return from_plain(plain, type_, path)
    try:
        literals.from_json(plain, type_, path)
        return plain
    except errors.ConversionError as error:
        if plain == text:
            raise
        as_json = error
    try:
        literals.from_json(text, type_, path)
    except errors.ConversionError:
        raise as_json from None
    return text


def _is_path(type_: LiteralType) -> bool:
    return type_.WhichOneof("type") in _PATHS


def _from_path(text: str, type_: LiteralType, path: str) -> object:
    """A file or a folder as what names it, a frame or an array as what is read from a file."""
    kind = type_.WhichOneof("type")
    if kind == "file" and "://" in text:
        return File(text)
    found = Path(text).expanduser()
    if kind == "directory":
        if not found.is_dir():
            raise errors.ConversionError(f"there is no folder `{text}`", where=path)
        from typedflow.type_engine import directories

        return directories.Directory(found)
    if not found.is_file():
        raise errors.ConversionError(
            f"there is no file `{text}`", where=path, hint="an input that is kept in a file takes its path"
        )
    if kind == "file":
        return File(found)
    return _frame(found, path) if kind == "frame" else _array(found, path)


def _array(path: Path, where: str) -> object:
    import numpy as np

    try:
        found: object = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise errors.ConversionError(f"`{path}` can't be read as an array: {error}", where=where) from None
    if not isinstance(found, np.ndarray):
        raise errors.ConversionError(
            f"`{path}` is an archive of arrays", where=where, hint="give a file that ends in .npy"
        )
    return found


def _frame(path: Path, where: str) -> object:
    import pyarrow as pa
    from pyarrow import csv, feather, parquet

    try:
        match path.suffix:
            case ".parquet":
                return parquet.read_table(path)
            case ".csv":
                return csv.read_csv(path)
            case ".arrow" | ".feather":
                return feather.read_table(path)
            case _:
                raise errors.ConversionError(
                    f"`{path}` is not read as a frame",
                    where=where,
                    hint="give a file that ends in .parquet, .csv or .arrow",
                )
    except (pa.ArrowException, OSError) as error:
        raise errors.ConversionError(f"`{path}` can't be read: {error}", where=where) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise errors.UsageError(
            f"`{text}` is not NAME=VALUE", where="--input", hint="as in --input trees=200"
        )
    return name, value


def _variable(name: str, interface: Interface, where: str) -> Variable:
    for variable in interface.inputs:
        if dashed(variable.name) == dashed(name):
            return variable
    known = [variable.name for variable in interface.inputs]
    near = spelling.nearest(name, known)
    listed = ", ".join(f"`{each}`" for each in known)
    raise errors.UsageError(
        f"there is no input `{name}`",
        where=where,
        hint=f"did you mean `{near}`?"
        if near
        else f"the inputs are {listed}"
        if listed
        else "there are no inputs",
        code="UnknownInput",
    )


def _read_pairs(
    pairs: Sequence[str], interface: Interface, chosen: dict[str, object], wrong: list[errors.UsageError]
) -> None:
    """Adds the values of `--input NAME=VALUE` to those of the options, and what is wrong with them."""
    for pair in pairs:
        try:
            name, text = _pair(pair)
            variable = _variable(name, interface, "--input")
            if variable.name in chosen:
                raise errors.UsageError(f"input `{variable.name}` is given twice", where="--input")
            chosen[variable.name] = None  # so that it is known to be given, even if it is wrong
            chosen[variable.name] = from_text(text, variable.type, f"--input {variable.name}")
        except errors.UsageError as error:
            wrong.append(error)


def _read_file(file: str, interface: Interface, wrong: list[errors.UsageError]) -> dict[str, object]:
    """The values in a file; adds all that is wrong with them. Raises UsageError if it can't be read."""
    where = input_files.place(file)
    values: dict[str, object] = {}
    for name, value in input_files.read(file).items():
        try:
            variable = _variable(name, interface, where)
            if variable.name in values:
                raise errors.UsageError(f"input `{variable.name}` is given twice", where=where)
            values[variable.name] = None  # as above
            values[variable.name] = from_plain(value, variable.type, f"{where}: {name}")
        except errors.UsageError as error:
            wrong.append(error)
    return values


def _problems(error: errors.UsageError) -> Sequence[tuple[str, str]]:
    if isinstance(error, errors.ConversionError) and len(error.problems) > 1:
        return error.problems
    return [(error.where, f"{error.message} ({error.hint})" if error.hint else error.message)]
