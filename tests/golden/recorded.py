"""Journals as releases have stored them, each with the state that it led to.

`python -m tests.golden.recorded` writes those of the version under development, from the engine's transcripts. What a
release has written stays as it is for ever: the databases of its users hold such journals.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from tests.scenarios import transcripts
from typedflow import engine
from typedflow.pb import events_pb2, workflows_pb2

FOLDER = Path(__file__).parent / "journals"


@dataclass(frozen=True, slots=True)
class Journal:
    """A workflow and its events as bytes, and what is shown of the execution after the last of them."""

    workflow: bytes
    events: list[bytes]
    shown: dict[str, object]

    def replay(self) -> dict[str, object]:
        """What is shown after these events today."""
        graph = engine.Graph(workflows_pb2.CompiledWorkflow.FromString(self.workflow))
        state = engine.State(graph)
        for event in self.events:
            engine.step(graph, state, events_pb2.Event.FromString(event))
        return show(graph, state)


def show(graph: engine.Graph, state: engine.State) -> dict[str, object]:
    return {
        "execution": json_format.MessageToDict(engine.execution_status(graph, state)),
        "nodes": [
            json_format.MessageToDict(engine.node_execution(graph, state, node)) for node in range(len(state))
        ],
        "pending": [repr(action) for action in engine.pending(graph, state)],
    }


def read(path: Path) -> Journal:
    stored = json.loads(path.read_text())
    events = [base64.b64decode(event) for event in stored["events"]]
    return Journal(base64.b64decode(stored["workflow"]), events, stored["shown"])


def write(path: Path, transcript: transcripts.Transcript) -> None:
    stored = {
        "workflow": encode(transcript.compiled.SerializeToString(deterministic=True)),
        "events": [encode(event.SerializeToString(deterministic=True)) for event in transcript.journal],
        "shown": show(transcript.graph, transcript.state),
    }
    path.write_text(json.dumps(stored, indent=1) + "\n")


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    folder = FOLDER / importlib.metadata.version("typedflow")
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(transcripts.FOLDER.glob("*.txt")):
        text = source.read_text()
        transcript = transcripts.Transcript(transcripts.definition(text))
        for command in transcripts.commands(text):
            transcript.tell(command)
        write(folder / f"{source.stem}.json", transcript)


if __name__ == "__main__":
    main()
