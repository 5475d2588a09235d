"""Tables, durations and YAML."""

import pytest

from typedflow.cli import output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 s"), (0.414, "0.41 s"), (12.34, "12.3 s"), (245, "4 m 05 s"), (7999, "2 h 13 m")],
)
def test_a_duration_is_as_exact_as_people_need(seconds, text):
    assert output.seconds(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("training", "training"),
        ("yes", '"yes"'),
        ("Null", '"Null"'),
        ("", '""'),
        ("1.5", '"1.5"'),
        ("- a", '"- a"'),
        ("a: b", '"a: b"'),
        ("a #b", '"a #b"'),
        ("two\nlines", '"two\\nlines"'),
        ("é", '"é"'),
        ("\x85", '"\\u0085"'),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (1e-07, "1.0e-07"),
        (1.5e300, "1.5e+300"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_yaml_quotes_what_it_might_read_as_something_else(value, text):
    assert list(output.yaml_lines(value)) == [text]


def test_yaml_nests_by_indentation():
    value = {"a": {"b": [1, {"c": None, "d": "x"}]}, "e": [[1, 2], []]}
    assert list(output.yaml_lines(value)) == [
        "a:",
        "  b:",
        "    - 1",
        "    - c: null",
        "      d: x",
        "e:",
        "  - - 1",
        "    - 2",
        "  - []",
    ]


def test_columns_of_a_table_line_up(capsys):
    output.table(("NAME", "PHASE"), [("a", "RUNNING"), ("longer", "")])
    assert capsys.readouterr().out == "NAME    PHASE\na       RUNNING\nlonger\n"
