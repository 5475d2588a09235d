"""Cache keys: all that a call of a task depends on, as a manifest that people can compare and a digest of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import literal_types
from typedflow.hashing import canonical, values
from typedflow.pb.catalog_pb2 import KeyManifest, KeyPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.pb.literals_pb2 import LiteralMap
    from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate
    from typedflow.pb.types_pb2 import LiteralType

FORMAT = 1
"""Version of all canonical bytes; a change of any of them is another version."""


def of_type(t: LiteralType) -> str:
    """The digest of a type's structure: equal exactly when `literal_types.equal` says so."""
    return canonical.digest(canonical.TYPE, literal_types.structure(t))


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
        _key_parts((v.name, values.of_literal(v.value)) for v in inputs.values if v.name not in ignored)
    )
    return made


def key(manifest: KeyManifest) -> str:
    """The cache key that a manifest is the make-up of."""
    return canonical.digest(
        canonical.KEY,
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
