"""What people type for an input, and what it means."""

import datetime as dt
import io
import json

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedflow import errors, literal_types, literals
from typedflow.cli import input_command, input_files, inputs
from typedflow.pb import interface_pb2, types_pb2
from typedflow.type_engine import File
from typedflow.type_engine.directories import Directory

CONFIG = literal_types.record("Config", {"width": literal_types.INT, "deep": literal_types.BOOL})
COLOR = literal_types.enum("Color", {"RED": "red", "GREEN": "green"})
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
        ("2024-05-01", literal_types.DATE, "2024-05-01"),
        ("2024-05-01", literal_types.optional(literal_types.DATE), "2024-05-01"),
        ("PT1H30M", literal_types.DURATION, "PT1H30M"),
        ("12.50", literal_types.DECIMAL, "12.50"),
        ("12.50", literal_types.optional(literal_types.DECIMAL), "12.50"),
        ("1234", literal_types.BYTES, "1234"),
        ("green", COLOR, "green"),
        ("green", literal_types.optional(COLOR), "green"),
        ("none", literal_types.optional(COLOR), None),
        ("2", literal_types.choice("a", 2), 2),
        ("2", literal_types.choice("2", 2), "2"),
        ('{"b": 1, "a": 2}', literal_types.dict_of(literal_types.INT), {"b": 1, "a": 2}),
        ('[1, "x"]', literal_types.tuple_of(literal_types.INT, literal_types.STRING), [1, "x"]),
        ("[1, 2]", literal_types.stream_of(literal_types.INT), [1, 2]),
        ("3", literal_types.custom("x.Y", literal_types.INT), 3),
        ("3", literal_types.sensitive(literal_types.STRING), "3"),
        ("yes", literal_types.sensitive(literal_types.BOOL), True),
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
        ("/there/is/none", literal_types.directory(), "there is no folder"),
        (__file__, literal_types.array(), "can't be read as an array"),
        ("gren", COLOR, 'did you mean "green"'),
        ("12,50", literal_types.DECIMAL, "is no decimal number"),
        ("1.5x", literal_types.optional(literal_types.DECIMAL), "is no decimal number"),
        ("1h", literal_types.DURATION, "is no ISO 8601 duration"),
        ('{"a": 1, "a": 2}', literal_types.dict_of(literal_types.INT), r"expected dict\[str, int\]"),
        ("pw", literal_types.sensitive(literal_types.INT), "what came is Sensitive and not shown"),
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


def test_an_input_that_is_a_folder_takes_the_path_of_one(tmp_path):
    taken = inputs.from_text(str(tmp_path), literal_types.optional(literal_types.directory()))
    assert isinstance(taken, Directory)


def test_an_input_that_is_an_array_takes_the_path_of_one(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(3))
    assert getattr(inputs.from_text(str(path), literal_types.array()), "shape", None) == (3,)


def test_paths_inside_of_values_are_read_where_the_type_has_them(tmp_path):
    model, rows = tmp_path / "model.bin", tmp_path / "rows.npy"
    model.write_bytes(b"abc")
    np.save(rows, np.arange(3))
    file = literal_types.file("bin")
    parts = literal_types.record(
        "Parts",
        {
            "files": literal_types.list_of(literal_types.optional(file)),
            "pair": literal_types.tuple_of(literal_types.STRING, literal_types.array()),
            "by_name": literal_types.optional(literal_types.dict_of(file)),
            "day": literal_types.DATE,
        },
    )
    value = {
        "files": [str(model), None],
        "pair": ["text", str(rows)],
        "by_name": {"a": str(model)},
        "day": dt.date(2024, 1, 1),
    }
    taken = inputs.from_plain(value, parts, "p")
    assert isinstance(taken, dict)
    assert [type(each) for each in taken["files"]] == [File, type(None)]
    assert (taken["pair"][0], taken["pair"][1].shape) == ("text", (3,))
    assert taken["by_name"]["a"].size == 3
    assert taken["day"] == "2024-01-01"
    listed = inputs.from_text(json.dumps([str(model)]), literal_types.optional(literal_types.list_of(file)))
    assert [each.size for each in listed] == [3]  # type: ignore[attr-defined]
    wrong = {**value, "files": ["absent", 3], "day": "x", "pair": ["text"]}
    with pytest.raises(errors.ConversionError) as refused:
        inputs.from_plain(wrong, parts, "p")
    assert [where for where, _ in refused.value.problems] == ["p.files[0]", "p.files[1]", "p.day"]


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
    assert input_files._yaml(f"rate: {text}") == {"rate": float(text)}


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
        input_files.read(str(path))
    assert refused.value.where == str(path)
    assert place in refused.value.message
    assert "<unicode" not in refused.value.message


