"""Diagnostics for people and for programs."""

import json

from typedflow.cli import render_diagnostics
from typedflow.compiler import diagnostics
from typedflow.pb.diagnostics_pb2 import Diagnostic
from typedflow.pb.identifiers_pb2 import SourcePosition

MISMATCH = diagnostics.make(
    "MismatchingTypes",
    "input `df` of task `train` expects dataframe[mean_radius: float, target: int]",
    workflow="pipeline.training",
    node="train",
    position=SourcePosition(file="pipeline.py", line=31, column=13),
    expected="dataframe[mean_radius: float, target: int]",
    given="dataframe[mean_radius: float]",
    label="upstream `ingest_raw` gives dataframe[mean_radius: float]: column `target` is missing",
    hint="`ingest` gives dataframe[mean_radius: float, target: int]",
)


def at(line: str, column: int, number: int = 1, label: str = "here") -> list[str]:
    """The lines of an excerpt: the source's and the carets'."""
    position = SourcePosition(file="f.py", line=number, column=column)
    shown = render_diagnostics.text(
        [Diagnostic(code="C", message="m", label=label, position=position)],
        read_source=lambda _file: "\n" * (number - 1) + line,
    )
    return shown.splitlines()[3:5]


def test_a_wiring_mistake_looks_as_the_documentation_shows():
    source = "\n" * 30 + "    model = train(df=ingest_raw(seed=seed), trees=trees)\n"
    shown = render_diagnostics.text([MISMATCH], read_source={"pipeline.py": source}.get)
    assert shown == (
        "error[MismatchingTypes]: input `df` of task `train` expects dataframe[mean_radius: float, target: int]\n"
        "  --> pipeline.py:31:13\n"
        "   |\n"
        "31 |     model = train(df=ingest_raw(seed=seed), trees=trees)\n"
        "   |             ^^^^^ upstream `ingest_raw` gives dataframe[mean_radius: float]: column `target` is missing\n"
        "   = help: `ingest` gives dataframe[mean_radius: float, target: int]\n"
        "1 error, nothing registered\n"
    )


def test_without_the_source_everything_is_said_in_words():
    shown = render_diagnostics.text([MISMATCH], footer="")
    assert shown == (
        "error[MismatchingTypes]: input `df` of task `train` expects dataframe[mean_radius: float, target: int]\n"
        " --> pipeline.py:31:13\n"
        "  = expected: dataframe[mean_radius: float, target: int]\n"
        "  = given: dataframe[mean_radius: float]\n"
        "  = note: upstream `ingest_raw` gives dataframe[mean_radius: float]: column `target` is missing\n"
        "  = help: `ingest` gives dataframe[mean_radius: float, target: int]\n"
        "1 error\n"
    )


def test_without_a_position_the_workflow_and_the_node_are_named():
    shown = render_diagnostics.text([diagnostics.make("NoNodesFound", "m", workflow="w", node="n")])
    assert shown == "error[NoNodesFound]: m\n --> w, node n\n1 error, nothing registered\n"


def test_a_line_that_the_file_does_not_have_is_not_shown():
    position = SourcePosition(file="f.py", line=9, column=1)
    shown = render_diagnostics.text(
        [Diagnostic(code="C", message="m", position=position)], read_source=lambda _file: "x\n"
    )
    assert shown == "error[C]: m\n --> f.py:9:1\n1 error, nothing registered\n"


def test_no_mistakes_are_no_errors():
    assert render_diagnostics.text([], footer="") == "0 errors\n"


def test_a_file_is_read_once():
    read: list[str] = []

    def read_source(file: str) -> str:
        read.append(file)
        return ""

    render_diagnostics.text([MISMATCH] * 3, read_source=read_source)
    assert read == ["pipeline.py"]


def test_the_callee_is_underlined_with_its_module():
    assert at("a = steps.train(df)", 5) == ["1 | a = steps.train(df)", "  |     ^^^^^^^^^^^ here"]


