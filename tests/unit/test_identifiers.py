"""Names and how they are printed."""

import pytest

from typedflow import identifiers


def test_text_leaves_empty_parts_out():
    assert identifiers.text(identifiers.task("train")) == "train"
    assert identifiers.text(identifiers.task("train", version="v3")) == "train@v3"
    whole = identifiers.workflow("a.train", project="p", domain="d", version="v3")
    assert identifiers.text(whole) == "p/d/a.train@v3"


def test_key_tells_identifiers_apart_by_each_part():
    made = [
        make(name, project=project, domain=domain, version=version)
        for make in (identifiers.task, identifiers.workflow, identifiers.launch_plan)
        for name in ("a", "b")
        for project in ("", "p")
        for domain in ("", "d")
        for version in ("", "1")
    ]
    assert len({identifiers.key(i) for i in made}) == len(made)
    assert identifiers.key(identifiers.task("a")) == identifiers.key(identifiers.task("a"))


@pytest.mark.parametrize(
    "name", ["train", "pipelines.tumours.train", "my-file.f_1", "01_prepare.größe", "a" * 255]
)
def test_i1_a_module_path_and_a_function_are_a_name(name: str):
    assert identifiers.check_name(name) == ""


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", ".a", "a.", "a b", "a/b", "a@b", "a\n", "f.<locals>.g", "a" * 256]
)
def test_what_is_not_a_name_is_told_why(name: str):
    assert identifiers.check_name(name) != ""


@pytest.mark.parametrize("label", ["default", "a", "0", "a-1", "a" * 63])
def test_a_dns_label_is_a_label(label: str):
    assert identifiers.check_label(label) == ""


@pytest.mark.parametrize("label", ["", "-a", "a-", "A", "a_b", "a.b", "ä", "a\n", "a" * 64])
def test_what_is_not_a_dns_label_is_told_why(label: str):
    assert identifiers.check_label(label) != ""


@pytest.mark.parametrize("node", ["train", "train-2", "prep.train-2", "a_b"])
def test_a_node_id_has_parts_that_start_with_letters(node: str):
    assert identifiers.check_node_id(node) == ""


@pytest.mark.parametrize("node", ["", "2train", "_a", "a.-b", "a..b", "a b", "a[1]", "a\n", "a" * 256])
def test_what_is_not_a_node_id_is_told_why(node: str):
    assert identifiers.check_node_id(node) != ""


@pytest.mark.parametrize("version", ["v1", "2024-05-01/main", "1.0+abc", "é", "x" * 128])
def test_any_text_without_white_space_is_a_version(version: str):
    assert identifiers.check_version(version) == ""


@pytest.mark.parametrize("version", ["", "a b", "a\n", "\u00a0", "a\0", "\u202ea", "x" * 129])
def test_what_is_not_a_version_is_told_why(version: str):
    assert identifiers.check_version(version) != ""
