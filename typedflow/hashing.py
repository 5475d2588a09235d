"""Digests of values, types, cache keys and entities, each over canonical bytes of its own.

docs/hashing.md defines the bytes; tests/golden/hashing.json pins them. A digest is of the meaning, never of a
serialization: how a list is packed and whether a value is offloaded does not show, and no release of protobuf can
change a key. What a digest is of is said by the tag that comes first, so no two kinds of thing have one in common.
"""

from __future__ import annotations

import itertools
import math
import struct
from typing import TYPE_CHECKING, TypeAlias

from blake3 import blake3
from google.protobuf.message import Message

from typedflow import errors, literal_types, literals
from typedflow.pb.catalog_pb2 import KeyManifest, KeyPart
from typedflow.pb.identifiers_pb2 import Identifier
from typedflow.pb.literals_pb2 import Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from google.protobuf.descriptor import FieldDescriptor

    from typedflow.pb.literals_pb2 import List, Lists, LiteralMap, Records, Union
    from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate
    from typedflow.pb.types_pb2 import LiteralType

Canonical: TypeAlias = "bool | int | float | str | bytes | tuple[Canonical, ...]"
"""What has canonical bytes."""

FORMAT = 1
"""Version of all the canonical bytes here; a change of any of them is another version."""

_64_BITS = 2**64 - 1
_PREFIX = "b3:"
_DIGEST_SIZE = 32
# A string that is longer than so many bytes is inside another literal by its digest: far below the size at which
# literals are offloaded, so that every string that may be offloaded is.
_LONGEST_INSIDE = 64 * 1024
_NAN = struct.pack("<Q", 0x7FF8000000000000)

# What a digest is of: the first bytes that are hashed.
_LITERAL = b"typedflow.literal.1\0"
_TYPE = b"typedflow.type.1\0"
_KEY = b"typedflow.key.1\0"
_ENTITY = b"typedflow.entity.1\0"
_CONTENT = b"typedflow.content.1\0"
_STREAM = b"typedflow.stream.1\0"


def of_literal(literal: Literal) -> str:
    """The digest of a value's meaning. Raises ConversionError for a literal without a value."""
    return _PREFIX + _literal(literal).hex()


class Elements:
    """The digest of a stream's elements in their order, however they are packed and cut into chunks."""

    def __init__(self) -> None:
        self._hasher = blake3(_STREAM)
        self._count = 0

    def update(self, column: List) -> None:
        """Takes the next elements."""
        self._hasher.update(_joined(column))
        self._count += literals.length(column)

    def finish(self) -> str:
        """The content of the stream that has all of them."""
        self._hasher.update(struct.pack("<Q", self._count))
        return _PREFIX + self._hasher.hexdigest()


def of_type(t: LiteralType) -> str:
    """The digest of a type's structure: equal exactly when `literal_types.equal` says so."""
    return _of(_TYPE, literal_types.structure(t))


# Cache keys


def manifest(task: TaskTemplate, options: TaskOptions, inputs: LiteralMap) -> KeyManifest:
    """All that goes into the cache key of one call of a task.

    `options` are the task's own with the node's overrides merged in; of those only the cache policy, the image and the
    environment variables count. `inputs` are bound and converted to the types of the task's interface.
    """
    policy = options.cache
    ignored = frozenset(policy.ignored_inputs)
    made = KeyManifest(
        format=FORMAT,
        project=task.id.project,
        domain=task.id.domain,
        task=task.id.name,
        code=f"version:{policy.version}" if policy.version else task.code.fingerprint,
        salt=policy.salt,
        environment="" if policy.version else _environment(task, options),
    )
    made.variables.extend(_key_parts((v.name, v.value) for v in options.environment))
    made.input_types.extend(_key_parts((v.name, of_type(v.type)) for v in task.interface.inputs))
    made.output_types.extend(_key_parts((v.name, of_type(v.type)) for v in task.interface.outputs))
    made.inputs.extend(
        _key_parts((v.name, of_literal(v.value)) for v in inputs.values if v.name not in ignored)
    )
    return made


def key(manifest: KeyManifest) -> str:
    """The cache key that a manifest is the make-up of."""
    return _of(
        _KEY,
        (
            manifest.format,
            manifest.project,
            manifest.domain,
            manifest.task,
            manifest.code,
            manifest.salt,
            manifest.environment,
            *(
                tuple((part.name, part.value) for part in parts)
                for parts in (
                    manifest.variables,
                    manifest.input_types,
                    manifest.output_types,
                    manifest.inputs,
                )
            ),
        ),
    )


