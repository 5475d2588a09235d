"""Plain JSON values as literals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors, literal_types
from typedflow.literals.plain import forms

if TYPE_CHECKING:
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.types_pb2 import LiteralType


def from_json(value: object, target: LiteralType, path: str) -> Literal:
    """The literal of a plain value. Raises one ConversionError with every part that does not fit and its path.

    A field that its class has a default for may be left out, and is then left out of the record. Dates, datetimes and
    bytes, which YAML and TOML have of their own, are taken as they are. What has no plain form is in it as a
    function, which gives the constant for a type, that of its place.
    """
    if not target.HasField("simple") or callable(value):
        from typedflow.literals.plain import fields

        return fields.read(value, target, path)
    # What has no parts needs no schema, and a command line of a few numbers does not wait for one.
    expected = literal_types.brief(target)
    try:
        return forms.scalar(value, target, expected)
    except errors.ConversionError as error:
        message = forms.not_shown(expected) if target.sensitive else error.message
    raise errors.ConversionError(
        message, where=path
    )  # out here: the error that shows the value is not kept with it
