"""What people type for an input, and what it means."""

import json

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedflow import errors, literal_types, literals
from typedflow.cli import inputs
from typedflow.pb import interface_pb2, types_pb2
from typedflow.type_engine import File

CONFIG = literal_types.record("Config", {"width": literal_types.INT, "deep": literal_types.BOOL})
INTERFACE = interface_pb2.Interface(
    inputs=[
        interface_pb2.Variable(name="n_trees", type=literal_types.INT, description="how many"),
        interface_pb2.Variable(
            name="seed", type=literal_types.INT, default=literals.from_int(7), description="of all"
        ),
        interface_pb2.Variable(name="quick", type=literal_types.BOOL, default=literals.from_bool(False)),
        interface_pb2.Variable(name="wait", type=literal_types.STRING, default=literals.from_str("a")),
    ]
)


def named(argument: object) -> str | None:
    """A type as people write it, in the id of a test."""
    return literal_types.text(argument) if isinstance(argument, types_pb2.LiteralType) else None


def parse(*arguments: str, pairs: tuple[str, ...] = (), file: str = "") -> dict[str, object]:
    group = click.Context(click.Group("typedflow"), info_name="typedflow")
    context = click.Context(click.Command("launch"), parent=group, info_name="launch")
    return inputs.parse(
        context, INTERFACE, arguments, subject="training", taken={"wait"}, pairs=pairs, file=file
    )


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("3", literal_types.INT, 3),
        ("-3", literal_types.INT, -3),
        ("3", literal_types.FLOAT, 3),
        ("1e-3", literal_types.FLOAT, 0.001),
        ("NaN", literal_types.FLOAT, "NaN"),
        ("yes", literal_types.BOOL, True),
        ("FALSE", literal_types.BOOL, False),
        ("3", literal_types.STRING, "3"),
        ("", literal_types.STRING, ""),
        ("null", literal_types.STRING, "null"),
        ("2024-05-01T12:00:00Z", literal_types.DATETIME, "2024-05-01T12:00:00Z"),
        ("[1, 2]", literal_types.list_of(literal_types.INT), [1, 2]),
        ('{"width": 3, "deep": true}', CONFIG, {"width": 3, "deep": True}),
        ("none", literal_types.optional(literal_types.INT), None),
        ("4", literal_types.optional(literal_types.INT), 4),
        ("4", literal_types.optional(literal_types.STRING), "4"),
        ("a b", literal_types.optional(literal_types.STRING), "a b"),
        ("4", literal_types.union(literal_types.INT, literal_types.STRING), 4),
    ],
    ids=named,
)
def test_a_text_is_read_by_the_type_of_its_input(text, type_, value):
    assert inputs.from_text(text, type_) == value


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("x", literal_types.INT, "expected int"),
        ("2.5", literal_types.INT, "expected int"),
        ("maybe", literal_types.BOOL, "expected bool"),
        ("yesterday", literal_types.DATETIME, "RFC 3339"),
        ("[1, x]", literal_types.list_of(literal_types.INT), r"expected list\[int\]"),
        ('{"wdith": 3}', CONFIG, "did you mean `width`"),
        ("x", literal_types.optional(literal_types.INT), "expected int | None"),
        pytest.param(
            "[" * 100_000, literal_types.list_of(literal_types.INT), r"expected list\[int\]", id="deep"
        ),
        ("/there/is/none", literal_types.file(), "there is no file"),
    ],
    ids=named,
)
def test_a_text_that_does_not_fit_is_refused_with_what_was_expected(text, type_, expected):
    with pytest.raises(errors.ConversionError, match=expected):
        inputs.from_text(text, type_)


