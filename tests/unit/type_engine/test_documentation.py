"""The examples of the page on types are run as they stand."""

import doctest
from pathlib import Path


def test_the_examples_of_the_page_on_types_hold(repository: Path) -> None:
    failed, tried = doctest.testfile(str(repository / "docs" / "types.md"), module_relative=False)
    assert tried > 20
    assert failed == 0
