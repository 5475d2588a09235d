"""Maps: which inputs are mapped (E9), what comes out, and what can't be."""

import math

import pytest

from typedflow import literal_types, literals

INT, FLOAT, STRING = literal_types.INT, literal_types.FLOAT, literal_types.STRING
INTS = literal_types.list_of(INT)


@pytest.fixture
def scoring(build):
    """score(n: int, by: float = 2) -> float, and an input `ns: list[int]`."""
    made = build()
    made.add_task("score", {"n": INT, "by": (FLOAT, literals.from_int(2))}, {"o0": FLOAT})
    made.add_input("ns", INTS)
    made.add_input("n", INT)
    return made


def many(build, *values):
    return build.value(literals.from_list(literals.integers(values)))


# Which inputs are mapped


def test_e9_what_fits_as_a_list_only_is_mapped_and_the_rest_is_the_same_for_all(scoring, build):
    scoring.add_map("score", {"n": build.given("ns"), "by": build.value(literals.from_int(3))})
    node = scoring.compiled().workflow.nodes[0]
    assert list(node.map.over) == ["n"]
    assert [binding.variable for binding in node.inputs] == ["n", "by"]
    assert node.inputs[1].value.literal == literals.from_float(3.0)


def test_defaults_are_filled_in_and_over_is_in_the_order_of_the_interface(scoring, build):
    scoring.add_task("pair", {"a": INT, "b": INT, "by": (FLOAT, literals.from_int(2))}, {"o0": INT})
    scoring.add_map("pair", {"b": build.given("ns"), "a": build.given("ns")})
    node = scoring.compiled().workflow.nodes[0]
    assert list(node.map.over) == ["a", "b"]
    assert [binding.variable for binding in node.inputs] == ["a", "b", "by"]
    assert [task.id.name for task in scoring.compiled().tasks] == ["pipeline.pair"]


def test_a_constant_list_is_converted_to_a_list_of_what_the_task_takes(scoring, build):
    scoring.add_map("score", {"n": build.given("n"), "by": many(build, 1, 2)})
    node = scoring.compiled().workflow.nodes[0]
    assert list(node.map.over) == ["by"]
    assert list(node.inputs[1].value.literal.list.floats.values) == [1.0, 2.0]


def test_a_list_of_promises_is_mapped(scoring, build):
    scoring.add_map("score", {"n": build.many(build.given("n"), build.given("ns", 0))})
    assert list(scoring.compiled().workflow.nodes[0].map.over) == ["n"]


def test_e9_what_fits_both_ways_must_be_named(scoring, build):
    scoring.add_task("count", {"items": literal_types.union(INTS, INT)}, {"o0": INT})
    node = scoring.add_map("count", {"items": build.given("ns")})
    found = scoring.only()
    assert (found.code, found.given) == ("AmbiguousMapInput", "list[int]")
    node.map.over.append("items")
    scoring.compiled()


def test_e9_a_list_that_the_task_takes_whole_is_not_mapped(scoring, build):
    scoring.add_task("total", {"items": INTS, "n": INT}, {"o0": INT})
    scoring.add_map("total", {"items": build.given("ns"), "n": build.given("ns")})
    assert list(scoring.compiled().workflow.nodes[0].map.over) == ["n"]


def test_a_map_over_nothing_is_told(scoring, build):
    scoring.add_map("score", {"n": build.given("n")})
    found = scoring.only()
    assert (found.code, found.message) == ("MapInputNotList", "the map of task `score` is over nothing")


def test_a_map_of_a_task_that_takes_nothing_is_told(scoring):
    scoring.add_task("tick", {}, {})
    scoring.add_map("tick", {})
    assert scoring.only().code == "MapInputNotList"


@pytest.mark.parametrize("kind", ["promise", "constant", "dict", "record", "optional"])
def test_what_is_named_in_over_and_is_no_list_is_told(scoring, build, kind):
    scoring.add_input("maybe", literal_types.optional(INTS))
    value = {
        "promise": build.given("n"),
        "constant": build.value(literals.from_int(1)),
        "dict": build.dict(a=build.given("n")),
        "record": build.record(a=build.given("n")),
        "optional": build.given("maybe"),
    }[kind]
    scoring.add_map("score", {"n": value}, over=["n"])
    found = scoring.only()
    assert (found.code, found.expected) == ("MapInputNotList", "list[int]")


def test_the_elements_of_a_mapped_list_are_checked(scoring, build):
    scoring.add_input("words", literal_types.list_of(STRING))
    for over in ([], ["n"]):
        del scoring.template.nodes[:]
        scoring.add_map("score", {"n": build.given("words")}, over=over)
        found = scoring.only()
        assert (found.code, found.expected, found.given) == ("MismatchingTypes", "list[int]", "list[str]")
        assert found.message == "mapped input `n` of task `score` expects list[int]"


