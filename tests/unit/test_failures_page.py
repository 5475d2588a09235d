"""docs/failures.md names the test of each row: they are there, and the files that are about this are all named."""

import re

NAMED = re.compile(r"`((?:[\w/]+/)?(?:test_\w+\.py|…))(?:::(test_\w+))?`")


def named(repository):
    """Files and tests, in the order of the page; `…` is the file before."""
    path = repository
    for file, test in NAMED.findall((repository / "docs" / "failures.md").read_text("utf-8")):
        if file != "…":
            path = repository / (file if "/" in file else f"tests/e2e/{file}")
        yield path, test


def test_every_test_that_the_page_names_is_there(repository):
    found = list(named(repository))
    assert len(found) > 25
    missing = [
        f"{path.name}::{test}"
        for path, test in found
        if not path.is_file() or (test and f"def {test}(" not in path.read_text("utf-8"))
    ]
    assert missing == []


def test_the_page_has_a_row_for_each_test_of_what_is_away_or_full(repository):
    pages = {test for _, test in named(repository)}
    for name in ("test_disks", "test_databases_away", "test_stores_away", "test_rough_tasks"):
        tests = re.findall(
            r"^def (test_\w+)", (repository / f"tests/e2e/{name}.py").read_text("utf-8"), re.MULTILINE
        )
        assert set(tests) <= pages, name
