"""Cache keys: all that a call of a task depends on, as a manifest that people can compare and a digest of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import literal_types
from typedflow.hashing import canonical, values
from typedflow.pb.catalog_pb2 import KeyManifest, KeyPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typedflow.pb.literals_pb2 import LiteralMap
    from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate
    from typedflow.pb.types_pb2 import LiteralType

FORMAT = 1
"""Version of all canonical bytes; a change of any of them is another version."""


def of_type(t: LiteralType) -> str:
    """The digest of a type's structure: equal exactly when `literal_types.equal` says so."""
    return canonical.digest(canonical.TYPE, literal_types.structure(t))


class Recipe:
    """The cache keys of one task on its terms. All but the inputs is worked out once, so that many calls cost little.

    `options` are the task's own with the node's overrides merged in; of those only the cache policy, the image and the
    environment variables count. Digests are of inputs that are bound and converted to the types of the task's
    interface, by name; those that don't count are left out here.
    """

    __slots__ = ("_fixed", "_heads", "_manifest", "ignored")

    def __init__(self, task: TaskTemplate, options: TaskOptions) -> None:
        policy = options.cache
        self.ignored = frozenset(policy.ignored_inputs)
        made = self._manifest = KeyManifest(
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
        values_before = _before_inputs(made)
        self._fixed = canonical.tuple_of(len(values_before) + 1) + b"".join(
            map(canonical.written, values_before)
        )
        self._heads: dict[str, bytes] = {}

    def manifest(self, digests: Mapping[str, str]) -> KeyManifest:
        """What the key of a call with these inputs is made of."""
        made = KeyManifest()
        made.CopyFrom(self._manifest)
        made.inputs.extend(_key_parts((n, digest) for n, digest in digests.items() if n not in self.ignored))
        return made

    def key(self, digests: Mapping[str, str]) -> str:
        """`key(manifest(digests))`, without making the manifest."""
        names = sorted(digests.keys() - self.ignored if self.ignored else digests)
        heads = self._heads
        parts = [self._fixed, canonical.tuple_of(len(names))]
        for name in names:
            head = heads.get(name)
            if head is None:
                head = heads[name] = canonical.tuple_of(2) + canonical.written(name)
            parts.append(head)
            parts.append(canonical.written(digests[name]))
        return canonical.digest_of(canonical.KEY, b"".join(parts))


def manifest(task: TaskTemplate, options: TaskOptions, inputs: LiteralMap) -> KeyManifest:
    """All that goes into the cache key of one call of a task: see `Recipe`."""
    recipe = Recipe(task, options)
    given = ((v.name, v.value) for v in inputs.values if v.name not in recipe.ignored)
    return recipe.manifest({name: values.of_literal(value) for name, value in given})


def key(manifest: KeyManifest) -> str:
    """The cache key that a manifest is the make-up of."""
    return canonical.digest(canonical.KEY, (*_before_inputs(manifest), _pairs(manifest.inputs)))


def _before_inputs(manifest: KeyManifest) -> tuple[canonical.Canonical, ...]:
    return (
        manifest.format,
        manifest.project,
        manifest.domain,
        manifest.task,
        manifest.code,
        manifest.salt,
        manifest.environment,
        _pairs(manifest.variables),
        _pairs(manifest.input_types),
        _pairs(manifest.output_types),
    )


def _pairs(parts: Iterable[KeyPart]) -> tuple[canonical.Canonical, ...]:
    return tuple((part.name, part.value) for part in parts)


def _environment(task: TaskTemplate, options: TaskOptions) -> str:
    """An image that is pinned by digest is the whole environment; a tag says nothing for sure."""
    _, pinned, digest = options.image.rpartition("@")
    return digest if pinned else task.code.environment


def _key_parts(pairs: Iterable[tuple[str, str]]) -> list[KeyPart]:
    return [KeyPart(name=name, value=value) for name, value in sorted(pairs)]