def _environment(task: TaskTemplate, options: TaskOptions) -> str:
    """An image that is pinned by digest is the whole environment; a tag says nothing for sure."""
    _, pinned, digest = options.image.rpartition("@")
    return digest if pinned else task.code.environment


def _key_parts(pairs: Iterable[tuple[str, str]]) -> list[KeyPart]:
    return [KeyPart(name=name, value=value) for name, value in sorted(pairs)]


# Entities


def of_entity(template: Message) -> str:
    """The digest of what an entity does, for saying that one is unchanged.

    Without its version, project and domain, code bundle, source positions and descriptions; a reference that means the
    entity's own version, project or domain says the same whether it spells them out or leaves them empty.
    """
    return _of(_ENTITY, _message(template, _Omission(template)))


def of_content(template: Message) -> str:
    """The digest of all that an entity holds, for telling that other content claims a version that is taken."""
    return _of(_CONTENT, _message(template, None))


class _Omission:
    """What is left out where an entity is compared with another version of itself."""

    def __init__(self, template: Message) -> None:
        own = getattr(template, "id", None)
        self.own = own if isinstance(own, Identifier) else Identifier()

    def leaves_out(self, field: FieldDescriptor) -> bool:
        if field.message_type is not None:
            return field.message_type.full_name == "typedflow.v1.SourcePosition"
        return field.name == "description" or field.full_name == "typedflow.v1.PythonTarget.bundle"

    def replaced(self, message: Message) -> Canonical | None:
        """What is hashed in place of a message; None: the message."""
        if isinstance(message, Literal):
            return of_literal(message)
        if isinstance(message, Identifier):
            own = self.own
            return (
                int(message.kind),
                "" if message.project == own.project else message.project,
                "" if message.domain == own.domain else message.domain,
                message.name,
                "" if message.version == own.version else message.version,
            )
        return None


def _message(message: Message, omission: _Omission | None) -> Canonical:
    """Its set fields in the order of their numbers."""
    replaced = omission.replaced(message) if omission else None
    if replaced is not None:
        return replaced
    fields: list[Canonical] = []
    for field, value in message.ListFields():
        if omission and omission.leaves_out(field):
            continue
        items = value if field.is_repeated else (value,)
        whole = tuple(_message(v, omission) if isinstance(v, Message) else v for v in items)
        fields.append((field.number, *whole))
    return tuple(fields)


# Canonical bytes of structures


def _of(tag: bytes, value: Canonical) -> str:
    pieces = [tag]
    _write(value, pieces.append)
    return _PREFIX + blake3(b"".join(pieces)).hexdigest()


def _write(value: Canonical, write: Callable[[bytes], object]) -> None:
    """A kind, then a length or a fixed size, then the content: no two values have the same bytes."""
    match value:
        case bool():
            write(b"b\1" if value else b"b\0")
        case int():
            # As "<q" writes it; a field of the wire may also be without a sign.
            write(b"i" + (value & _64_BITS).to_bytes(8, "little"))
        case float():
            write(b"f" + _float(value))
        case str():
            encoded = value.encode()
            write(b"s" + struct.pack("<Q", len(encoded)) + encoded)
        case bytes():
            write(b"y" + struct.pack("<Q", len(value)) + value)
        case tuple():
            write(b"(" + struct.pack("<Q", len(value)))
            for item in value:
                _write(item, write)


# Canonical bytes of literals


def _literal(literal: Literal) -> bytes:
    """The digest of a literal on its own."""
    match literal.WhichOneof("value"):
        case "string":
            return _leaf(b"s", literal.string)
        case "file":
            return _leaf(b"F", literal.file.content)
        case "frame":
            return _leaf(b"T", literal.frame.content)
        case "offloaded":
            return _parse(literal.offloaded.content)
        case "list":
            return _list(literals.length(literal.list), _joined(literal.list))
        case "record":
            fields = literal.record.fields
            return _record(len(fields), b"".join([_text(f.name) + _part(f.value) for f in fields]))
        case "union":
            return blake3(_LITERAL + _tag(literal.union) + _part(literal.union.value)).digest()
        case _:
            return blake3(_LITERAL + _scalar(literal)).digest()


def _part(literal: Literal) -> bytes:
    """A literal inside another: itself when it is surely small, else its digest, which it may be offloaded behind."""
    match literal.WhichOneof("value"):
        case "string":
            return _string(literal.string)
        case "union":
            inner = _part(literal.union.value)
            return b"#" + _literal(literal) if inner.startswith(b"#") else _tag(literal.union) + inner
        case "file" | "frame" | "offloaded" | "list" | "record":
            return b"#" + _literal(literal)
        case _:
            return _scalar(literal)


