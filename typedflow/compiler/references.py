"""Identifiers of templates, and references from one to another whose empty parts are those of whoever refers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import identifiers
from typedflow.compiler import diagnostics
from typedflow.pb import identifiers_pb2
from typedflow.pb.identifiers_pb2 import EntityKind, Identifier

if TYPE_CHECKING:
    from typedflow.compiler.report import Report

_WORDS = {
    identifiers_pb2.ENTITY_KIND_TASK: "task",
    identifiers_pb2.ENTITY_KIND_WORKFLOW: "workflow",
    identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN: "launch plan",
}


def check(identifier: Identifier, kind: EntityKind.ValueType, report: Report) -> Identifier:
    """Notes what is wrong with an entity's own identifier; gives it with its kind. Parts that are open are empty."""
    what = _WORDS[kind]
    if identifier.kind not in (kind, identifiers_pb2.ENTITY_KIND_UNSPECIFIED):
        report.add(
            diagnostics.ILLEGAL_ENUM_VALUE,
            f"the identifier of this {what} is of another kind",
            expected=EntityKind.Name(kind),
            given=str(identifier.kind),
        )
    for part, wrong in (
        ("name", identifiers.check_name(identifier.name)),
        ("project", identifiers.check_label(identifier.project) if identifier.project else ""),
        ("domain", identifiers.check_label(identifier.domain) if identifier.domain else ""),
        ("version", identifiers.check_version(identifier.version) if identifier.version else ""),
    ):
        if wrong:
            report.add(
                diagnostics.INVALID_NAME,
                f"the {part} of this {what} is not legal: {wrong}",
                given=getattr(identifier, part),
            )
    made = Identifier()
    made.CopyFrom(identifier)
    made.kind = kind
    return made


def fill(reference: Identifier, of: Identifier, kind: EntityKind.ValueType) -> Identifier:
    """The reference with its empty parts filled from the identifier of the template that refers."""
    return Identifier(
        kind=kind,
        project=reference.project or of.project,
        domain=reference.domain or of.domain,
        name=reference.name,
        version=reference.version or of.version,
    )