def test_a_name_in_over_that_the_task_does_not_have_is_told(scoring, build):
    scoring.add_map("score", {"n": build.given("ns")}, over=["n", "bye"])
    found = scoring.only()
    assert (found.code, found.hint) == ("VariableNameNotFound", "did you mean `by`?")
    scoring.template.nodes[0].map.over[1] = "n"
    assert scoring.only().code == "InvalidValue"


def test_what_is_mapped_has_no_default(scoring, build):
    scoring.add_map("score", {"n": build.given("ns")}, over=["n", "by"])
    found = scoring.only()
    assert (found.code, found.message) == (
        "ParameterNotBound",
        "mapped input `by` of task `score` is not given",
    )


def test_e9_lists_that_are_there_are_of_one_length(scoring, build):
    scoring.add_task("add", {"a": INT, "b": INT, "c": INT}, {"o0": INT})
    node = scoring.add_map(
        "add",
        {
            "a": many(build, 1, 2, 3),
            "b": build.many(build.given("n"), build.given("n")),
            "c": build.given("ns"),
        },
    )
    found = scoring.only()
    assert (found.code, found.given) == ("MapLengthsDiffer", "`a` has 3, `b` has 2")
    node.inputs[0].value.CopyFrom(many(build, 1, 2))
    scoring.compiled()


def test_an_empty_list_is_of_any_length_but_its_own(scoring, build):
    scoring.add_task("add", {"a": INT, "b": INT}, {"o0": INT})
    scoring.add_map("add", {"a": many(build), "b": many(build, 1)})
    assert scoring.only().given == "`a` has 0, `b` has 1"


# What comes out


@pytest.mark.parametrize("ratio", [None, 1.0, 0.5, 0.0])
def test_outputs_are_lists_of_optional_values_where_slots_may_fail(scoring, build, ratio):
    node = scoring.add_map("score", {"n": build.given("ns")})
    if ratio is not None:
        node.map.min_success_ratio = ratio
    element = FLOAT if ratio in (None, 1.0) else literal_types.optional(FLOAT)
    scoring.add_task("mean", {"values": literal_types.list_of(element)}, {})
    scoring.add_node("mean", {"values": build.of("score")})
    node = scoring.compiled().workflow.nodes[0]
    assert node.map.HasField("min_success_ratio") == (ratio in (0.5, 0.0))
    scoring.tasks["pipeline.mean"].interface.inputs[0].type.CopyFrom(literal_types.list_of(STRING))
    assert scoring.only().given == f"list[{literal_types.text(element)}]"


def test_what_is_optional_already_stays(scoring, build):
    optional = literal_types.optional(FLOAT)
    scoring.tasks["pipeline.score"].interface.outputs[0].type.CopyFrom(optional)
    scoring.add_map("score", {"n": build.given("ns")}).map.min_success_ratio = 0.5
    scoring.add_output("o0", literal_types.list_of(optional), build.of("score"))
    scoring.compiled()


def test_an_element_of_what_comes_out_can_be_taken(scoring, build):
    scoring.add_map("score", {"n": build.given("ns")})
    scoring.add_output("o0", FLOAT, build.of("score", "o0", -1))
    scoring.compiled()


def test_a_list_around_what_is_nested_to_the_limit_is_nested_too_deep(scoring, build):
    deep = FLOAT
    for _ in range(literal_types.MAX_DEPTH):
        deep = literal_types.list_of(deep)
    scoring.tasks["pipeline.score"].interface.outputs[0].type.CopyFrom(deep)
    scoring.add_map("score", {"n": build.given("ns")})
    assert scoring.only().code == "NestingTooDeep"


# Numbers


@pytest.mark.parametrize("ratio", [math.nan, math.inf, -0.1, 1.1])
def test_a_share_that_is_none_is_told(scoring, build, ratio):
    scoring.add_map("score", {"n": build.given("ns")}).map.min_success_ratio = ratio
    assert scoring.only().code == "InvalidValue"


def test_a_concurrency_out_of_range_is_told(scoring, build):
    node = scoring.add_map("score", {"n": build.given("ns")})
    node.map.concurrency = 8
    assert scoring.compiled().workflow.nodes[0].map.concurrency == 8
    node.map.concurrency = 2**32 - 1
    assert scoring.only().code == "InvalidValue"


def test_overrides_of_a_map_are_checked(scoring, build):
    node = scoring.add_map("score", {"n": build.given("ns")})
    node.map.overrides.resources.requests.gpu = "half"
    assert scoring.only().code == "InvalidResource"


def test_a_map_of_a_task_that_there_is_not_is_told(scoring, build):
    scoring.add_map("scores", {"n": build.given("ns")})
    found = scoring.only()
    assert (found.code, found.hint) == ("TaskReferenceNotFound", "did you mean `pipeline.score`?")


def test_what_comes_from_a_broken_node_is_not_complained_about(scoring, build):
    scoring.add_node("gone")
    scoring.add_map("score", {"n": build.of("gone")})
    assert scoring.codes() == ["TaskReferenceNotFound"]
