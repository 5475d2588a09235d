"""Files of inputs: YAML, JSON or TOML, by name or on standard input, as plain values by the inputs' names.

What they say is not looked at here beyond what keeps it from being read as meant: a name that is there twice, a name
that is no text, an alias that stands for too much.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

from typedflow import errors

STANDARD_INPUT = "-"
_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")
_MOST_VALUES = 10_000_000  # that a file of aliases may stand for


def read(file: str) -> dict[str, object]:
    """The table or object in a file; `-` is standard input, which is JSON or YAML.

    Raises:
        UsageError: it can't be read, with the line and the column where that is known; it is no object of values.
    """
    where = place(file)
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text("utf-8")
        found = _loaded(text, "" if file == STANDARD_INPUT else Path(file).suffix)
    except OSError as error:
        raise _unreadable(error.strerror or str(error), where) from None
    except RecursionError:
        raise _unreadable("it is nested too deep", where) from None
    except ValueError as error:
        raise _unreadable(str(error), where) from None
    if not isinstance(found, dict):
        raise errors.UsageError(
            "inputs must be an object of values by name", where=where, hint='as in {"trees": 200}'
        )
    return found


def _unreadable(what: str, where: str) -> errors.UsageError:
    return errors.UsageError(
        f"inputs can't be read: {what}",
        where=where,
        hint="give a file of YAML, JSON or TOML, or - for standard input",
    )


def place(file: str) -> str:
    """What a file of inputs is called in messages."""
    return "standard input" if file == STANDARD_INPUT else file


def json_value(text: str) -> object:
    """The JSON in a text, NaN and Infinity as the words for them. Raises ValueError, or RecursionError."""
    found: object = json.loads(text, parse_constant=str, object_pairs_hook=_object)
    return found


def _loaded(text: str, suffix: str) -> object:
    """Raises ValueError, or RecursionError."""
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix in (".yaml", ".yml"):
        return _yaml(text)
    try:
        return json_value(text)
    except json.JSONDecodeError:
        if suffix == ".json":
            raise
        return _yaml(text)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"`{twice}` is there twice in one object")
    return made


def _yaml(text: str) -> object:
    """Raises ValueError, or RecursionError."""
    import yaml  # few runs have a file of inputs

    class Loader(yaml.SafeLoader):
        """PyYAML's own takes `1e-4` for a text, which is how learning rates are written, and the last of two values.

        What looks like a date and is none, 2026-02-30, stays the text that it is: its input tells what it expects.
        """

        def construct_moment(self, node: yaml.ScalarNode) -> object:
            try:
                return self.construct_yaml_timestamp(node)
            except ValueError:
                return node.value

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
            """A name that is there twice is a mistake; what is merged in may be given anew."""
            seen: set[object] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                    continue
                name = self.construct_object(key)
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"`{key.value}` is there twice", key.start_mark
                    )
                seen.add(name)
            made: dict[object, object] = super().construct_mapping(node, deep)
            return made

    Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_moment)
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, [*"-+0123456789"])
    try:
        found: object = yaml.load(text, Loader)  # noqa: S506 - it is a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f": line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise ValueError(f"{error.problem}{at}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    _count(found, {})
    return found


def _count(value: object, counted: dict[int, int]) -> int:
    """How many values it stands for, each alias of YAML counted as often as it is used.

    Raises ValueError for an alias within itself, for too many values, and for a name that is no text.
    """
    if not isinstance(value, dict | list):
        return 1
    if (known := counted.get(id(value))) is not None:
        if not known:
            raise ValueError("an alias stands for what it is in itself")
        return known
    counted[id(value)] = 0  # under way
    if isinstance(value, dict) and (others := [name for name in value if not isinstance(name, str)]):
        raise ValueError(
            f"the name {others[0]!r} is no text: in YAML a name such as `on` or `1` needs quotes"
        )
    inner = value.values() if isinstance(value, dict) else value
    total = 1 + sum(_count(each, counted) for each in inner)
    if total > _MOST_VALUES:
        raise ValueError(f"its aliases stand for more than {_MOST_VALUES:,} values")
    counted[id(value)] = total
    return total
