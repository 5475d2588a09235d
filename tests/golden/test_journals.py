"""What earlier releases have stored means today what it meant then."""

import pytest

from tests.golden import recorded

FILES = sorted(recorded.FOLDER.glob("*/*.json"))


def test_there_are_journals():
    assert FILES


ADDED = {"0.1.0": ("kind", "position")}
"""What is shown of every node since, and was not then."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_e1_a_stored_journal_leads_to_the_state_it_led_to(path):
    journal = recorded.read(path)
    assert without(journal.replay(), ADDED.get(path.parent.name, ())) == journal.shown


def without(shown, names):
    return shown | {
        "nodes": [
            {name: value for name, value in node.items() if name not in names} for node in shown["nodes"]
        ]
    }
