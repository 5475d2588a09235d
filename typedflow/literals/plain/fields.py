"""How values from JSON, YAML and TOML are read: a marshmallow field for each part of a type, a schema for each record.

What a field loads is the literal itself. marshmallow's own fields take `"5"` for a number, so each here is ours, and
strict; from marshmallow come the schemas, and the errors of all parts at once, nested as the value is. Fields are made
once per type. A list is read as a column wherever its elements allow, without a field or a literal for each; element by
element only to tell what is wrong. Loaded when the first value that has parts is read, never before.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

import marshmallow  # noqa: TID253 - this module is the lazy one

from typedflow import errors, literal_types, spelling
from typedflow.literals import columns, constants, conversion, lists, scalars
from typedflow.literals.plain import forms, problems
from typedflow.pb import literals_pb2
from typedflow.pb.literals_pb2 import FieldValue, Literal
from typedflow.pb.types_pb2 import LiteralType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENOUGH = 100  # problems, after which no further elements of a list are looked at
_TYPES = 256  # whose fields are kept, unless a type's message is larger than this
_LARGE = 2**16
_NO_BYTES = (
    "its bytes can't be given as JSON; upload it with a client, which gives the literal to send instead"
)


def read(plain: object, target: LiteralType, path: str) -> Literal:
    """The literal of a plain value. Raises one ConversionError with every part that does not fit and its path."""
    message = target.SerializeToString(deterministic=True)
    try:
        field = _kept(message) if len(message) <= _LARGE else _made(message)
    except errors.ConversionError as error:
        raise errors.ConversionError(error.message, where=path, hint=error.hint, code=error.code) from None
    try:
        return field.read(plain)
    except marshmallow.ValidationError as error:
        found = [*itertools.islice(problems.flat(error.messages, path), _ENOUGH)]
    if len(found) == 1:
        where, problem = found[0]
        raise errors.ConversionError(problem.message, where=where, code=problem.code)
    raise errors.ConversionError.of([(where, problem.message) for where, problem in found])


def _made(message: bytes) -> Value:
    """The field of a type, which is given as bytes because messages are not hashable."""
    target = LiteralType.FromString(message)
    if (depth := literal_types.depth(target)) > literal_types.MAX_DEPTH:
        raise errors.ConversionError(
            f"{literal_types.brief(target)} is nested to {depth} levels",
            hint=f"values are read to {literal_types.MAX_DEPTH}",
            code="NestingTooDeep",
        )
    return _field(target)


_kept = functools.lru_cache(maxsize=_TYPES)(_made)


def _field(of: LiteralType, *, exact: bool = False, hidden: bool = False, expected: str = "") -> Value:
    """The field that reads values of a type.

    Args:
        of: the type.
        exact: an int is no float, which is how variants of a union are tried first.
        hidden: nothing is said of what came.
        expected: what the type is called in messages; as it is printed, when empty.
    """
    kind = of.WhichOneof("type")
    name = expected or literal_types.brief(of)
    unseen = hidden or of.sensitive
    if kind == "custom":
        return _field(of.custom.representation, exact=exact, hidden=unseen, expected=name)
    made: type[Value] = Outside
    if kind == "simple":
        made = _SIMPLE.get(of.simple, Scalar)
    elif kind == "record" and of.record.positional:
        made = Tuple
    elif kind in _KINDS:
        made = _KINDS[kind]
    return made(of, exact=exact, hidden=unseen, expected=name)


class Value(marshmallow.fields.Field[Literal]):
    """Reads the values of one type; its arguments are those of `_field`."""

    def __init__(self, of: LiteralType, *, exact: bool, hidden: bool, expected: str) -> None:
        super().__init__()
        self.of = of
        self.exact = exact
        self.hidden = hidden
        self.discreet = hidden or literal_types.has_sensitive(of)
        self.expected = expected
        self.error_messages = {"required": [problems.Problem(f"missing: expected {expected}")]}

    def read(self, plain: object) -> Literal:
        """The literal of one value. Raises ValidationError."""
        if not callable(plain):
            return self._read(plain)
        try:
            return constants.constant(plain(self.of), self.of, "")
        except errors.ConversionError as error:
            raise self.problem(f"{error.where}: {error.message}".removeprefix(": "), error.code) from None

    def _read(self, plain: object) -> Literal:
        """The same for what is plain."""
        raise self.refused(plain)

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        """The list of the literals of all these; None when it takes looking at each, or one of them does not fit."""
        try:
            return lists.pack([self.read(each) for each in plain])
        except (marshmallow.ValidationError, errors.ConversionError):
            return None

    def elements(self, plain: list[object]) -> literals_pb2.List:
        """The same, read one by one where need be. Raises ValidationError that has what is wrong by place."""
        made = self.column(plain)
        if made is not None:
            return made
        found: list[Literal] = []
        wrong: dict[object, object] = {}
        count = 0
        for i, each in enumerate(plain):
            try:
                found.append(self.read(each))
            except marshmallow.ValidationError as error:
                wrong[i] = error.messages
                count += problems.count(error)
                if count >= _ENOUGH:
                    break
        if wrong:
            raise problems.wrong(wrong)
        return lists.pack(found)

    def part(self, of: LiteralType, *, exact: bool | None = None) -> Value:
        """The field of a type that this one's is made of."""
        return _field(of, exact=self.exact if exact is None else exact, hidden=self.hidden)

    def refused(self, plain: object, reason: str = "", code: str = "") -> marshmallow.ValidationError:
        """What to raise for a value that is none of the type."""
        message = f"expected {self.expected}, got {forms.describe(plain)}"
        return self.problem(f"{message}: {reason}" if reason else message, code)

    def problem(self, message: str, code: str = "") -> marshmallow.ValidationError:
        """What to raise, said in full, or with nothing of the value when that, or what it may hold, is Sensitive."""
        shown = forms.not_shown(self.expected) if self.discreet else message
        return marshmallow.ValidationError([problems.Problem(shown, code)])

    def step(self, name: object) -> problems.Key:
        """A key of a value in a path, unless that is Sensitive."""
        return problems.Key("..." if self.hidden else name)

    def _validate_missing(self, value: object) -> None:
        # Null is a value as any other, which `read` judges.
        if value is marshmallow.missing:
            super()._validate_missing(value)

    def _deserialize(self, value: object, attr: object, data: object, **kwargs: object) -> Literal:  # noqa: ARG002
        return self.read(value)