@given(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_what_is_printed_as_a_value_is_read_as_that_value(value):
    kinds = {int: literal_types.INT, float: literal_types.FLOAT, bool: literal_types.BOOL}
    assert inputs.from_text(json.dumps(value), kinds[type(value)]) == value


def test_an_input_that_is_a_file_takes_a_path(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"abc")
    for type_ in (literal_types.file(), literal_types.optional(literal_types.file())):
        taken = inputs.from_text(str(path), type_)
        assert isinstance(taken, File)
        assert taken.size == 3


def test_an_input_that_is_a_frame_takes_the_path_of_one(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    taken = inputs.from_text(str(path), literal_types.frame())
    assert getattr(taken, "column_names", None) == ["a", "b"]
    with pytest.raises(errors.ConversionError, match="not read as a frame"):
        inputs.from_text(__file__, literal_types.frame())


def test_dashes_and_underscores_are_alike():
    assert parse("--n-trees", "3")["n_trees"] == parse("--n_trees=3")["n_trees"] == 3


def test_a_flag_may_be_switched_on_and_off():
    assert parse("--n-trees", "3", "--quick")["quick"] is True
    assert parse("--n-trees", "3", "--no-quick")["quick"] is False
    assert "quick" not in parse("--n-trees", "3")


def test_a_negative_number_is_a_value_and_no_option():
    assert parse("--n-trees", "-3") == {"n_trees": -3}


def test_an_input_whose_name_the_command_has_is_given_as_a_pair():
    assert parse("--n-trees", "3", pairs=("wait=b=c",)) == {"n_trees": 3, "wait": "b=c"}
    with pytest.raises(click.NoSuchOption):
        parse("--n-trees", "3", "--wait", "b")


def test_options_come_before_the_file(tmp_path):
    path = tmp_path / "inputs.toml"
    path.write_text("n_trees = 1\nseed = 2\n", "utf-8")
    assert parse("--seed", "3", file=str(path)) == {"n_trees": 1, "seed": 3}


@pytest.mark.parametrize("name", ["inputs.yaml", "inputs.yml", "inputs"])
def test_a_file_of_inputs_may_be_yaml(tmp_path, name):
    path = tmp_path / name
    path.write_text("n_trees: 1  # few\nseed: 2\n", "utf-8")
    assert parse(file=str(path)) == {"n_trees": 1, "seed": 2}


@pytest.mark.parametrize("text", ["1e-4", "-1E5", "1.5e3", "2.e-3", "+1e2"])
def test_a_number_with_an_exponent_is_one_in_yaml_too(text):
    assert inputs._yaml(f"rate: {text}") == {"rate": float(text)}


@pytest.mark.parametrize(
    "text",
    ["on: 1", "{1: 2}", "n_trees: {[1]: 2}", "n_trees: [{1: 2}]", "- 1", "a: [", "a: !!python/name:os.x"],
)
def test_a_file_that_is_no_object_of_values_by_name_is_refused(tmp_path, text):
    path = tmp_path / "inputs.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(errors.UsageError, match=r"inputs must be an object|inputs can't be read"):
        parse(file=str(path))


@pytest.mark.parametrize(
    ("arguments", "pairs", "message"),
    [
        ((), (), r"missing --n-trees \(int\)"),
        (("--n-trees", "1"), ("sead=2",), "there is no input `sead`"),
        (("--n-trees", "1"), ("seed",), "is not NAME=VALUE"),
        (("--n-trees", "1"), ("n_trees=2",), "given twice"),
        (("--n-trees", "1"), ("seed=x",), "expected int"),
    ],
)
def test_mistakes_in_inputs_are_told_before_anything_is_sent(arguments, pairs, message):
    with pytest.raises(errors.UsageError, match=message):
        parse(*arguments, pairs=pairs)


def test_an_unknown_option_names_the_nearest_and_how_to_get_help():
    with pytest.raises(click.UsageError) as raised:
        parse("--n-tres", "3")
    assert "--n-trees" in raised.value.format_message()
    assert raised.value.ctx is not None
    assert raised.value.ctx.command_path == "typedflow launch training"


@pytest.mark.parametrize(
    "content", ["[1]", "{", "", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")]
)
def test_a_file_that_holds_no_inputs_is_refused_by_name(tmp_path, content):
    path = tmp_path / "inputs.json"
    path.write_text(content, "utf-8")
    with pytest.raises(errors.UsageError) as raised:
        parse(file=str(path))
    assert raised.value.where == str(path)


def test_a_bool_beside_an_input_of_the_opposite_name_takes_a_value():
    interface = interface_pb2.Interface(
        inputs=[interface_pb2.Variable(name=name, type=literal_types.BOOL) for name in ("cache", "no_cache")]
    )
    assert [option.opts for option in inputs.options(interface)] == [["--cache"], ["--no-cache"]]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("x.yaml", "a: 1\nb: [1, 2\nc: 3\n", "but got ':': line 3 column 2"),
        ("x.yaml", "a: !!python/name:os.system x\n", "python/name:os.system': line 1 column 4"),
        ("x.json", '{"a": 1,\n "b" 2}', "line 2 column 6"),
        ("x.toml", "a = 1\nb = \n", "line 2, column 5"),
    ],
)
def test_a_file_that_can_not_be_read_is_told_with_its_name_and_line(tmp_path, name, text, place):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(errors.UsageError) as refused:
        inputs._parsed(str(path))
    assert refused.value.where == str(path)
    assert place in refused.value.message
    assert "<unicode" not in refused.value.message