def test_the_frame_is_as_wide_as_the_number():
    assert at("train()", 1, number=1000) == ["1000 | train()", "     | ^^^^^ here"]


def test_without_a_column_the_first_name_is_underlined():
    assert at("    train(df)", 0) == ["1 |     train(df)", "  |     ^^^^^ here"]


def test_a_column_beyond_the_line_underlines_the_first_name():
    assert at("train(df)", 400) == ["1 | train(df)", "  | ^^^^^ here"]


def test_what_is_no_name_gets_one_caret():
    assert at("x = (a)(b)", 5, label="") == ["1 | x = (a)(b)", "  |     ^"]


def test_carets_stand_under_the_name_after_tabs_and_wide_characters():
    assert at("\tx = train()", 6) == ["1 |     x = train()", "  |         ^^^^^ here"]
    assert at('f("漢字", train())', 9) == ['1 | f("漢字", train())', "  |           ^^^^^ here"]


def test_nothing_in_a_template_or_a_source_reaches_the_terminal_as_a_command():
    evil = "a\x1b[2Jb\r\n\x07"
    found = diagnostics.make(
        evil, evil, workflow=evil, node=evil, expected=evil, given=evil, label=evil, hint=evil,
        position=SourcePosition(file=evil, line=1, column=1),
    )  # fmt: skip
    for source in ({}, {evil: evil}):
        shown = render_diagnostics.text([found], read_source=source.get)
        assert all(line.isprintable() for line in shown.split("\n"))


def test_colours_come_only_when_asked_for_and_change_no_text():
    plain = render_diagnostics.text([MISMATCH])
    painted = render_diagnostics.text([MISMATCH], color=True)
    assert "\x1b" not in plain
    for code in ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"):
        assert code in painted
        painted = painted.replace(code, "")
    assert painted == plain


def test_programs_get_what_the_documentation_says():
    found = render_diagnostics.as_json([MISMATCH, diagnostics.make("NoNodesFound", "m")])
    assert json.loads(json.dumps(found)) == {
        "diagnostics": [
            {
                "code": "MismatchingTypes",
                "message": "input `df` of task `train` expects dataframe[mean_radius: float, target: int]",
                "label": MISMATCH.label,
                "workflow": "pipeline.training",
                "node": "train",
                "file": "pipeline.py",
                "line": 31,
                "column": 13,
                "expected": "dataframe[mean_radius: float, target: int]",
                "given": "dataframe[mean_radius: float]",
                "hint": "`ingest` gives dataframe[mean_radius: float, target: int]",
            },
            {
                "code": "NoNodesFound",
                "message": "m",
                "label": None,
                "workflow": None,
                "node": None,
                "file": None,
                "line": None,
                "column": None,
                "expected": None,
                "given": None,
                "hint": None,
            },
        ]
    }


def test_a_line_that_is_too_long_is_cut_on_both_sides_of_the_place():
    line = "(" + "f(n=1), " * 40 + "train(df=df), " + "f(n=1), " * 40 + ")"
    position = SourcePosition(file="f.py", line=1, column=line.index("train") + 1)
    shown = render_diagnostics.text(
        [Diagnostic(code="C", message="m", label="here", position=position)],
        read_source=lambda _file: line,
        width=80,
    )
    excerpt, carets = shown.splitlines()[3:5]
    assert len(excerpt) == 80
    assert excerpt.startswith("1 | ...")
    assert excerpt.endswith("...")
    assert excerpt[carets.index("^") :].startswith("train(df=df)")
    assert carets.endswith("^^^^^ here")


def test_a_line_that_is_too_long_is_cut_after_a_place_at_its_beginning():
    excerpt, carets = at("train(df=df)" + ", f(n=1)" * 40, 1)
    assert (len(excerpt), excerpt[:10], excerpt[-3:]) == (160, "1 | train(", "...")
    assert carets == "  | ^^^^^ here"
