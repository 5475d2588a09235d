"""Digests of values, types, cache keys and entities, each over canonical bytes of its own.

docs/hashing.md defines the bytes; tests/golden/hashing.json pins them. A digest is of the meaning, never of a
serialization: how a list is packed and whether a value is offloaded does not show, and no release of protobuf can
change a key. What a digest is of is said by the tag that comes first, so no two kinds of thing have one in common.
"""

from typedflow.hashing.entities import of_content, of_entity
from typedflow.hashing.keys import FORMAT, Recipe, key, manifest, of_type
from typedflow.hashing.values import Elements, of_literal, of_said, of_value

__all__ = [
    "FORMAT",
    "Elements",
    "Recipe",
    "key",
    "manifest",
    "of_content",
    "of_entity",
    "of_literal",
    "of_said",
    "of_type",
    "of_value",
]
