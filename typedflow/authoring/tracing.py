"""What a trace is to those who only ask whether there is one: `context`, which a trace's own modules build on."""

from __future__ import annotations


class Tracing:
    """What a call makes nodes in.

    Attributes:
        running: the context of the task whose body says what the nodes are; None in a workflow's.
    """

    def __init__(self, running: object) -> None:
        self.running = running
