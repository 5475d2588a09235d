"""Finding an entity by what a person calls it: its full name, or a last part of it that is unique."""

from __future__ import annotations

from dataclasses import replace

from typedflow import errors, identifiers, spelling
from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
    EntityKind,
    Identifier,
)
from typedflow_admin import store

_WORDS: dict[EntityKind.ValueType, str] = {
    ENTITY_KIND_TASK: "task",
    ENTITY_KIND_WORKFLOW: "workflow",
    ENTITY_KIND_LAUNCH_PLAN: "launch plan",
}
_SHOWN = 5


def find(transaction: store.Transaction, id_: Identifier, field: str = "id") -> store.EntityRow:
    """The entity that `id_` names; when it names no version, a launch plan's active one, else the newest.

    Raises:
        UsageError: a part of it is missing, or its name is the last part of several.
        NotFound: there is no such entity, or not this version of it.
    """
    word = _check(id_, field)
    key, version = version_key(id_)
    found = _version(transaction, key, version)
    if found is None:
        name = _full_name(transaction, id_, word)
        found = _version(transaction, replace(key, name=name), version)
        if found is None:
            raise _no_version(transaction, id_, name, word)
    return found


def version_key(id_: Identifier) -> store.EntityVersion:
    """An identifier as the store has it."""
    return store.EntityKey(id_.kind, id_.project, id_.domain, id_.name), id_.version


def identifier(row: store.EntityRow) -> Identifier:
    """The identifier of a stored version."""
    return identifier_of(row.version_key)


def identifier_of(version: store.EntityVersion) -> Identifier:
    """What the store has, as an identifier."""
    key, name = version
    kind = EntityKind.ValueType(key.kind)
    return Identifier(kind=kind, project=key.project, domain=key.domain, name=key.name, version=name)


def _version(transaction: store.Transaction, key: store.EntityKey, version: str) -> store.EntityRow | None:
    if not version and key.kind == ENTITY_KIND_LAUNCH_PLAN:
        active = transaction.entities.active_of([key]).get(key)
        version = active.version if active is not None else ""
    return transaction.entities.find(key, version)


def word(kind: EntityKind.ValueType) -> str:
    """What a kind is called: `launch plan`."""
    return _WORDS[kind]


def _check(id_: Identifier, field: str) -> str:
    if id_.kind not in _WORDS:
        raise errors.UsageError("the kind of entity is missing", where=f"{field}.kind", code="InvalidName")
    for part, problem in (
        ("project", identifiers.check_label(id_.project)),
        ("domain", identifiers.check_label(id_.domain)),
        ("name", identifiers.check_name(id_.name)),
        ("version", identifiers.check_version(id_.version) if id_.version else ""),
    ):
        if problem:
            raise errors.UsageError(problem, where=f"{field}.{part}", code="InvalidName")
    return _WORDS[id_.kind]


def _full_name(transaction: store.Transaction, id_: Identifier, word: str) -> str:
    names = transaction.entities.names(id_.kind, id_.project, id_.domain)
    if id_.name in names:
        return id_.name
    matches = [name for name in names if name.endswith("." + id_.name)]
    if len(matches) == 1:
        return matches[0]
    place = f"{id_.project}/{id_.domain}"
    if matches:
        shown = ", ".join(f"`{name}`" for name in matches[:_SHOWN]) + (
            ", ..." if len(matches) > _SHOWN else ""
        )
        raise errors.UsageError(
            f"`{id_.name}` is the last part of {len(matches)} {word}s in {place}: {shown}",
            hint="give more of the name",
            code="AmbiguousName",
        )
    near = spelling.nearest(id_.name, names)
    raise errors.NotFound(
        f"there is no {word} `{id_.name}` in {place}",
        hint=f"did you mean `{near}`?"
        if near
        else ("register it first" if not names else _known(names, word)),
    )


def _known(names: list[str], word: str) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"the {word}s there are {shown}"


def _no_version(transaction: store.Transaction, id_: Identifier, name: str, word: str) -> errors.NotFound:
    key = store.EntityKey(id_.kind, id_.project, id_.domain, name)
    versions = [row.version for row in transaction.entities.versions(key, 0, _SHOWN)]
    return errors.NotFound(
        f"there is no version `{id_.version}` of {word} `{name}`",
        hint="the newest versions are " + ", ".join(f"`{version}`" for version in versions),
    )
