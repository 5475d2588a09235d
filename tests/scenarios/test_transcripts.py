"""The engine answers every transcript as it is written there, and replaying a journal changes nothing."""

from pathlib import Path

import pytest

from tests.scenarios import transcripts

FILES = sorted(transcripts.FOLDER.glob("*.txt"))


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", FILES, ids=name)
def test_e1_the_engine_answers_as_written(path):
    text = path.read_text()
    assert "\n".join(transcripts.answers(text)) + "\n" == text


@pytest.mark.parametrize("path", FILES, ids=name)
def test_e1_a_repeated_event_changes_nothing(path):
    text = path.read_text()
    once = transcripts.Transcript(transcripts.definition(text))
    twice = transcripts.Transcript(transcripts.definition(text))
    for command in transcripts.commands(text):
        if not command.startswith("@"):
            continue
        answer = once.tell(command)
        assert twice.tell(command) == answer
        assert twice.event(twice.journal[-1]) == []
    assert transcripts.known(once.state) == transcripts.known(twice.state)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_e3_a_takeover_at_any_point_goes_on_as_if_nothing_had_happened(path):
    text = path.read_text()
    undisturbed = transcripts.Transcript(transcripts.definition(text))
    taken_over = transcripts.Transcript(transcripts.definition(text))
    for command in transcripts.commands(text):
        if command == "crash":
            continue
        assert taken_over.tell(command) == undisturbed.tell(command)
        assert taken_over.crash() == undisturbed.tell("pending")
        assert transcripts.known(taken_over.state) == transcripts.known(undisturbed.state)