# Without parts


class Scalar(Value):
    """A value of a simple type."""

    def _read(self, plain: object) -> Literal:
        try:
            return forms.scalar(plain, self.of, self.expected, exact=self.exact)
        except errors.ConversionError as error:
            raise self.problem(error.message) from None


class Bool(Scalar):
    """A bool."""

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        return columns.booleans(plain) if set(map(type, plain)) <= {bool} else None  # type: ignore[arg-type]


class Int(Scalar):
    """An int."""

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        try:
            return columns.integers(plain) if set(map(type, plain)) <= {int} else None  # type: ignore[arg-type]
        except errors.ConversionError:
            return None


class Float(Scalar):
    """A float."""

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        if set(map(type, plain)) <= {float}:
            return columns.floats(plain)  # type: ignore[arg-type]
        return super().column(plain)


class Str(Scalar):
    """A str."""

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        try:
            return columns.strings(plain) if set(map(type, plain)) <= {str} else None  # type: ignore[arg-type]
        except errors.ConversionError:
            return None


class Enum(Value):
    """One of an enum's values; one whose form another has too is tagged with its kind."""

    def __init__(self, of: LiteralType, *, exact: bool, hidden: bool, expected: str) -> None:
        super().__init__(of, exact=exact, hidden=hidden, expected=expected)
        self._members = forms.member_forms(of.enum)

    def _read(self, plain: object) -> Literal:
        key = forms.key(plain)
        if key in self._members:
            return scalars.from_member(self._members[key])
        if isinstance(plain, dict) and forms.is_tagged(plain):
            for member in self.of.enum.members:
                value = literal_types.member_value(member)
                kind = type(value).__name__
                if kind == plain[forms.TYPE] and forms.key(forms.member_form(value)) == forms.key(
                    plain[forms.VALUE]
                ):
                    return scalars.from_member(value)
        if type(plain) is int and not self.exact and conversion.is_exact(plain):
            key = forms.key(float(plain))
            if key in self._members:
                return scalars.from_member(self._members[key])
        raise self.refused(plain, self._hint(plain), "IllegalEnumValue")

    def _hint(self, plain: object) -> str:
        texts = [value for value in self._members.values() if isinstance(value, str)]
        if isinstance(plain, str) and (near := spelling.nearest(plain[:100], texts)):
            return f"did you mean {scalars.quote(near)}?"
        shown = [forms.describe(forms.member_form(value)) for value in self._members.values()]
        listed = ", ".join(shown[:10])
        return f"it is one of {listed}" + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")


class Outside(Value):
    """A file and the like, or nothing at all: what is in no JSON."""

    def _read(self, plain: object) -> Literal:
        raise self.refused(plain, _NO_BYTES if self.of.WhichOneof("type") else "")


# With parts


