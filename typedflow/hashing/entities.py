"""Digests of entities: whether a registration changes anything, and whether a version is taken by something else.

A message is laid out as the tuple of its set fields in the order of their numbers, each a tuple of its number and its
values. It is written straight as bytes: a workflow may have a hundred thousand nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from google.protobuf.message import Message

from typedflow.hashing import canonical, values
from typedflow.pb.identifiers_pb2 import Identifier
from typedflow.pb.literals_pb2 import Literal

if TYPE_CHECKING:
    from google._upb._message import Descriptor as UpbDescriptor
    from google._upb._message import FieldDescriptor as UpbFieldDescriptor
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

    Kind = Descriptor | UpbDescriptor
    Field = FieldDescriptor | UpbFieldDescriptor

Write: TypeAlias = Callable[[object], bytes]

_REMEMBERED: Final = 256
"""Bytes of a literal that is not hashed again when it comes again: a default is bound by many nodes."""


def of_entity(template: Message) -> str:
    """The digest of what an entity does, for saying that one is unchanged.

    Without its version, project and domain, code bundle, source positions and descriptions; a reference that means the
    entity's own version, project or domain says the same whether it spells them out or leaves them empty.
    """
    return canonical.digest_of(canonical.ENTITY, _Doing(template).message(template))


def of_content(template: Message) -> str:
    """The digest of all that an entity holds, for telling that other content claims a version that is taken."""
    return canonical.digest_of(canonical.CONTENT, _Layout().message(template))


class _Field(NamedTuple):
    """How a field is written: what comes before its only value, and each value."""

    number: bytes
    head: bytes
    is_repeated: bool
    write: Write


class _Layout:
    """Writes messages; finds out once for each kind of message how."""

    def __init__(self) -> None:
        self._fields: dict[Kind, dict[int, _Field]] = {}

    def message(self, message: Message) -> bytes:
        """All of its set fields that count."""
        fields = self._fields.get(message.DESCRIPTOR)
        if fields is None:
            fields = self._fields[message.DESCRIPTOR] = {
                field.number: self._field(field)
                for field in message.DESCRIPTOR.fields
                if not self.leaves_out(field)
            }
        written = [b""]
        for descriptor, value in message.ListFields():
            field = fields.get(descriptor.number)
            if field is None:
                continue
            if field.is_repeated:
                many = cast("Sequence[object]", value)
                written.append(
                    canonical.tuple_of(1 + len(many)) + field.number + b"".join(map(field.write, many))
                )
            else:
                written.append(field.head + field.write(value))
        written[0] = canonical.tuple_of(len(written) - 1)
        return b"".join(written)

    def leaves_out(self, field: Field) -> bool:  # noqa: ARG002 - nothing here
        """Whether a field does not count."""
        return False

    def writer(self, kind: Kind) -> Write:  # noqa: ARG002 - all alike here
        """How messages of a kind are written."""
        return cast("Write", self.message)

    def _field(self, field: Field) -> _Field:
        number = canonical.written(field.number)
        write = canonical.written if field.message_type is None else self.writer(field.message_type)
        return _Field(number, canonical.tuple_of(2) + number, field.is_repeated, cast("Write", write))


class _Doing(_Layout):
    """Writes what an entity does, compared with another version of itself."""

    def __init__(self, template: Message) -> None:
        super().__init__()
        own = getattr(template, "id", None)
        self._own = own if isinstance(own, Identifier) else Identifier()
        self._literals: dict[bytes, bytes] = {}
        self._identifiers: dict[tuple[int, str, str, str, str], bytes] = {}

    def leaves_out(self, field: Field) -> bool:
        if field.message_type is not None:
            return field.message_type.full_name == "typedflow.v1.SourcePosition"
        return field.name == "description" or field.full_name == "typedflow.v1.PythonTarget.bundle"

    def writer(self, kind: Kind) -> Write:
        if kind is Literal.DESCRIPTOR:
            return cast("Write", self._literal)
        return cast("Write", self._identifier if kind is Identifier.DESCRIPTOR else self.message)

    def _literal(self, literal: Literal) -> bytes:
        if literal.ByteSize() > _REMEMBERED:
            return canonical.written(values.of_literal(literal))
        key = literal.SerializeToString()
        known = self._literals.get(key)
        if known is None:
            known = self._literals[key] = canonical.written(values.of_literal(literal))
        return known

    def _identifier(self, reference: Identifier) -> bytes:
        own = self._own
        meant = (
            int(reference.kind),
            "" if reference.project == own.project else reference.project,
            "" if reference.domain == own.domain else reference.domain,
            reference.name,
            "" if reference.version == own.version else reference.version,
        )
        known = self._identifiers.get(meant)
        if known is None:
            known = self._identifiers[meant] = canonical.written(meant)
        return known
