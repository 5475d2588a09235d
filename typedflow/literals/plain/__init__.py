"""Literals as plain JSON values and back: what people type on a command line and read in an answer.

    None  bool  int  str      themselves
    float                     a number; "NaN", "Infinity", "-Infinity" as strings
    Decimal                   a string with all its digits; an int is taken too
    bytes                     base64
    datetime                  RFC 3339 with its offset, and its zone if it has one: `+01:00[Europe/Berlin]` (RFC 9557)
    date, timedelta           ISO 8601: `2024-05-01`, `P1DT2H0.5S`
    Enum, Literal             the member's value
    list, tuple, iterator     an array
    record, dict              an object by field, by key
    union                     its variant; `{"$type", "value"}` where another variant would be read back
    custom type               as what represents it
    File, frame and the like  an object that says what it is and where; can't be read back
    Sensitive                 "***"; can't be read back

Nothing here reads or writes text: values are what `json.loads` gives and `json.dumps(..., allow_nan=False)` takes.
"""

from typedflow.literals.plain.reading import from_json
from typedflow.literals.plain.writing import to_json

__all__ = ["from_json", "to_json"]
