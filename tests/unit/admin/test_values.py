"""D2, C6: whatever a value points at is found, wherever in it that is."""

from collections.abc import Iterator

import hypothesis
from google.protobuf.message import Message
from hypothesis import strategies as st
from typedflow_admin import values

from typedflow import literals
from typedflow.pb.literals_pb2 import Blob, Literal

_BLOB = Blob(uri="file:///x", digest="b3:0", size=1)


def file() -> Literal:
    made = Literal()
    made.file.blob.CopyFrom(_BLOB)
    return made


def of_kind(kind: str) -> Literal:
    made = Literal()
    getattr(made, kind).blob.CopyFrom(_BLOB)
    return made


def directory(files: int) -> Literal:
    made = Literal()
    made.directory.entries.add(path="empty")
    for number in range(files):
        made.directory.entries.add(path=f"f{number}").blob.CopyFrom(_BLOB)
    return made


def chosen(variant: int, value: Literal) -> Literal:
    made = Literal()
    made.union.variant = variant
    made.union.value.CopyFrom(value)
    return made


LEAVES = (
    st.just(literals.from_int(1))
    | st.sampled_from(["frame", "array", "stream", "offloaded"]).map(of_kind)
    | st.builds(file)
    | st.integers(0, 3).map(directory)
)
LITERALS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda found: literals.from_list(literals.pack(found)))
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(literals.from_dict)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(literals.from_record)
        | st.builds(chosen, st.integers(0, 2), inner)
    ),
    max_leaves=8,
)


def pointed_at(literal: Literal) -> Iterator[Blob]:
    """What the message has of blobs, found without knowing what it means."""
    todo: list[Message] = [literal]
    while todo:
        message = todo.pop()
        if isinstance(message, Blob):
            yield message
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                todo.extend(value if field.is_repeated else [value])


@hypothesis.given(LITERALS)
def test_c6_every_object_that_a_value_points_at_is_found(literal):
    assert len(list(values.blobs_of(literal))) == len(list(pointed_at(literal)))
    named = literals.as_map({"a": literal, "b": literal})
    assert len(list(values.blobs(named))) == 2 * len(list(pointed_at(literal)))
