"""The bytes that a value points at, under the name that this package has for it."""

from typedflow.literals.pointers import blobs, blobs_of

__all__ = ["blobs", "blobs_of"]
