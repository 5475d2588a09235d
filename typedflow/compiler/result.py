"""What every function of the compiler gives: a value, or all that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typedflow.pb.diagnostics_pb2 import Diagnostic

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """`value` is there exactly when there are no `diagnostics`."""

    value: T | None
    diagnostics: tuple[Diagnostic, ...] = ()