def test_the_help_of_an_option_has_its_type_or_its_choices_and_its_default():
    day = literals.from_date(dt.date(2024, 5, 1))
    interface = interface_pb2.Interface(
        inputs=[
            interface_pb2.Variable(name="color", type=COLOR, default=literals.from_str("red")),
            interface_pb2.Variable(name="size", type=literal_types.optional(literal_types.choice(1, "a"))),
            interface_pb2.Variable(name="day", type=literal_types.DATE, default=day),
            interface_pb2.Variable(name="wait", type=literal_types.dict_of(literal_types.INT)),
            interface_pb2.Variable(
                name="key",
                type=literal_types.sensitive(literal_types.STRING),
                default=literals.from_str("pw"),
                description="of the door",
            ),
        ]
    )
    context = click.Context(click.Command("launch"))
    assert [option.get_help_record(context) for option in inputs.options(interface)] == [
        ("--color [red|green]", "[default: red]"),
        ("--size [1|a|null]", "[required]"),
        ("--day date", "[default: 2024-05-01]"),
        ("--wait dict[str, int]", "[required]"),
        ("--key Sensitive[str]", "of the door  [default: ***]"),
    ]


def test_the_help_says_what_the_names_in_types_stand_for(capsys):
    inner = literal_types.record("Layer", {"width": literal_types.INT})
    color = literal_types.enum("Color", {"RED": "red", "BLUE": "blue"})
    config = literal_types.record(
        "Config",
        {"layers": literal_types.list_of(inner), "color": literal_types.optional(color), "pair": inner},
        defaults=("color",),
    )
    whole = interface_pb2.Interface(
        inputs=[
            interface_pb2.Variable(name="config", type=literal_types.sensitive(config)),
            interface_pb2.Variable(
                name="molecule", type=literal_types.custom("a.Molecule", literal_types.STRING)
            ),
        ]
    )
    command = input_command.InputCommand("launch")
    context = click.Context(command, info_name="launch")
    with pytest.raises(click.exceptions.Exit):
        input_command.show_help(context, "launch NAME", whole)
    told = capsys.readouterr().out
    types = told[told.index("Types:") : told.index("Options:")].splitlines()
    assert [line.strip() for line in types if line] == [
        "Types:",
        "Config      layers: list[Layer], color: Color | None = ..., pair: Layer",
        "a.Molecule  str",
        "Layer       width: int",
        "Color       red|blue",
    ]


def test_of_many_choices_help_shows_the_first():
    many = literal_types.choice(*range(100))
    option = inputs.options(interface_pb2.Interface(inputs=[interface_pb2.Variable(name="n", type=many)]))[0]
    record = option.get_help_record(click.Context(click.Command("launch")))
    assert record is not None
    assert record[0] == "--n [0|1|2|3|4|5|6|7|8|9|10|11|...]"


def test_what_is_wrong_inside_an_option_is_told_with_its_place():
    config = interface_pb2.Interface(inputs=[interface_pb2.Variable(name="config", type=CONFIG)])
    context = click.Context(click.Command("launch"), info_name="launch")
    with pytest.raises(errors.ConversionError) as refused:
        inputs.parse(context, config, ["--config", '{"width": "x", "deep": true}'], subject="training")
    assert str(refused.value).startswith('--config.width: expected int, got "x" (str)\n')
    with pytest.raises(errors.ConversionError) as refused:
        inputs.parse(context, config, ["--config", "{}"], subject="training")
    assert "--config.width: missing: expected int" in refused.value.message
    assert "--config.deep: missing: expected bool" in refused.value.message


def test_all_that_is_wrong_is_told_at_once_wherever_it_was_given(tmp_path):
    path = tmp_path / "inputs.yaml"
    path.write_text("sead: 1\n", "utf-8")
    with pytest.raises(errors.ConversionError) as refused:
        parse("--seed", "x", pairs=("seed=2", "sed=3"), file=str(path))
    assert [where for where, _ in refused.value.problems] == [
        "--seed",
        str(path),
        "--input",
        "--input",
        "--n-trees",
    ]
    assert str(refused.value).splitlines()[-1] == "  --n-trees: missing: expected int"


