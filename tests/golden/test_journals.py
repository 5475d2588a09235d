"""What earlier releases have stored means today what it meant then."""

import pytest

from tests.golden import recorded

FILES = sorted(recorded.FOLDER.glob("*/*.json"))


def test_there_are_journals():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_e1_a_stored_journal_leads_to_the_state_it_led_to(path):
    journal = recorded.read(path)
    assert journal.replay() == journal.shown
