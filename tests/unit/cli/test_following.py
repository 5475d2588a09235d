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
        ([1] * 100, f"{str([1] * 100)[:100]}…"),
    ],
)
def test_a_value_is_shown_as_an_option_takes_it(value, text):
    assert following.plain(value) == text
