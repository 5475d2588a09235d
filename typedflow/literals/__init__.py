"""Values: build them, take them apart, convert them between types, and read and write them as plain JSON.

`Literal` messages are the model. Everything here is pure: a file's or a frame's bytes are never touched, and what an
offloaded literal stands for is not looked into. Python objects of authors' types are the type engine's.
"""

from typedflow.literals.conversion import constant, convert, follow
from typedflow.literals.lists import (
    booleans,
    element,
    elements,
    empty,
    floats,
    integers,
    join,
    length,
    malformed,
    nones,
    pack,
    records,
    split,
    strings,
)
from typedflow.literals.plain import from_json, to_json
from typedflow.literals.scalars import (
    as_map,
    describe,
    from_bool,
    from_datetime,
    from_float,
    from_int,
    from_list,
    from_none,
    from_record,
    from_str,
    get,
    to_datetime,
)
from typedflow.literals.shape import misfit

__all__ = [
    "as_map",
    "booleans",
    "constant",
    "convert",
    "describe",
    "element",
    "elements",
    "empty",
    "floats",
    "follow",
    "from_bool",
    "from_datetime",
    "from_float",
    "from_int",
    "from_json",
    "from_list",
    "from_none",
    "from_record",
    "from_str",
    "get",
    "integers",
    "join",
    "length",
    "malformed",
    "misfit",
    "nones",
    "pack",
    "records",
    "split",
    "strings",
    "to_datetime",
    "to_json",
]
