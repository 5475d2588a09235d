"""What a client asks of executions beyond launching and watching them: plans, recoveries, signals, single attempts."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typedflow import errors, spelling, type_engine
from typedflow.client import sending
from typedflow.client.runs import Run
from typedflow.pb import executions_pb2, identifiers_pb2, registry_pb2

if TYPE_CHECKING:
    from typedflow.pb import executions_pb2_grpc
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import GateNode


class Control:
    """A part of `Client`."""

    if TYPE_CHECKING:
        _executions: executions_pb2_grpc.ExecutionsStub
        _metadata: tuple[tuple[str, str], ...]

        def _calling(self) -> contextlib.AbstractContextManager[None]: ...

        def _uploading(self) -> contextlib.AbstractContextManager[type_engine.Data]: ...

        def _launch_request(
            self,
            name: str,
            *,
            version: str = "",
            inputs: Mapping[str, Any] | None = None,
            overwrite_cache: Sequence[str] = (),
        ) -> executions_pb2.CreateExecutionRequest: ...

        def run(self, id: str) -> Run: ...  # noqa: A002 - the field's name everywhere

        def nodes(self, execution_id: str, *, parent: str = "") -> Iterator[executions_pb2.NodeExecution]: ...

        def entity(
            self, kind: identifiers_pb2.EntityKind.ValueType, name: str, version: str = ""
        ) -> registry_pb2.Entity: ...

        def get_value(
            self, execution_id: str, variable: str, *, node: str = "", digest: str = "", deck: bool = False
        ) -> Iterator[bytes]: ...

    def plan(
        self,
        name: str,
        *,
        version: str = "",
        inputs: Mapping[str, Any] | None = None,
        overwrite_cache: Sequence[str] = (),
    ) -> list[executions_pb2.PlannedNode]:
        """What a launch would do, node by node: run, take from the cache, or wait for what runs. Launches nothing.

        Args:
            name: as of `launch`, and so are the others.

        Raises:
            NotFound: there is no such launch plan, or no such version.
            ConversionError: inputs that are unknown, missing or do not fit; names each.
        """
        request = executions_pb2.PlanExecutionRequest(
            launch=self._launch_request(name, version=version, inputs=inputs, overwrite_cache=overwrite_cache)
        )
        with self._calling():
            return list(self._executions.PlanExecution(request, metadata=self._metadata).nodes)

    def relaunch(
        self,
        execution_id: str,
        *,
        overwrite_cache: Sequence[str] = (),
        max_parallelism: int = 0,
        id: str = "",  # noqa: A002 - the field's name everywhere
    ) -> Run:
        """Launches again what was launched, with the same inputs.

        Raises:
            NotFound: there is no such execution.
        """
        request = executions_pb2.RelaunchExecutionRequest(
            execution_id=execution_id, overwrite_cache=overwrite_cache, max_parallelism=max_parallelism, id=id
        )
        with self._calling():
            made = self._executions.RelaunchExecution(request, metadata=self._metadata)
        return Run(self, made.execution)  # type: ignore[arg-type]  # it is a part of one

    def recover(
        self,
        execution_id: str,
        *,
        version: str = "",
        inputs: Mapping[str, Any] | None = None,
        rerun: Sequence[str] = (),
        id: str = "",  # noqa: A002 - the field's name everywhere
    ) -> Run:
        """Launches an execution that has ended again; nodes that succeeded are taken as they are, where they still fit.

        A node fits when its key is the same as then: its code, its terms and what it is given.

        Args:
            execution_id: the one that is recovered.
            version: of the launch plan; empty: the same.
            inputs: in the place of those of the same name.
            rerun: nodes that run again although they succeeded.
            id: of the new execution; empty is chosen by the server.

        Raises:
            NotFound: there is no such execution or version.
            StateConflict: it has not ended.
            ConversionError: inputs that are unknown or do not fit; names each.
        """
        asked = self._recovery(execution_id, version, inputs or {}, rerun)
        asked.id = id
        with self._calling():
            made = self._executions.RecoverExecution(asked, metadata=self._metadata)
        return Run(self, made.execution)  # type: ignore[arg-type]  # it is a part of one

    def plan_recovery(
        self,
        execution_id: str,
        *,
        version: str = "",
        inputs: Mapping[str, Any] | None = None,
        rerun: Sequence[str] = (),
    ) -> list[executions_pb2.PlannedNode]:
        """What `recover` with the same arguments would do, node by node. Launches nothing."""
        asked = self._recovery(execution_id, version, inputs or {}, rerun)
        asked.dry_run = True
        with self._calling():
            return list(self._executions.RecoverExecution(asked, metadata=self._metadata).nodes)

    def _recovery(
        self, execution_id: str, version: str, inputs: Mapping[str, Any], rerun: Sequence[str]
    ) -> executions_pb2.RecoverExecutionRequest:
        request = executions_pb2.RecoverExecutionRequest(
            execution_id=execution_id, version=version, rerun=rerun
        )
        if inputs:

            def launched() -> Any:
                plan = self.run(execution_id).message.launch_plan
                kind = identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN
                return self.entity(kind, plan.name, version or plan.version).launch_plan

            with self._uploading() as data:
                given, request.inputs_json = sending.written(inputs, data, launched, partly=True)
            request.inputs.CopyFrom(given)
        return request

    def signal(self, execution_id: str, node: str, value: Any) -> None:
        """Gives a value to a node that waits for one, or will wait; the first that comes counts.

        Raises:
            NotFound: there is no such execution or node.
            ConversionError: it is not of the type that is waited for.
            StateConflict: the execution has ended.
        """
        request = executions_pb2.SignalNodeRequest(execution_id=execution_id, node=node)
        with self._uploading() as data:
            given, is_plain = sending.plain(value, node, data)
            if is_plain:
                request.value_json = json.dumps(given)
            else:
                wanted = self.gate_type(execution_id, node)
                if wanted is None:
                    raise errors.ConversionError("an approval takes no value", where=node)
                request.value.CopyFrom(sending.literal(given, wanted, node))
        with self._calling():
            self._executions.SignalNode(request, metadata=self._metadata)

    def approve(self, execution_id: str, node: str) -> None:
        """Agrees to what a node asks for. Raises what `signal` raises."""
        self._answer(execution_id, node, approved=True, reason="")

    def reject(self, execution_id: str, node: str, reason: str = "") -> None:
        """Does not agree to what a node asks for, which fails it. Raises what `signal` raises."""
        self._answer(execution_id, node, approved=False, reason=reason)

    def _answer(self, execution_id: str, node: str, *, approved: bool, reason: str) -> None:
        request = executions_pb2.SignalNodeRequest(
            execution_id=execution_id, node=node, approved=approved, reason=reason
        )
        with self._calling():
            self._executions.SignalNode(request, metadata=self._metadata)

    def gate_type(self, execution_id: str, node: str) -> LiteralType | None:
        """The type of the value that a node waits for, or will wait for; None: it waits for an approval.

        Raises:
            NotFound: there is no such execution, or no such node that waits for anybody.
        """
        message = self.run(execution_id).message
        rows = {each.id: each for each in self.nodes(execution_id)}
        if node in rows and rows[node].HasField("waiting") and not rows[node].waiting.time_us:
            waiting = rows[node].waiting
            return waiting.signal if waiting.HasField("signal") else None
        of = message.workflow
        compiled = self.entity(identifiers_pb2.ENTITY_KIND_WORKFLOW, of.name, of.version).workflow
        gates: dict[str, GateNode] = {
            each.id: each.gate
            for each in compiled.workflow.nodes
            if each.HasField("gate") and not each.gate.HasField("sleep")
        }
        if node not in gates:
            near = spelling.nearest(node, list(gates))
            there = f"those that do are {', '.join(gates)}" if gates else "none of its nodes does"
            raise errors.NotFound(
                f"execution {execution_id} has no node `{node}` that waits for anybody",
                hint=f"did you mean `{near}`?" if near else there,
            )
        return gates[node].signal.type if gates[node].HasField("signal") else None

    def attempt(self, execution_id: str, node: str, attempt: int = 0) -> executions_pb2.GetAttemptResponse:
        """One attempt, 0 the latest: what it was told, and what became of it; without what is Sensitive.

        Raises:
            NotFound: there is none.
        """
        request = executions_pb2.GetAttemptRequest(execution_id=execution_id, node=node, attempt=attempt)
        with self._calling():
            return self._executions.GetAttempt(request, metadata=self._metadata)

    def deck(self, execution_id: str, node: str) -> bytes:
        """The report (HTML) of a node.

        Raises:
            NotFound: it has none.
        """
        return b"".join(self.get_value(execution_id, "", node=node, deck=True))


@contextlib.contextmanager
def uploading(store: Any) -> Iterator[type_engine.Data]:
    """Where the bytes of values go that are sent: what is written meanwhile is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="typedflow-") as folder:
        yield type_engine.Data(store=store, folder=Path(folder))
