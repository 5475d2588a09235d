"""What a dynamic task says is to be done, compiled: a graph that runs in the place of its node, or why there is none.

It comes from an author's code, through a runner, so nothing of it is believed: it is checked as what is registered is,
against what is sent with it and what is registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typedflow import engine, errors, interface, literal_types
from typedflow.pb.attempt_pb2 import AttemptSpec, Expanded
from typedflow.pb.errors_pb2 import ERROR_KIND_USER, ExecutionError
from typedflow.pb.identifiers_pb2 import Identifier
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.registry_pb2 import RegisterHeader
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import compilation, registration, registry, store

MOST_BYTES = 8 * 1024 * 1024
_MOST_TOLD = 16 * 1024  # characters


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent, completed, and what of it has to be found."""

    sent: registration.Sent
    references: Sequence[Identifier]
    bundles: Sequence[str]


def request(expanded: Expanded, spec: AttemptSpec, version: str) -> Request:
    """What a dynamic task of this version said, in an attempt of this spec.

    Raises:
        UsageError: something in it has no name that it could have.
    """
    whole = Expanded()
    whole.CopyFrom(expanded)
    sent = registration.Sent(
        RegisterHeader(project=spec.project, domain=spec.domain, version=version),
        tasks=list(whole.tasks),
        workflows=[whole.workflow],
    )
    registration.complete(sent)
    sent.launch_plans.clear()
    bundles = {task.python.bundle for task in sent.tasks if task.python.bundle}
    return Request(sent, registration.references(sent), sorted(bundles))


def known(transaction: store.Transaction, request: Request) -> compilation.Known:
    """What is registered already of what it refers to.

    Raises:
        StateConflict: the code of a task is not here.
    """
    registry.check_bundles(transaction, request.bundles)
    header = request.sent.header
    return registry.known(transaction, request.references, header.project, header.domain)


def compiled(request: Request, known: compilation.Known, declared: Interface) -> CompiledWorkflow:
    """The graph.

    Raises:
        CompileError: it is wired wrong; all that is wrong.
        UsageError: it is too large, gives something other than the task does, or says what runs on its own failure.
        Unimplemented: it has nodes of a kind that can't run yet.
    """
    checked = compilation.compile_all(request.sent, known)
    graph = next(each.compiled for each in checked if isinstance(each.compiled, CompiledWorkflow))
    gives = graph.workflow.interface
    same = [each.name for each in gives.outputs] == [each.name for each in declared.outputs] and all(
        literal_types.equal(one.type, other.type)
        for one, other in zip(gives.outputs, declared.outputs, strict=True)
    )
    if gives.inputs or not same:
        wanted = interface.text(Interface(outputs=declared.outputs))
        raise errors.UsageError(
            f"what it says is to be done is `{interface.text(gives)}`, and the task is `{wanted}`",
            hint="declare what the body gives",
            code="MismatchingTypes",
        )
    handlers = [node.id for node in graph.workflow.nodes if node.section.HasField("failure")]
    if handlers:
        raise errors.UsageError(
            f"node `{handlers[0]}` is to run on failure, which is for whole executions alone",
            hint="name it `on_failure` of the workflow that calls the dynamic task",
            code="InvalidValue",
        )
    engine.check_runnable(graph)
    size = graph.ByteSize()
    if size > MOST_BYTES:
        raise errors.UsageError(
            f"what it says is to be done has {size / 2**20:.1f} MiB, and may have {MOST_BYTES >> 20}",
            hint="map a task over a list in place of calling it for each element, or give large values by reference",
            code="GraphTooLarge",
        )
    return graph


def failure(error: errors.TypedflowError, node: str) -> ExecutionError:
    """That a graph is none, as the attempt's error: the same inputs would make the same again."""
    said = str(error)
    return ExecutionError(
        kind=ERROR_KIND_USER,
        code=error.code,
        message=said if len(said) <= _MOST_TOLD else said[:_MOST_TOLD] + " ...",
        node=node,
        non_recoverable=True,
    )
