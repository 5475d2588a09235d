"""Digests of entities: whether a registration changes anything, and whether a version is taken by something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import Message

from typedflow.hashing import canonical, values
from typedflow.pb.identifiers_pb2 import Identifier
from typedflow.pb.literals_pb2 import Literal

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

    from typedflow.hashing.canonical import Canonical


def of_entity(template: Message) -> str:
    """The digest of what an entity does, for saying that one is unchanged.

    Without its version, project and domain, code bundle, source positions and descriptions; a reference that means the
    entity's own version, project or domain says the same whether it spells them out or leaves them empty.
    """
    return canonical.digest(canonical.ENTITY, _message(template, _Omission(template)))


def of_content(template: Message) -> str:
    """The digest of all that an entity holds, for telling that other content claims a version that is taken."""
    return canonical.digest(canonical.CONTENT, _message(template, None))


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
            return values.of_literal(message)
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