class List(Value):
    """A list, or what an iterator gives."""

    def __init__(self, of: LiteralType, *, exact: bool, hidden: bool, expected: str) -> None:
        super().__init__(of, exact=exact, hidden=hidden, expected=expected)
        self._element = self.part(of.list.element if of.HasField("list") else of.stream.element)

    def _read(self, plain: object) -> Literal:
        if not isinstance(plain, list):
            raise self.refused(plain)
        return scalars.from_list(self._element.elements(plain))

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        inner = [each for each in plain if isinstance(each, list)]
        if len(inner) < len(plain):
            return None
        values = self._element.column([*itertools.chain.from_iterable(inner)])
        if values is None or not inner:
            return values
        return literals_pb2.List(lists=literals_pb2.Lists(lengths=map(len, inner), elements=values))


class Dict(Value):
    """A dict, in the order in which it came."""

    def __init__(self, of: LiteralType, *, exact: bool, hidden: bool, expected: str) -> None:
        super().__init__(of, exact=exact, hidden=hidden, expected=expected)
        self._value = self.part(of.dict.value)

    def _read(self, plain: object) -> Literal:
        if not isinstance(plain, dict):
            raise self.refused(plain)
        if any(not isinstance(key, str) for key in plain):
            other = next(key for key in plain if not isinstance(key, str))
            raise self.problem(f"expected {self.expected}, got the key {forms.describe(other)}: keys are str")
        keys = [*plain]
        try:
            values = self._value.elements([*plain.values()])
            return Literal(dict=literals_pb2.Dict(keys=keys, values=values))
        except UnicodeEncodeError as error:
            raise self.problem(f"the key {error.object!r:.60} has half a surrogate pair") from None
        except marshmallow.ValidationError as error:
            raise problems.wrong(
                {self.step(keys[i]): inner for i, inner in problems.by_place(error) if isinstance(i, int)}
            ) from None

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        inner = [each for each in plain if isinstance(each, dict)]
        keys = [*itertools.chain.from_iterable(inner)]
        if len(inner) < len(plain) or not set(map(type, keys)) <= {str}:
            return None
        values = self._value.column([value for each in inner for value in each.values()])
        try:
            return None if values is None else columns.dicts([*map(len, inner)], keys, values)
        except errors.ConversionError:
            return None


class Tuple(Value):
    """An array of as many values as the type has places."""

    def __init__(self, of: LiteralType, *, exact: bool, hidden: bool, expected: str) -> None:
        super().__init__(of, exact=exact, hidden=hidden, expected=expected)
        self._places = [self.part(f.type) for f in of.record.fields]

    def _read(self, plain: object) -> Literal:
        if not isinstance(plain, list):
            raise self.refused(plain)
        if len(plain) != len(self._places):
            raise self.refused(plain, f"it has {len(self._places)}")
        made: list[Literal] = []
        wrong: dict[object, object] = {}
        for i, (place, each) in enumerate(zip(self._places, plain, strict=True)):
            try:
                made.append(place.read(each))
            except marshmallow.ValidationError as error:
                wrong[i] = error.messages
        if wrong:
            raise problems.wrong(wrong)
        return scalars.from_tuple(made)

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        rows = [each for each in plain if isinstance(each, list) and len(each) == len(self._places)]
        if len(rows) < len(plain):
            return None
        return _records(
            len(rows), ((str(i), p, [row[i] for row in rows]) for i, p in enumerate(self._places))
        )


class Record(Value):
    """An object with the fields of a record, of which those with a default may be left out."""

    def __init__(self, of: LiteralType, *, exact: bool, hidden: bool, expected: str) -> None:
        super().__init__(of, exact=exact, hidden=hidden, expected=expected)
        self._parts: dict[str, Value] = {}
        if len({field.name for field in of.record.fields}) < len(of.record.fields):
            raise errors.ConversionError(f"{self.expected} has two fields of one name")
        for field in of.record.fields:
            part = self._parts[field.name] = self.part(field.type)
            part.data_key = field.name
            part.required = not (field.has_default or field.optional)
        # Names of fields are data: any text. What is known by them inside marshmallow goes by its place.
        self._names = {f"field{i}": name for i, name in enumerate(self._parts)}
        fields = dict(zip(self._names, self._parts.values(), strict=True))
        self._schema = marshmallow.Schema.from_dict(fields)(unknown=marshmallow.EXCLUDE)  # type: ignore[arg-type]

    def _read(self, plain: object) -> Literal:
        if not isinstance(plain, dict):
            raise self.refused(plain)
        others = itertools.islice((name for name in plain if name not in self._parts), _ENOUGH)
        wrong: dict[object, object] = {name: [self._unknown(name)] for name in others}
        if self.hidden and wrong:
            wrong = {self.step(""): [problems.Problem(forms.not_shown(self.expected))]}
        loaded: Mapping[str, Literal] = {}
        try:
            loaded = self._schema.load(plain)
        except marshmallow.ValidationError as error:
            wrong.update(problems.by_place(error))
        if wrong:
            raise problems.wrong(wrong)
        made = [
            FieldValue(name=name, value=loaded[key]) for key, name in self._names.items() if key in loaded
        ]
        return Literal(record=literals_pb2.Record(fields=made))

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        rows = [each for each in plain if isinstance(each, dict)]
        given = rows[0].keys() if rows else set()
        if (
            len(rows) < len(plain)
            or any(row.keys() != given for row in rows)
            or not given <= self._parts.keys()
        ):
            return None
        if any(part.required and name not in given for name, part in self._parts.items()):
            return None
        named = ((name, part) for name, part in self._parts.items() if name in given)
        return _records(len(rows), ((name, part, [row[name] for row in rows]) for name, part in named))

    def _unknown(self, name: object) -> problems.Problem:
        return problems.Problem(forms.unknown("field", str(name), self._parts))


