"""The examples of the page on transformers are run as they stand, in a process of their own: they register."""

import doctest
import subprocess
import sys
from pathlib import Path


def test_the_examples_of_the_page_on_transformers_hold(repository: Path) -> None:
    page = repository / "docs" / "transformers.md"
    assert len(doctest.DocTestParser().get_examples(page.read_text())) > 8
    done = subprocess.run(
        [sys.executable, "-m", "doctest", page], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0)