def _scalar(literal: Literal) -> bytes:
    match literal.WhichOneof("value"):
        case "none":
            return b"n"
        case "boolean":
            return b"b\1" if literal.boolean else b"b\0"
        case "integer":
            return b"i" + struct.pack("<q", literal.integer)
        case "float":
            return b"f" + _float(literal.float)
        case "datetime":
            at = literal.datetime
            return b"d" + struct.pack("<qi", at.epoch_microseconds, at.offset_seconds) + _text(at.zone)
        case _:
            raise errors.ConversionError("a literal without a value has no digest")


def _list(count: int, parts: bytes) -> bytes:
    return blake3(_LITERAL + b"l" + struct.pack("<Q", count) + parts).digest()


def _record(count: int, fields: bytes) -> bytes:
    return blake3(_LITERAL + b"r" + struct.pack("<Q", count) + fields).digest()


def _tag(union: Union) -> bytes:
    return b"u" + struct.pack("<I", union.variant)


def _joined(of: List) -> bytes:
    """The parts of all elements, one after another."""
    fixed = _fixed(of)
    return b"".join(_parts(of)) if fixed is None else fixed[0]


def _fixed(of: List) -> tuple[bytes, int] | None:
    """The parts of all elements and the size of each, made at once; None where they differ in size."""
    match of.WhichOneof("column"):
        case "nones":
            return b"n" * of.nones, 1
        case "booleans":
            return _interleaved(b"b", bytes(of.booleans.values), 1), 2
        case "integers":
            values = of.integers.values
            return _interleaved(b"i", struct.pack(f"<{len(values)}q", *values), 8), 9
        case "floats":
            return _interleaved(b"f", _floats(of.floats.values), 8), 9
        case _:
            return None


def _parts(of: List) -> Sequence[bytes]:
    """The part of each element."""
    match of.WhichOneof("column"):
        case "strings":
            return [_string(v) for v in of.strings.values]
        case "records":
            return _record_parts(of.records)
        case "lists":
            return _list_parts(of.lists)
        case "literals":
            return [_part(v) for v in of.literals.values]
        case _:
            fixed = _fixed(of)
            if fixed is None:
                return [_part(v) for v in literals.elements(of)]
            parts, size = fixed
            return [parts[at : at + size] for at in range(0, len(parts), size)]


def _record_parts(of: Records) -> Sequence[bytes]:
    count = len(of.columns)
    if not count:
        return [b"#" + _record(0, b"")] * of.length
    columns = []
    for column in of.columns:
        name = _text(column.name)
        columns.append([name + part for part in _parts(column.values)])
    return [b"#" + _record(count, b"".join(row)) for row in zip(*columns, strict=True)]


def _list_parts(of: Lists) -> Sequence[bytes]:
    spans = list(itertools.pairwise(itertools.chain((0,), itertools.accumulate(of.lengths))))
    fixed = _fixed(of.elements)
    if fixed is None:
        loose = _parts(of.elements)
        return [b"#" + _list(end - start, b"".join(loose[start:end])) for start, end in spans]
    parts, size = fixed
    return [b"#" + _list(end - start, parts[start * size : end * size]) for start, end in spans]


def _interleaved(kind: bytes, packed: bytes, size: int) -> bytes:
    """Values of one size with their kind before each: as fast as copying, where a loop over them is not."""
    step = size + 1
    made = bytearray(len(packed) // size * step)
    made[::step] = kind * (len(packed) // size)
    for i in range(size):
        made[i + 1 :: step] = packed[i::size]
    return bytes(made)


def _floats(values: Iterable[float]) -> bytes:
    """Bit for bit, with one NaN for all."""
    column = list(values)
    # A sum is NaN when one of them is (or both infinities are among them, which takes the slow way for nothing).
    if math.isnan(sum(column)):
        return b"".join(map(_float, column))
    return struct.pack(f"<{len(column)}d", *column)


def _float(value: float) -> bytes:
    return _NAN if math.isnan(value) else struct.pack("<d", value)


def _string(value: str) -> bytes:
    encoded = value.encode()
    if len(encoded) > _LONGEST_INSIDE:
        return b"#" + blake3(_LITERAL + b"s" + encoded).digest()
    return b"s" + struct.pack("<Q", len(encoded)) + encoded


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _leaf(kind: bytes, value: str) -> bytes:
    return blake3(_LITERAL + kind + value.encode()).digest()


def _parse(content: str) -> bytes:
    try:
        digest = bytes.fromhex(content.removeprefix(_PREFIX))
    except ValueError:
        digest = b""
    if not content.startswith(_PREFIX) or len(digest) != _DIGEST_SIZE:
        raise errors.ConversionError(f"{content!r:.80} is not the digest of an offloaded literal")
    return digest
