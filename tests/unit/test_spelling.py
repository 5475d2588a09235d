"""Hints for misspelt names."""

from typedflow import spelling


def test_nearest_prefers_the_only_name_with_that_last_part():
    names = ["pipelines.tumours.train", "trainer", "evaluate"]
    assert spelling.nearest("train", names) == "pipelines.tumours.train"
    assert spelling.nearest("evalute", names) == "evaluate"
    assert spelling.nearest("zebra", names) is None
    assert spelling.nearest("train", []) is None


def test_nearest_does_not_depend_on_the_order_of_the_candidates():
    names = ["traim", "traio", "traip"]
    assert (
        len({spelling.nearest("train", order) for order in (names, names[::-1], [*names[1:], names[0]])}) == 1
    )
