"""Where a program's settings come from: `TYPEDFLOW_*` variables, then a settings file, then defaults.

The file is `typedflow.toml`, or `pyproject.toml` with a table `[tool.typedflow]`: the nearest one, in this folder or
above it. A command's flags come before all of them; the command passes them on itself. A setting that nobody knows,
or a value that does not fit, is an error that names its place: a misspelt setting that is silently ignored costs an
afternoon. Nothing here is kept: whoever needs settings loads them.
"""

from __future__ import annotations

import contextlib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from typedflow import errors, identifiers, spelling

FILE = "typedflow.toml"
SERVER_FILE = "server.json"

_NUMBERS = {"project_parallelism": 0, "gc_grace_hours": 24}
"""The settings that are numbers, and what they are when nobody says."""
_NAMES = ("admin", "project", "domain", "home", "token", "database", "store", *_NUMBERS)
_VARIABLES = {name: f"TYPEDFLOW_{name.upper()}" for name in _NAMES}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client needs to know.

    Args:
        admin: `host:port` of the server; empty: the one whose `server.json` is in `home`.
        project: of what is registered and launched.
        domain: likewise.
        home: the folder of the embedded server and of this machine's own cache.
        token: bearer token; empty: that of `server.json`.
        database: of a server: the address of its PostgreSQL database; empty: SQLite in `home`.
        store: of a server: the address of its object store; empty: a folder in `home`.
        project_parallelism: of a server: attempts of one project that may run at once; 0 is no limit.
        gc_grace_hours: of a server: how long an object stays in its store after nothing referred to it any more.
    """

    admin: str
    project: str
    domain: str
    home: Path
    token: str
    database: str = ""
    store: str = ""
    project_parallelism: int = _NUMBERS["project_parallelism"]
    gc_grace_hours: int = _NUMBERS["gc_grace_hours"]


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a running server says of itself in `server.json`: `host:port` of gRPC and of HTTP, process id, token."""

    grpc: str
    http: str
    pid: int
    token: str


def load(*, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a program that runs in folder `cwd` with variables `environ`; this one's, if not given.

    Raises:
        UsageError: an unknown setting or a wrong value; `where` names the variable, or the file and the key.
    """
    variables = os.environ if environ is None else environ
    folder = Path.cwd() if cwd is None else cwd
    values, places = _from_files(folder)
    for name, variable in _VARIABLES.items():
        if given := variables.get(variable):
            values[name], places[name] = given, variable
    _check(values, places)
    return Settings(
        admin=values.get("admin", ""),
        project=values.get("project", "default"),
        domain=values.get("domain", "development"),
        # A path in a file is meant from the file's folder, one in a variable from where the program runs.
        home=(folder / Path(values.get("home", "~/.typedflow")).expanduser()).absolute(),
        token=values.get("token", ""),
        database=values.get("database", ""),
        store=values.get("store", ""),
        **{name: int(values.get(name, usual)) for name, usual in _NUMBERS.items()},
    )


def server_json(home: Path) -> ServerInfo | None:
    """What the server that has this home says of itself; None when there is none.

    Raises:
        UsageError: the file is there and is not one of a server.
    """
    path = home / SERVER_FILE
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            found = json.loads(path.read_text("utf-8"))
            return ServerInfo(str(found["grpc"]), str(found["http"]), int(found["pid"]), str(found["token"]))
        except (ValueError, KeyError, TypeError, OSError) as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                raise
            raise errors.UsageError(
                "this is not what a server writes of itself",
                where=str(path),
                hint="remove the file and start the server again",
            ) from None
    return None


def _from_files(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The values in the nearest file of `folder` and the folders above it, and the place of each."""
    for parent in (folder.absolute(), *folder.absolute().parents):
        for path, table in ((parent / FILE, ()), (parent / "pyproject.toml", ("tool", "typedflow"))):
            found = _read(path, table)
            if found is not None:
                values = _checked_by_schema(found, path, table)
                if home := values.get("home"):
                    values["home"] = str(parent / Path(home).expanduser())
                return values, {name: f"{path}: {'.'.join((*table, name))}" for name in values}
    return {}, {}


def _read(path: Path, table: Iterable[str]) -> object:
    """The table in a TOML file; None when there is no such file or table."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        found: object = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.UsageError(f"this is not TOML: {error}", where=str(path)) from None
    for name in table:
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found


def _checked_by_schema(found: object, path: Path, table: Iterable[str]) -> dict[str, str]:
    """The table as strings by known names; raises what is wrong with it, all at once."""
    # Slow to import, and most programs have no settings file.
    import marshmallow

    texts = {name: marshmallow.fields.String() for name in _NAMES}
    number = marshmallow.fields.Integer(strict=True)
    schema = marshmallow.Schema.from_dict({**texts, **dict.fromkeys(_NUMBERS, number)})
    try:
        loaded: Mapping[str, str] = schema().load(found)  # type: ignore[arg-type]
    except marshmallow.ValidationError as error:
        raise errors.UsageError(
            _text(error.messages, tuple(table)), where=str(path), code="Setting"
        ) from None
    return {str(name): str(value) for name, value in loaded.items()}


def _text(messages: object, table: tuple[str, ...]) -> str:
    lines = []
    assert isinstance(messages, dict)
    for name, problem in sorted(messages.items()):  # marshmallow gives them in the order of a set
        said = ", ".join(map(str, problem)) if isinstance(problem, list) else str(problem)
        if name == "_schema":
            lines.append(f"{'.'.join(table) or 'the file'}: {said}")
            continue
        near = spelling.nearest(name, _NAMES) if name not in _NAMES else None
        hint = f" Did you mean `{near}`?" if near else ""
        lines.append(f"{'.'.join((*table, name))}: {said}{hint}")
    return "\n".join(lines)


def _check(values: Mapping[str, str], places: Mapping[str, str]) -> None:
    for name in ("project", "domain"):
        if name in values and (problem := identifiers.check_label(values[name])):
            raise errors.UsageError(problem, where=places[name], code="Setting")
    for name, what in (("project_parallelism", "attempts"), ("gc_grace_hours", "hours")):
        if not values.get(name, "0").isdecimal():
            raise errors.UsageError(
                f"`{values[name]}` is no number of {what}",
                where=places[name],
                hint="write a whole number, 0 or more",
                code="Setting",
            )
    if "admin" in values:
        host, colon, port = values["admin"].rpartition(":")
        if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
            raise errors.UsageError(
                f"`{values['admin']}` is no address",
                where=places["admin"],
                hint="write host:port, as in localhost:8090",
                code="Setting",
            )
