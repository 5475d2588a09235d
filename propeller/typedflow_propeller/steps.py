"""What has been applied to an execution's state and is not committed yet."""

from __future__ import annotations

from dataclasses import dataclass, field

from typedflow import engine
from typedflow.pb import attempt_pb2, events_pb2, propeller_pb2

# A commit takes no more than this, or one thing that is larger; gRPC messages end at 16 MiB.
COMMIT_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class Step:
    """Events, the inbox rows that they answer, what changed, and what is to be done once all of it is committed."""

    events: list[events_pb2.Event] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)
    units: dict[int, None] = field(default_factory=dict)
    attempts: dict[tuple[int, int], attempt_pb2.AttemptSpec] = field(default_factory=dict)
    places: list[propeller_pb2.PlaceRequest] = field(default_factory=list)
    actions: list[engine.Action] = field(default_factory=list)
    status_changed: bool = False
    size: int = 0
    since: float = 0.0

    @property
    def is_empty(self) -> bool:
        return not (self.events or self.consumed or self.units or self.is_urgent)

    @property
    def is_urgent(self) -> bool:
        """Whether something waits for its commit; otherwise that may wait for more."""
        return bool(self.actions or self.places)

    def has_room(self, event: events_pb2.Event) -> bool:
        """Whether the event may be taken too; the first always may."""
        return not self.size or self.size + event.ByteSize() <= COMMIT_BYTES

    def add(self, event: events_pb2.Event) -> None:
        self.events.append(event)
        self.size += event.ByteSize()
