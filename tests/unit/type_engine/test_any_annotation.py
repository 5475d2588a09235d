"""Annotations of any shape, in this process and in another: what goes in comes out, and what is wrong is told where."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import exactness, strategies_values, values_elsewhere
from typedflow import errors, literals, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA

# What is drawn has the strategy of a whole annotation's values in its repr, which hypothesis warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


def defined(shape: strategies_values.Shape) -> tuple[dict[str, Any], type_engine.Converter]:
    scope: dict[str, Any] = {"__name__": "defined"}
    exec(shape.module(), scope)
    return scope, type_engine.standard().converter(scope["ANNOTATION"])


@settings(max_examples=300)
@given(strategies_values.SHAPES, st.data())
def test_t2_values_of_any_annotation_come_back_exactly(
    shape: strategies_values.Shape, data: st.DataObject
) -> None:
    come_back(shape, data)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=3_000)
@given(strategies_values.SHAPES, st.data())
def test_t2_values_of_thousands_of_annotations_come_back_exactly(
    shape: strategies_values.Shape, data: st.DataObject
) -> None:
    come_back(shape, data)


def come_back(shape: strategies_values.Shape, data: st.DataObject) -> None:
    scope, converter = defined(shape)
    terms = data.draw(st.lists(shape.values, min_size=1, max_size=8))
    values = [eval(term.source(), scope) for term in terms]
    for value in values:
        literal = converter.to_literal(value, "x", NO_DATA)
        assert literals.misfit(literal, converter.type, "x") == ""
        sent = literals_pb2.Literal.FromString(literal.SerializeToString())
        assert exactness.exact(converter.from_literal(sent, "x", NO_DATA)) == exactness.exact(value)
        assert converter.is_exact(value)


@pytest.mark.slow
@settings(max_examples=200)
@given(strategies_values.SHAPES, st.data())
def test_t6_many_values_of_any_annotation_are_packed_as_their_literals_are(
    shape: strategies_values.Shape, data: st.DataObject
) -> None:
    scope, converter = defined(shape)
    values = [eval(term.source(), scope) for term in data.draw(st.lists(shape.values, max_size=5))]
    column = converter.to_column(values, lambda i: f"x[{i}]", NO_DATA)
    assert column == literals.pack([converter.to_literal(value, "x", NO_DATA) for value in values])
    assert literals.malformed(column) == ""
    sent = literals_pb2.List.FromString(column.SerializeToString())
    assert exactness.same(converter.from_column(sent, lambda i: f"x[{i}]", NO_DATA), values)


@pytest.mark.slow
@settings(max_examples=200)
@given(strategies_values.PLAIN_SHAPES, st.data())
def test_t2_a_wrong_leaf_is_told_with_its_own_path(
    shape: strategies_values.Shape, data: st.DataObject
) -> None:
    scope, converter = defined(shape)
    leaves = list(data.draw(shape.values).leaves("inputs.x"))
    assume(leaves)
    path, wrong = data.draw(st.sampled_from(leaves))
    with pytest.raises(errors.ConversionError) as caught:
        converter.to_literal(eval(wrong.source(), scope), "inputs.x", NO_DATA)
    assert caught.value.where == path
    assert "Odd" in caught.value.message


@pytest.fixture(scope="module")
def elsewhere(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str, list[bytes]], list[bytes]]]:
    """Sends a module and literals to another process, and gives what that makes of them."""
    folder = tmp_path_factory.mktemp("modules")
    numbers = itertools.count()
    process = subprocess.Popen(
        [sys.executable, values_elsewhere.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    source, sink = process.stdout, process.stdin

    def ask(module: str, values: list[bytes]) -> list[bytes]:
        name = f"definitions_{next(numbers)}"
        (folder / f"{name}.py").write_text(module, encoding="utf-8")
        values_elsewhere.send(sink, [name.encode(), *values])
        return values_elsewhere.receive(source)

    yield ask
    sink.close()
    source.close()
    assert process.wait(30) == 0


Ask = Callable[[str, list[bytes]], list[bytes]]


@pytest.mark.slow
@settings(max_examples=150)
@given(shape=strategies_values.SHAPES, data=st.data())
def test_t2_values_cross_to_another_process_and_back_exactly(
    elsewhere: Ask, shape: strategies_values.Shape, data: st.DataObject
) -> None:
    cross(elsewhere, shape, data)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=2_000)
@given(shape=strategies_values.SHAPES, data=st.data())
def test_t2_values_of_thousands_of_annotations_cross_to_another_process_and_back(
    elsewhere: Ask, shape: strategies_values.Shape, data: st.DataObject
) -> None:
    cross(elsewhere, shape, data)


def cross(elsewhere: Ask, shape: strategies_values.Shape, data: st.DataObject) -> None:
    scope, converter = defined(shape)
    terms = data.draw(st.lists(shape.values, min_size=1, max_size=12))
    values = [eval(term.source(), scope) for term in terms]
    sent = [converter.to_literal(value, "x", NO_DATA).SerializeToString() for value in values]
    answer = elsewhere(shape.module(), sent)
    assert len(answer) == 2 * len(values)
    for value, seen, written in zip(values, answer[::2], answer[1::2], strict=True):
        assert seen.decode("utf-8", "surrogatepass") == exactness.exact(value)
        back = converter.from_literal(literals_pb2.Literal.FromString(written), "x", NO_DATA)
        assert exactness.same(back, value)
