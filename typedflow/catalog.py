"""The cache's protocol, and a catalog for runs without a server.

A catalog finds the outputs of an earlier attempt by the key of its inputs. It must never give an entry that it can't
vouch for: in doubt there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from typedflow.pb import catalog_pb2

ABSENT = "absent"


class Catalog(Protocol):
    """Results by key."""

    def lookup(self, keys: Sequence[str]) -> list[catalog_pb2.LookupResult]:
        """An answer for each key, in the order asked."""
        ...

    def publish(self, entry: catalog_pb2.CatalogEntry) -> None:
        """Makes the entry found under its key from now on; it replaces one that is there."""
        ...


class MemoryCatalog:
    """A catalog that lasts as long as the object.

    Example:
        >>> cache = MemoryCatalog()
        >>> cache.lookup(["b3:00"])[0].reason
        'absent'
    """

    def __init__(self) -> None:
        self._entries: dict[str, catalog_pb2.CatalogEntry] = {}

    def lookup(self, keys: Sequence[str]) -> list[catalog_pb2.LookupResult]:
        return [_result(self._entries.get(key)) for key in keys]

    def publish(self, entry: catalog_pb2.CatalogEntry) -> None:
        kept = catalog_pb2.CatalogEntry()
        kept.CopyFrom(entry)
        self._entries[entry.key] = kept


def _result(entry: catalog_pb2.CatalogEntry | None) -> catalog_pb2.LookupResult:
    return catalog_pb2.LookupResult(entry=entry) if entry else catalog_pb2.LookupResult(reason=ABSENT)
