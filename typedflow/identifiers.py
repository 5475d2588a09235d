"""Names: what an entity, a label, a node and a version may be called, and how they are printed.

Pure text and messages. A check returns what is wrong instead of raising, because its callers collect mistakes;
nothing here resolves a name to an entity.
"""

from __future__ import annotations

import re

from typedflow.pb import identifiers_pb2
from typedflow.pb.identifiers_pb2 import Identifier

MAX_NAME = 255
MAX_LABEL = 63
MAX_VERSION = 128

_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_NODE_ID = re.compile(r"[^\W\d_][\w-]*(?:\.[^\W\d_][\w-]*)*")


def task(name: str, *, project: str = "", domain: str = "", version: str = "") -> Identifier:
    """The identifier of a task; an empty part means that of whoever refers to it."""
    return _identifier(identifiers_pb2.ENTITY_KIND_TASK, name, project, domain, version)


def workflow(name: str, *, project: str = "", domain: str = "", version: str = "") -> Identifier:
    """The identifier of a workflow, as `task`."""
    return _identifier(identifiers_pb2.ENTITY_KIND_WORKFLOW, name, project, domain, version)


def launch_plan(name: str, *, project: str = "", domain: str = "", version: str = "") -> Identifier:
    """The identifier of a launch plan, as `task`."""
    return _identifier(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, name, project, domain, version)


def text(id: Identifier) -> str:  # noqa: A002 - the field is called `id` everywhere
    """`train`, `train@v3`, `project/domain/train@v3`; a part that is empty is left out with its sign."""
    name = id.name
    if id.project or id.domain:
        name = f"{id.project}/{id.domain}/{name}"
    return f"{name}@{id.version}" if id.version else name


def key(id: Identifier) -> tuple[int, str, str, str, str]:  # noqa: A002 - as above
    """What two identifiers share exactly when they are equal; hashable and sortable."""
    return (int(id.kind), id.project, id.domain, id.name, id.version)


def check_name(name: str) -> str:
    """What is wrong with an entity's name; empty when nothing is."""
    if not name:
        return "a name can't be empty"
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters, this one {len(name)}"
    if not _NAME.fullmatch(name):
        return f"`{name}` is not a name: letters, digits, `_` and `-`, with single dots between its parts"
    return ""


def check_label(label: str) -> str:
    """What is wrong with a project's or a domain's name; empty when nothing is."""
    if not label:
        return "a label can't be empty"
    if len(label) > MAX_LABEL:
        return f"a label has at most {MAX_LABEL} characters, this one {len(label)}"
    if not _LABEL.fullmatch(label):
        return f"`{label}` is not a label: lower-case letters, digits and `-`, with a letter or a digit at both ends"
    return ""


def check_node_id(id: str) -> str:  # noqa: A002 - as above
    """What is wrong with a node's id; empty when nothing is."""
    if not id:
        return "a node's id can't be empty"
    if len(id) > MAX_NAME:
        return f"a node's id has at most {MAX_NAME} characters, this one {len(id)}"
    if not _NODE_ID.fullmatch(id):
        return (
            f"`{id}` is not a node's id: letters, digits, `_` and `-`, with single dots between its parts, "
            "each of which starts with a letter"
        )
    return ""


def check_version(v: str) -> str:
    """What is wrong with a version; empty when nothing is."""
    if not v:
        return "a version can't be empty"
    if len(v) > MAX_VERSION:
        return f"a version has at most {MAX_VERSION} characters, this one {len(v)}"
    if any(c.isspace() or not c.isprintable() for c in v):
        return f"{v!r} is not a version: any characters but white space and control characters"
    return ""


def _identifier(
    kind: identifiers_pb2.EntityKind.ValueType, name: str, project: str, domain: str, version: str
) -> Identifier:
    return Identifier(kind=kind, project=project, domain=domain, name=name, version=version)
