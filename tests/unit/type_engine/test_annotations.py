"""What is no type, or says too little, is told as that at definition, whatever an author wrote in its place."""

import typing
from dataclasses import make_dataclass
from typing import Any, Literal, Union

import numpy as np
import pandas as pd
import pytest

from typedflow import errors, literal_types, type_engine

ENGINE = type_engine.standard()


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (dict[str], "must have two types"),  # type: ignore[misc]
        (dict[str, int, str], "must have two types"),  # type: ignore[misc]
        (list[int, str], "has 2 types, and a list has one for all it holds"),  # type: ignore[misc]
        (Literal, "a Literal must say which values it has"),
        (Literal[()], "a Literal must say which values it has"),
        (Union, "a Union must say what it may be"),
        ([int], "is not a supported type"),
        ({}, "is not a supported type"),
        ({int}, "is not a supported type"),
        (np.array([1, 2]), "is not a supported type"),
        (pd.DataFrame({"a": [1]}), "is not a supported type"),
        (5, "is not a supported type"),
        (typing, "is not a supported type"),
        (list[[int]], "is not a supported type"),  # type: ignore[misc, valid-type]
    ],
    ids=range(14),
)
def test_t1_what_is_no_type_is_refused_with_a_hint(annotation: Any, said: str) -> None:
    with pytest.raises(errors.DefinitionError) as caught:
        ENGINE.converter(annotation)
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.code == "UnsupportedType"


def test_t4_a_union_has_as_many_variants_as_the_compiler_takes() -> None:
    classes = [make_dataclass(f"C{i}", [(f"f{i}", int)]) for i in range(literal_types.MOST_VARIANTS + 1)]
    ENGINE.converter(Union[tuple(classes[:-1])])  # noqa: UP007
    with pytest.raises(errors.DefinitionError, match="at most 64 variants, and this one has 65"):
        ENGINE.converter(Union[tuple(classes)])  # noqa: UP007


def test_t4_what_is_wrong_in_parts_of_several_variants_is_told_without_a_hint_about_one_part() -> None:
    class First(typing.TypedDict):
        a: int

    class Second(typing.TypedDict):
        b: int

    with pytest.raises(errors.ConversionError) as caught:
        ENGINE.converter(First | Second).to_literal({"z": 1}, "inputs.x", type_engine.NO_DATA)
    assert "expected First | Second" in str(caught.value)
    assert caught.value.hint == ""
