"""What an execution's values look like to people."""

import pytest

from typedflow.cli import following


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (0.5, "0.5"),
        (True, "true"),
        (None, "null"),
        ({"c": 1.0, "tags": ["é"]}, '{"c": 1.0, "tags": ["é"]}'),
        ({"uri": "file:///a/b", "digest": "b3:0", "size": 3, "format": ""}, "/a/b (3 bytes)"),
        ({"digest": "b3:0", "files": 2, "size": 30, "format": ""}, "2 files (30 bytes)"),
        ([1] * 100, f"{str([1] * 100)[:100]}…"),
    ],
)
def test_a_value_is_shown_as_an_option_takes_it(value, text):
    assert following.plain(value) == text


def test_a_file_is_shown_where_it_is_on_this_machine(tmp_path):
    value = {"uri": "b3/0c/d1", "digest": "b3:0cd1", "size": 3, "format": ""}
    assert following.plain(value, [tmp_path]) == "b3/0c/d1 (3 bytes)"
    (tmp_path / "b3/0c").mkdir(parents=True)
    (tmp_path / "b3/0c/d1").write_bytes(b"abc")
    assert following.plain(value, [tmp_path / "elsewhere", tmp_path]) == f"{tmp_path}/b3/0c/d1 (3 bytes)"


def test_the_stores_of_this_machine_are_what_the_settings_say(tmp_path, monkeypatch):
    monkeypatch.setenv("TYPEDFLOW_HOME", str(tmp_path))
    assert following.local_stores() == [tmp_path / "objects"]
    monkeypatch.setenv("TYPEDFLOW_STORE", f"file://{tmp_path}/data")
    assert following.local_stores() == [tmp_path / "data", tmp_path / "objects"]
    monkeypatch.setenv("TYPEDFLOW_STORE", "s3://bucket/data")
    assert following.local_stores() == [tmp_path / "objects"]
