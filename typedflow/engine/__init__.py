"""The state machine that drives every execution, in a test, in one process and on a cluster.

    graph = engine.Graph(compiled)
    state = engine.State(graph)
    for action in engine.step(graph, state, event): ...

Pure and deterministic: events carry their time, and the same journal gives the same state. It must never do I/O, read a
clock or be random. See docs/engine.md.
"""

from typedflow.engine.actions import (
    OUTPUTS,
    Action,
    CheckCache,
    FinishExecution,
    LaunchChild,
    RequestPlace,
    Resolve,
    SetTimer,
    StartAttempt,
    StopAttempt,
    StopChild,
    StopReason,
)
from typedflow.engine.graph import Graph, check_runnable
from typedflow.engine.pending import pending
from typedflow.engine.resolving import resolve
from typedflow.engine.state import State
from typedflow.engine.status import checkpoint, execution_status, kind, node_execution, options, task
from typedflow.engine.step import step
from typedflow.engine.values import inputs
from typedflow.engine.values import needed as needed_slots

__all__ = [
    "OUTPUTS",
    "Action",
    "CheckCache",
    "FinishExecution",
    "Graph",
    "LaunchChild",
    "RequestPlace",
    "Resolve",
    "SetTimer",
    "StartAttempt",
    "State",
    "StopAttempt",
    "StopChild",
    "StopReason",
    "check_runnable",
    "checkpoint",
    "execution_status",
    "inputs",
    "kind",
    "needed_slots",
    "node_execution",
    "options",
    "pending",
    "resolve",
    "step",
    "task",
]
