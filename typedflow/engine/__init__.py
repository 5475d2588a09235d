"""The state machine that drives every execution, in a test, in one process and on a cluster.

    graph = engine.Graph(compiled)
    state = engine.State(graph)
    for action in engine.step(graph, state, event): ...

Pure and deterministic: events carry their time, and the same journal gives the same state. It must never do I/O, read a
clock or be random. See docs/engine.md.
"""

from typedflow.engine.actions import (
    Action,
    CheckCache,
    FinishExecution,
    SetTimer,
    StartAttempt,
    StopAttempt,
    StopReason,
)
from typedflow.engine.graph import Graph, check_runnable
from typedflow.engine.pending import pending
from typedflow.engine.state import State
from typedflow.engine.status import execution_status, node_execution
from typedflow.engine.step import inputs, step

__all__ = [
    "Action",
    "CheckCache",
    "FinishExecution",
    "Graph",
    "SetTimer",
    "StartAttempt",
    "State",
    "StopAttempt",
    "StopReason",
    "check_runnable",
    "execution_status",
    "inputs",
    "node_execution",
    "pending",
    "step",
]
