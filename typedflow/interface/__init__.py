"""Interfaces: what an entity takes and gives; the values of one call checked against it; a new one against an old one.

Everything here is pure.
"""

from typedflow.interface.binding import bind
from typedflow.interface.comparison import compare
from typedflow.interface.redaction import redacted
from typedflow.interface.signature import default_text, input, output, text  # noqa: A004 - what they are

__all__ = ["bind", "compare", "default_text", "input", "output", "redacted", "text"]