class Union(Value):
    """A value of one of the variants: of the first that takes it as it is, else of the first that takes it at all."""

    def __init__(self, of: LiteralType, *, exact: bool, hidden: bool, expected: str) -> None:
        variants = of.union.variants
        # What fits none of them may have been meant for the one that is Sensitive.
        hidden = hidden or any(variant.sensitive for variant in variants)
        super().__init__(of, exact=exact, hidden=hidden, expected=expected)
        self._passes = [
            [self.part(v, exact=strictly) for v in variants]
            for strictly in ((True,) if exact else (True, False))
        ]

    def _read(self, plain: object) -> Literal:
        if isinstance(plain, dict) and forms.is_tagged(plain):
            return self._tagged(plain)
        places = forms.places(self.of, plain)
        failures: list[marshmallow.ValidationError] = []
        for parts in self._passes:
            failures.clear()
            for place in places:
                try:
                    value = parts[place].read(plain)
                except marshmallow.ValidationError as error:
                    failures.append(error)
                else:
                    return Literal(union=literals_pb2.Union(variant=place, value=value))
        if len(failures) == 1:
            raise failures[0]
        # The variant that was gone into is the one that was meant, and of several the one that fits best.
        deeper = [failure for failure in failures if isinstance(failure.messages, dict)]
        if deeper:
            raise min(deeper, key=problems.count)
        raise self.refused(plain)

    def column(self, plain: list[object]) -> literals_pb2.List | None:
        known: dict[type, list[int]] = {}
        variants: list[int] = []
        rows: list[list[object]] = [[] for _ in self._passes[-1]]
        for each in plain:
            kind = type(each)
            places = known.get(kind)
            if places is None:
                places = forms.places(self.of, each)
                if kind in forms.BY_KIND:
                    known[kind] = places
            if len(places) != 1 or (kind is dict and forms.is_tagged(each)):
                return super().column(plain)
            variants.append(places[0])
            rows[places[0]].append(each)
        values = [part.column(row) for part, row in zip(self._passes[-1], rows, strict=True)]
        made = [each for each in values if each is not None]
        return None if len(made) < len(values) else lists.unions(variants, made)

    def _tagged(self, plain: Mapping[object, object]) -> Literal:
        tags = [forms.tag(i, self.of.union) for i in range(len(self.of.union.variants))]
        tag = plain[forms.TYPE]
        if tag not in tags or isinstance(tag, bool):
            wanted = ", ".join(f"`{each}`" for each in tags)
            raise self.problem(f"expected one of {wanted} as `{forms.TYPE}`, got {forms.describe(tag)}")
        place = tags.index(tag)
        value = self._passes[-1][place].read(plain[forms.VALUE])
        return Literal(union=literals_pb2.Union(variant=place, value=value))


def _records(count: int, fields: Iterator[tuple[str, Value, list[object]]]) -> literals_pb2.List | None:
    """The list of so many records, from the values of each field; None when some do not fit."""
    made: list[tuple[str, literals_pb2.List]] = []
    for name, field, values in fields:
        column = field.column(values)
        if column is None:
            return None
        made.append((name, column))
    return columns.records(count, made)


_SIMPLE: Mapping[int, type[Value]] = {
    literal_types.BOOL.simple: Bool,
    literal_types.INT.simple: Int,
    literal_types.FLOAT.simple: Float,
    literal_types.STRING.simple: Str,
}
_KINDS: Mapping[str | None, type[Value]] = {
    "list": List,
    "stream": List,
    "dict": Dict,
    "record": Record,
    "union": Union,
    "enum": Enum,
}
