"""Which types are well formed."""

import time

import pytest
from google.protobuf import text_format

from typedflow import literal_types
from typedflow.compiler import wellformed
from typedflow.pb.types_pb2 import LiteralType

RIGHT = {
    "an empty dict": "dict { value {} }",
    "an enum of mixed values": 'enum { members { string: "a" } members { integer: 1 } }',
    "values equal in Python only": "enum { members { integer: 1 } members { boolean: true } members { float: 1 } }",
    "a tuple": 'record { positional: true fields { name: "0" type { simple: SIMPLE_TYPE_INT } } }',
    "the empty tuple": "record { positional: true }",
    "a directory": 'directory { format: "parquet" }',
    "an array": 'array { dtype: "datetime64[ns]" dimensions: 2 }',
    "an array of texts": 'array { dtype: "<U5" }',
    "a frame that leaves others out": 'frame { filter: true columns { name: "a" } }',
    "a custom type": 'custom { name: "chemistry.Molecule" representation { simple: SIMPLE_TYPE_STRING } }',
    "what is sensitive": "sensitive: true simple: SIMPLE_TYPE_STRING",
    "a list of iterators": "list { element { stream { element { simple: SIMPLE_TYPE_INT } } } }",
}
WRONG = {
    "a simple type that there is not": "simple: 99",
    "a dict of nothing well formed": "dict { value { union {} } }",
    "an enum without members": 'enum { name: "Color" }',
    "a member without a value": 'enum { members { name: "RED" } }',
    "a value twice": 'enum { members { string: "a" } members { string: "a" } }',
    "a name twice": 'enum { members { name: "A" integer: 1 } members { name: "A" integer: 2 } }',
    "some members with names": 'enum { members { name: "A" integer: 1 } members { integer: 2 } }',
    "a member that is not a number": "enum { members { float: nan } }",
    "a tuple with names": 'record { positional: true fields { name: "a" type { simple: SIMPLE_TYPE_INT } } }',
    "a tuple out of order": 'record { positional: true fields { name: "1" type { simple: SIMPLE_TYPE_INT } } }',
    "a tuple that may lack an element": (
        'record { positional: true fields { name: "0" optional: true type { simple: SIMPLE_TYPE_INT } } }'
    ),
    "a field without a type": 'record { fields { name: "a" } }',
    "a format with a dot": 'directory { format: ".csv" }',
    "a format in upper case": 'file { format: "CSV" }',
    "an iterator of nothing": "stream {}",
    "an iterator of iterators": "stream { element { stream { element { simple: SIMPLE_TYPE_INT } } } }",
    "a column twice": 'frame { columns { name: "a" } columns { name: "a" } }',
    "a frame that leaves all out": "frame { filter: true }",
    "a frame that refuses what it leaves out": 'frame { filter: true strict: true columns { name: "a" } }',
    "a custom type without a name": "custom { representation { simple: SIMPLE_TYPE_STRING } }",
    "a custom type of nothing": 'custom { name: "a.B" }',
    "a custom type of a custom type": (
        'custom { name: "a.B" representation { custom { name: "a.C" representation { simple: SIMPLE_TYPE_INT } } } }'
    ),
    "an element type that is none": 'array { dtype: "float64; drop" }',
    "too many dimensions": "array { dimensions: 65 }",
    "nothing": "sensitive: true",
}


def parsed(text: str) -> LiteralType:
    return text_format.Parse(text, LiteralType())


@pytest.mark.parametrize("name", RIGHT)
def test_a_type_that_is_well_formed_is_taken(name):
    assert wellformed.mistake(parsed(RIGHT[name])) is None


@pytest.mark.parametrize("name", WRONG)
def test_a_type_that_is_not_well_formed_is_told(name):
    found = wellformed.mistake(parsed(WRONG[name]))
    assert found is not None
    assert found.code == "UnsupportedType"


def test_a_union_has_no_variant_twice_however_it_is_named():
    union = LiteralType()
    for name in "AB":
        union.union.variants.add().CopyFrom(literal_types.record(name, {"a": literal_types.INT}))
    found = wellformed.mistake(union)
    assert found is not None
    assert found.message.startswith("is a union that has B twice")


@pytest.mark.parametrize("kind", ["list", "dict", "stream", "custom", "record", "union"])
def test_every_kind_of_nesting_counts(kind):
    made = LiteralType()
    innermost = made
    for _ in range(1_000):
        match kind:
            case "record":
                innermost = innermost.record.fields.add(name="a").type
            case "union":
                innermost = innermost.list.element.union.variants.add()
            case "custom":
                innermost.custom.name = "a.B"
                innermost = innermost.custom.representation.list.element
            case "stream":
                innermost = innermost.stream.element.list.element
            case "dict":
                innermost = innermost.dict.value
            case _:
                innermost = innermost.list.element
    innermost.CopyFrom(literal_types.INT)
    found = wellformed.mistake(made)
    assert found is not None
    assert found.code == "NestingTooDeep"


def test_huge_types_are_looked_at_in_linear_time():
    enum = LiteralType()
    for i in range(1_000_000):
        enum.enum.members.add(integer=i)
    record = LiteralType()
    for i in range(100_000):
        record.record.fields.add(name=f"f{i}").type.CopyFrom(literal_types.INT)
    begun = time.process_time()
    found = wellformed.mistake(enum)
    assert found is not None
    assert found.message == "is an enum of more than 10,000 members"
    assert wellformed.mistake(record) is None
    assert time.process_time() - begun < 10
