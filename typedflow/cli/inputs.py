"""Inputs on a command line: options made from an interface, `--input NAME=VALUE`, and files of values.

What is typed is read by the input's type, so that a mistake is told before anything is sent. A file or a frame is given
as a path. Values leave here as `Client.launch` takes them.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from typedflow import errors, literal_types, literals, spelling
from typedflow.type_engine import File

if TYPE_CHECKING:
    from typedflow.pb.interface_pb2 import Interface, Variable
    from typedflow.pb.types_pb2 import LiteralType

    ParamType = click.ParamType["Given"]
else:
    ParamType = click.ParamType  # not generic in older releases of click


_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given; None may be one."""

    value: object


class Value(ParamType):  # type: ignore[explicit-any]  # in how click declares it
    """The value of an input, read by its type."""

    def __init__(self, type_: LiteralType) -> None:
        self._type = type_
        self.name = literal_types.text(type_)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Given:
        """Reads it, or tells what was expected."""
        if isinstance(value, Given):
            return value
        try:
            return Given(from_text(str(value), self._type))
        except errors.ConversionError as error:
            self.fail(error.message, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        """The type as Python prints it."""
        return self.name


def options(interface: Interface, taken: Iterable[str] = ()) -> list[click.Option]:
    """An option for each input whose name is not `taken` by an option of the command's own."""
    reserved = set(taken)
    names = {dashed(variable.name) for variable in interface.inputs}
    return [
        _option(variable, names | reserved)
        for variable in interface.inputs
        if dashed(variable.name) not in reserved
    ]


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
        UsageError: a name that is unknown or given twice, a file that can't be read.
        ConversionError: values that do not fit their types; a missing one.
        click.UsageError: an unknown option, or one without its value.
    """
    command = click.Command(
        None,
        params=[*options(interface, taken)],
        add_help_option=False,
        context_settings={"token_normalize_func": dashed},
    )
    inner = command.make_context(f"{context.info_name} {subject}", [*arguments], parent=context.parent)
    chosen = {name: given.value for name, given in inner.params.items() if isinstance(given, Given)}
    chosen |= {name: given for name, given in inner.params.items() if isinstance(given, bool)}
    variables = {variable.name: variable for variable in interface.inputs}
    for name, text in map(_pair, pairs):
        variable = _variable(name, variables, "--input")
        if variable.name in chosen:
            raise errors.UsageError(f"input `{variable.name}` is given twice", where="--input")
        chosen[variable.name] = from_text(text, variable.type, f"--input {variable.name}")
    values = {**(_read_file(file, variables) if file else {}), **chosen}
    missing = [v for v in interface.inputs if v.name not in values and not v.HasField("default")]
    if missing:
        raise errors.UsageError(
            f"missing {', '.join(f'--{dashed(v.name)} ({literal_types.text(v.type)})' for v in missing)}",
            hint=f"`{inner.command_path} --help` lists what there is",
            code="MissingInput",
        )
    return values


def from_text(text: str, type_: LiteralType, path: str = "") -> object:
    """What a text means as a value of a type: itself for a string, a path for a file, otherwise JSON.

    Raises:
        ConversionError: it is no such value.
    """
    match type_.WhichOneof("type"):
        case "file" | "frame":
            return _file(text, type_, path)
        case "union":
            return _variant(text, type_, path)
        case "simple" if type_ in (literal_types.STRING, literal_types.DATETIME):
            plain: object = text
        case _:
            plain = _json(text, type_)
    literals.from_json(plain, type_, path)
    return plain


def from_plain(value: object, type_: LiteralType, path: str) -> object:
    """What a plain value of a file means: a text is the path of a file or a frame, otherwise itself."""
    if isinstance(value, str) and (_is_file(type_) or any(map(_is_file, type_.union.variants))):
        return from_text(value, type_, path)
    if value is None and any(map(_is_file, type_.union.variants)):
        return None
    literals.from_json(value, type_, path)
    return value


def _option(variable: Variable, names: set[str]) -> click.Option:
    notes = "[required]"
    if variable.HasField("default"):
        shown = literals.to_json(variable.default, variable.type)
        notes = f"[default: {shown if isinstance(shown, str) and shown else json.dumps(shown)}]"
    help_ = f"{variable.description}  {notes}".strip()
    name = dashed(variable.name)
    if variable.type == literal_types.BOOL and f"no-{name}" not in names:
        return click.Option([f"--{name}/--no-{name}", variable.name], default=None, help=help_)
    return click.Option([f"--{name}", variable.name], type=Value(variable.type), help=help_)


def _json(text: str, type_: LiteralType) -> object:
    """The JSON in a text; the text itself where it is none, which then fits only what takes texts."""
    if type_ == literal_types.BOOL:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.lower(), text
        )
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def _variant(text: str, type_: LiteralType, path: str) -> object:
    """JSON where that fits the union, else a file of it, else the text."""
    variants = type_.union.variants
    if text.lower() in ("null", "none") and literal_types.NONE in variants:
        return None
    for variant in filter(_is_file, variants):
        return from_text(text, variant, path)
    plain = _json(text, type_)
    try:
        literals.from_json(plain, type_, path)
    except errors.ConversionError:
        if plain == text or literal_types.STRING not in variants:
            raise
        return text
    return plain


def _is_file(type_: LiteralType) -> bool:
    return type_.WhichOneof("type") in ("file", "frame")


def _file(text: str, type_: LiteralType, path: str) -> object:
    """A file as a path, a frame as a table that is read from one."""
    if type_.HasField("file") and "://" in text:
        return File(text)
    found = Path(text).expanduser()
    if not found.is_file():
        raise errors.ConversionError(
            f"there is no file `{text}`", where=path, hint="an input that is a file or a frame takes a path"
        )
    if type_.HasField("file"):
        return File(found)
    return _frame(found, path)


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


def _variable(name: str, variables: Mapping[str, Variable], where: str) -> Variable:
    for known, variable in variables.items():
        if dashed(known) == dashed(name):
            return variable
    near = spelling.nearest(name, variables)
    listed = ", ".join(f"`{known}`" for known in variables)
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


def _read_file(file: str, variables: Mapping[str, Variable]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in _parsed(file).items():
        variable = _variable(name, variables, file)
        values[variable.name] = from_plain(value, variable.type, f"{file}: {name}")
    return values


def _parsed(file: str) -> dict[str, object]:
    """The table or object in a file; `-` is standard input, which is JSON or YAML."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        found = _loaded(text, Path(file).suffix)
    except (OSError, ValueError, RecursionError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise errors.UsageError(
            f"inputs can't be read: {what}",
            where=file,
            hint="give a file of YAML, JSON or TOML, or - for standard input",
        ) from None
    if not isinstance(found, dict) or not _is_plain(found):
        raise errors.UsageError(
            "inputs must be an object of values by name",
            where=file,
            hint='as in {"trees": 200}; in YAML a name such as `on` or `1` needs quotes',
        )
    return found


def _loaded(text: str, suffix: str) -> object:
    """Raises ValueError, or RecursionError."""
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix in (".yaml", ".yml"):
        return _yaml(text)
    try:
        return json.loads(text)
    except ValueError:
        if suffix == ".json":
            raise
        return _yaml(text)


def _yaml(text: str) -> object:
    """Raises ValueError."""
    import yaml  # few runs have a file of inputs

    class Loader(yaml.SafeLoader):
        """PyYAML's own takes `1e-4` for a text, which is how learning rates are written."""

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, [*"-+0123456789"])
    try:
        return yaml.load(text, Loader)  # noqa: S506 - it is a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f": line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise ValueError(f"{error.problem}{place}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def _is_plain(value: object) -> bool:
    """Whether every name in it is a text, which only YAML does not see to."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(each) for name, each in value.items())
    return all(map(_is_plain, value)) if isinstance(value, list) else True