def test_a_day_that_there_is_not_is_told_with_the_place_of_its_value(tmp_path):
    path = tmp_path / "inputs.yaml"
    path.write_text("rate: 1\nstarts: []\nday: 2026-02-30\n", "utf-8")
    context = click.Context(click.Command("launch"), info_name="launch")
    with pytest.raises(errors.ConversionError, match=r"inputs.yaml: day: expected date.*2026-02-30"):
        inputs.parse(context, TIMES, [], subject="x", file=str(path))


def test_all_that_is_wrong_with_a_file_is_told_at_once(tmp_path):
    path = tmp_path / "inputs.yaml"
    path.write_text("n_trees: x\nseed: 2.5\nsead: 1\n", "utf-8")
    with pytest.raises(errors.UsageError) as refused:
        parse(file=str(path))
    told = str(refused.value)
    assert f'{path}: n_trees: expected int, got "x" (str)' in told
    assert f"{path}: seed: expected int, got 2.5 (float)" in told
    assert "there is no input `sead` (did you mean `seed`?)" in told


TIMES = interface_pb2.Interface(
    inputs=[
        interface_pb2.Variable(name="day", type=literal_types.DATE),
        interface_pb2.Variable(name="starts", type=literal_types.list_of(literal_types.DATETIME)),
        interface_pb2.Variable(name="rate", type=literal_types.FLOAT),
    ]
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "inputs.yaml",
            "day: 2024-05-01\nstarts: [2024-05-01T12:00:00+02:00, '2024-05-01T00:00:00Z']\nrate: .inf\n",
        ),
        (
            "inputs.toml",
            "day = 2024-05-01\nstarts = [2024-05-01T12:00:00+02:00, '2024-05-01T00:00:00Z']\nrate = inf\n",
        ),
        (
            "inputs.json",
            '{"day": "2024-05-01", "starts": ["2024-05-01T12:00:00+02:00", "2024-05-01T00:00:00Z"], "rate": Infinity}',
        ),
    ],
)
def test_dates_of_yaml_and_toml_are_those_of_json(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    context = click.Context(click.Command("launch"), info_name="launch")
    assert inputs.parse(context, TIMES, [], subject="x", file=str(path)) == {
        "day": "2024-05-01",
        "starts": ["2024-05-01T12:00:00+02:00", "2024-05-01T00:00:00Z"],
        "rate": "Infinity",
    }


@pytest.mark.parametrize("text", ["starts: [2024-05-01T12:00:00]", "starts: [2024-05-01 12:00:00]"])
def test_t1_a_naive_datetime_of_yaml_is_refused(tmp_path, text):
    path = tmp_path / "inputs.yaml"
    path.write_text(text, "utf-8")
    context = click.Context(click.Command("launch"), info_name="launch")
    with pytest.raises(errors.ConversionError, match=r"starts\[0\]: .*2024-05-01T12:00:00 has no time zone"):
        inputs.parse(context, TIMES, [], subject="x", file=str(path))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.yaml", "seed: 1\nseed: 2\n", "`seed` is there twice: line 2 column 1"),
        ("x.yaml", "a:\n  b: 1\n  'b': 2\n", "`b` is there twice: line 3 column 3"),
        ("x.json", '{"a": {"b": 1, "b": 2}}', "`b` is there twice in one object"),
        ("x.toml", "a = 1\na = 2\n", "line 2"),
        ("x.yaml", "a: &a [*a]", "an alias stands for what it is in itself"),
        ("x.yaml", "a: {1: 2}", "the name 1 is no text: in YAML a name such as `on` or `1` needs quotes"),
        ("x.yaml", "a: " + "[" * 5000, "nested too deep"),
        ("x.json", '{"a": ' + "[" * 100_000, "nested too deep"),
        (
            "x.yaml",
            "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)),
            "its aliases stand for more than 10,000,000 values",
        ),
    ],
    ids=range(9),
)
def test_what_a_file_says_twice_or_endlessly_is_refused(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(errors.UsageError) as refused:
        input_files.read(str(path))
    assert message in refused.value.message


def test_what_is_merged_into_an_object_of_yaml_may_be_given_anew(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\n", "utf-8")
    assert input_files.read(str(path))["b"] == {"x": 3, "y": 2}


@pytest.mark.parametrize("text", ['{"n_trees": 1}', "n_trees: 1\n"])
def test_inputs_may_come_on_standard_input(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert parse(file="-") == {"n_trees": 1}


def test_a_mistake_on_standard_input_says_so(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n_trees: [1"))
    with pytest.raises(errors.UsageError) as refused:
        parse(file="-")
    assert refused.value.where == "standard input"
