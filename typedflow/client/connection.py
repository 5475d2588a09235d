"""The connection: calls of the services, as methods.

Synchronous, because its users' code is. It holds no state of its own but the connection: what it shows was asked of the
server.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import grpc

from typedflow import errors, identifiers, rpc, settings, type_engine
from typedflow.authoring import serialize
from typedflow.client import caching, control, sending
from typedflow.client.runs import Run
from typedflow.pb import (
    catalog_pb2_grpc,
    data_pb2,
    data_pb2_grpc,
    executions_pb2,
    executions_pb2_grpc,
    identifiers_pb2,
    literals_pb2,
    registry_pb2,
    registry_pb2_grpc,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

CHUNK = 1 << 20


class Client(control.Control, caching.Caching):
    """A connection to a server.

    Args:
        address: `host:port`. None: TYPEDFLOW_ADMIN, or the server whose `server.json` is in TYPEDFLOW_HOME.
        token: the bearer token. None: TYPEDFLOW_TOKEN, or that of `server.json`.
        project: of everything that is registered and launched here. None: TYPEDFLOW_PROJECT, or `default`.
        domain: likewise; TYPEDFLOW_DOMAIN, or `development`.

    Raises:
        ServerUnreachable: no address is known. A server that does not answer is met by the first call.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        project: str | None = None,
        domain: str | None = None,
    ) -> None:
        found = settings.load()
        if address is None:
            address, token = _known_server(found, token)
        self.address = address
        self.project: str = project or found.project
        self.domain: str = domain or found.domain
        self._metadata = (
            (("authorization", f"Bearer {token or found.token}"),) if token or found.token else ()
        )
        self._channel = grpc.insecure_channel(address, options=rpc.channel_options())
        self._registry = registry_pb2_grpc.RegistryStub(self._channel)
        self._executions = executions_pb2_grpc.ExecutionsStub(self._channel)
        self._data = data_pb2_grpc.DataStub(self._channel)
        self._catalog = catalog_pb2_grpc.CatalogStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    # Registry

    def register(
        self,
        *paths: str | Path,
        version: str = "",
        dry_run: bool = False,
        include: Sequence[str] = (),
        activate: bool = False,
        allow_breaking: bool = False,
    ) -> registry_pb2.RegisterResponse:
        """Registers everything that files and folders define, or nothing.

        Args:
            paths: Python files and folders.
            version: of all of it; empty is a hash of the content.
            dry_run: compile and compare only.
            include: globs of files that go into the code bundle too.
            activate: make the launch plans the active versions of their names.
            allow_breaking: even those that break what the versions that are active now promise.

        Raises:
            CompileError: wrong wiring; every mistake.
            VersionConflict: other content is registered under this version.
            BreakingChange: a launch plan that is to be activated breaks what the active one promises.
        """
        return self.register_collected(
            serialize.collect(paths, include=include),
            version=version,
            dry_run=dry_run,
            activate=activate,
            allow_breaking=allow_breaking,
        )

    def register_collected(
        self,
        collected: serialize.Registration,
        *,
        version: str = "",
        dry_run: bool = False,
        activate: bool = False,
        allow_breaking: bool = False,
    ) -> registry_pb2.RegisterResponse:
        """Registers what `serialize.collect` gave."""
        if not dry_run:
            self._put_bundle(collected.bundle.digest, collected.bundle.data)
        header = registry_pb2.RegisterHeader(
            project=self.project,
            domain=self.domain,
            version=version,
            dry_run=dry_run,
            activate=activate,
            allow_breaking=allow_breaking,
        )
        with self._calling():
            return self._registry.Register(_register_requests(header, collected), metadata=self._metadata)

    def activate(
        self, launch_plan: str, version: str, *, allow_breaking: bool = False
    ) -> registry_pb2.ActivateLaunchPlanResponse:
        """Makes a version of a launch plan the active one: the one that is launched when no version is named.

        Raises:
            NotFound: there is no such version.
            BreakingChange: it breaks what the version that is active now promises, and that is not allowed.
        """
        request = registry_pb2.ActivateLaunchPlanRequest(
            id=self._id(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, launch_plan, version),
            allow_breaking=allow_breaking,
        )
        with self._calling():
            return self._registry.ActivateLaunchPlan(request, metadata=self._metadata)

    def deactivate(self, launch_plan: str, version: str = "") -> registry_pb2.DeactivateLaunchPlanResponse:
        """Leaves a launch plan without an active version.

        Args:
            launch_plan: its name.
            version: the one that is to be active no more; empty: whichever is.

        Raises:
            NotFound: there is no such launch plan.
            StateConflict: another version than the one that is named is active.
        """
        request = registry_pb2.DeactivateLaunchPlanRequest(
            id=self._id(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, launch_plan, version)
        )
        with self._calling():
            return self._registry.DeactivateLaunchPlan(request, metadata=self._metadata)

    def compare(
        self, kind: identifiers_pb2.EntityKind.ValueType, name: str, old: str, new: str
    ) -> registry_pb2.CompareEntitiesResponse:
        """What differs between two versions of a task, workflow or launch plan, and whom it concerns.

        Raises:
            NotFound: one of them is not there.
        """
        request = registry_pb2.CompareEntitiesRequest(
            old=self._id(kind, name, old), new=self._id(kind, name, new)
        )
        with self._calling():
            return self._registry.CompareEntities(request, metadata=self._metadata)

    def _id(
        self, kind: identifiers_pb2.EntityKind.ValueType, name: str, version: str = ""
    ) -> identifiers_pb2.Identifier:
        return identifiers_pb2.Identifier(
            kind=kind, project=self.project, domain=self.domain, name=name, version=version
        )

    def _put_bundle(self, digest: str, data: bytes) -> None:
        with self._calling():
            asked = data_pb2.FindMissingBundlesRequest(
                project=self.project, domain=self.domain, digests=[digest]
            )
            if not self._data.FindMissingBundles(asked, metadata=self._metadata).digests:
                return
            first = data_pb2.PutBundleRequest(
                project=self.project, domain=self.domain, digest=digest, data=data[:CHUNK]
            )
            rest = (
                data_pb2.PutBundleRequest(data=data[at : at + CHUNK]) for at in range(CHUNK, len(data), CHUNK)
            )
            self._data.PutBundle(itertools.chain([first], rest), metadata=self._metadata)

    def entity(
        self, kind: identifiers_pb2.EntityKind.ValueType, name: str, version: str = ""
    ) -> registry_pb2.Entity:
        """One version of a task, workflow or launch plan.

        When no version is named: the active one of a launch plan that has one, else the newest.
        """
        request = registry_pb2.GetEntityRequest(id=self._id(kind, name, version))
        with self._calling():
            return self._registry.GetEntity(request, metadata=self._metadata).entity

    def entities(
        self, kind: identifiers_pb2.EntityKind.ValueType, name: str = ""
    ) -> Iterator[registry_pb2.EntitySummary]:
        """The newest version of each entity of a kind, or every version of one name, newest first."""
        request = registry_pb2.ListEntitiesRequest(
            kind=kind, project=self.project, domain=self.domain, name=name
        )
        while True:
            with self._calling():
                page = self._registry.ListEntities(request, metadata=self._metadata)
            yield from page.entities
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    # Executions

    def launch(
        self,
        name: str,
        *,
        version: str = "",
        inputs: Mapping[str, Any] | None = None,
        overwrite_cache: Sequence[str] = (),
        max_parallelism: int = 0,
        id: str = "",  # noqa: A002 - the field's name everywhere
    ) -> Run:
        """Launches a launch plan; every workflow has one of its own name.

        Args:
            name: full, or a unique last part of it.
            version: empty is the active one, else the newest.
            inputs: Python values by name; files, folders (a `Path` or a `Directory`), frames and arrays, wherever they
                are in them, are uploaded.
            overwrite_cache: nodes that run although the cache has their results; `*` is all.
            max_parallelism: tasks of it that may run at once; 0 is no limit of its own.
            id: of the execution, so that a repeated call launches once; empty is chosen by the server.

        Raises:
            NotFound: there is no such launch plan, or no such version.
            ConversionError: inputs that are unknown, missing or do not fit; names each.
        """
        request = self._launch_request(name, version=version, inputs=inputs, overwrite_cache=overwrite_cache)
        request.max_parallelism = max_parallelism
        request.id = id
        with self._calling():
            made = self._executions.CreateExecution(request, metadata=self._metadata)
        return Run(self, made.execution)

    def _launch_request(
        self,
        name: str,
        *,
        version: str = "",
        inputs: Mapping[str, Any] | None = None,
        overwrite_cache: Sequence[str] = (),
    ) -> executions_pb2.CreateExecutionRequest:
        request = executions_pb2.CreateExecutionRequest(
            launch_plan=identifiers.launch_plan(
                name, project=self.project, domain=self.domain, version=version
            ),
            overwrite_cache=overwrite_cache,
        )
        with self._uploading() as data:
            given, request.inputs_json = sending.written(
                inputs or {},
                data,
                lambda: self.entity(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, name, version).launch_plan,
            )
        request.inputs.CopyFrom(given)
        return request

    def _uploading(self) -> contextlib.AbstractContextManager[type_engine.Data]:
        return control.uploading(_Uploads(self))

    def put_value(self, chunks: Iterator[bytes]) -> literals_pb2.Blob:
        """Uploads the bytes of an input."""
        first = iter([data_pb2.PutValueRequest(project=self.project)])
        rest = (data_pb2.PutValueRequest(data=chunk) for chunk in chunks)
        with self._calling():
            requests = (request for part in (first, rest) for request in part)
            return self._data.PutValue(requests, metadata=self._metadata).blob

    def get_value(
        self, execution_id: str, variable: str, *, node: str = "", digest: str = "", deck: bool = False
    ) -> Iterator[bytes]:
        """The bytes of a file, a frame or an offloaded value among an execution's, or a node's, outputs and inputs.

        With `deck` it is the node's report.
        """
        request = data_pb2.GetValueRequest(
            execution_id=execution_id, node=node, variable=variable, digest=digest, deck=deck
        )
        with self._calling():
            for response in self._data.GetValue(request, metadata=self._metadata):
                yield response.data

    def run(self, id: str) -> Run:  # noqa: A002 - the field's name everywhere
        """An execution by its id."""
        with self._calling():
            got = self._executions.GetExecution(
                executions_pb2.GetExecutionRequest(execution_id=id), metadata=self._metadata
            )
        return Run(self, got.execution)

    def runs(self, *, launch_plan: str = "", phases: Sequence[str] = ()) -> Iterator[Run]:
        """Executions of the project and domain, newest first."""
        request = executions_pb2.ListExecutionsRequest(
            project=self.project,
            domain=self.domain,
            launch_plan=launch_plan,
            phases=[executions_pb2.Phase.Value(f"PHASE_{phase}") for phase in phases],
        )
        while True:
            with self._calling():
                page = self._executions.ListExecutions(request, metadata=self._metadata)
            yield from (Run(self, execution) for execution in page.executions)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def nodes(
        self, execution_id: str, *, parent: str = "", phases: Sequence[str] = ()
    ) -> Iterator[executions_pb2.NodeExecution]:
        """An execution's nodes, in the order in which they can run.

        Args:
            execution_id: of the execution.
            parent: a map or a dynamic task, whose parts are listed; else slots of maps are left out.
            phases: only those that are in one of them; none is all.
        """
        request = executions_pb2.ListNodesRequest(
            execution_id=execution_id,
            parent=parent,
            phases=[executions_pb2.Phase.Value(f"PHASE_{phase}") for phase in phases],
        )
        while True:
            with self._calling():
                page = self._executions.ListNodes(request, metadata=self._metadata)
            yield from page.nodes
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def watch(
        self, execution_id: str, *, timeout: float | None = None
    ) -> Iterator[executions_pb2.WatchExecutionResponse]:
        """The execution and its nodes as they are, then every change, until its end or for `timeout` seconds."""
        request = executions_pb2.WatchExecutionRequest(execution_id=execution_id)
        try:
            yield from self._executions.WatchExecution(request, metadata=self._metadata, timeout=timeout)
        except grpc.RpcError as failure:
            if timeout is None or failure.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise rpc.error_from(failure, self.address) from None

    def abort(self, execution_id: str, reason: str = "") -> None:
        """Asks that an execution be aborted; one that has ended stays as it is."""
        request = executions_pb2.AbortExecutionRequest(execution_id=execution_id, reason=reason)
        with self._calling():
            self._executions.AbortExecution(request, metadata=self._metadata)

    def logs(
        self, execution_id: str, node: str, *, attempt: int = 0, follow: bool = False
    ) -> Iterator[bytes]:
        """What an attempt wrote, in chunks; attempt 0 is the latest. `follow` goes on until the attempt has ended."""
        request = executions_pb2.ReadLogsRequest(
            execution_id=execution_id, node=node, attempt=attempt, follow=follow
        )
        with self._calling():
            for response in self._executions.ReadLogs(request, metadata=self._metadata):
                yield response.data

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as failure:
            raise rpc.error_from(failure, self.address) from None


def _register_requests(
    header: registry_pb2.RegisterHeader, collected: serialize.Registration
) -> Iterator[registry_pb2.RegisterRequest]:
    yield registry_pb2.RegisterRequest(header=header)
    for task in collected.tasks:
        yield registry_pb2.RegisterRequest(tasks=[task])
    for workflow in collected.workflows:
        yield registry_pb2.RegisterRequest(workflows=[workflow])
    for launch_plan in collected.launch_plans:
        yield registry_pb2.RegisterRequest(launch_plans=[launch_plan])


class _Uploads:
    """An object store that only takes: what is put there goes to the server."""

    is_local = True
    """As far as anybody knows here: then a frame goes as it is mapped where the server keeps it in a folder."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def put_bytes(self, data: bytes) -> literals_pb2.Blob:
        return self._client.put_value(data[at : at + CHUNK] for at in range(0, len(data), CHUNK))

    def put_file(self, path: Path) -> literals_pb2.Blob:
        with path.open("rb") as file:
            return self._client.put_value(iter(lambda: file.read(CHUNK), b""))

    def put_chunks(self, chunks: Iterable[Buffer]) -> literals_pb2.Blob:
        views = (memoryview(chunk).cast("B") for chunk in chunks)
        return self._client.put_value(
            bytes(view[at : at + CHUNK]) for view in views for at in range(0, len(view), CHUNK)
        )

    def put_written(self, write: Callable[[BinaryIO], object]) -> literals_pb2.Blob:
        with tempfile.TemporaryFile() as file:
            write(file)
            file.seek(0)
            return self._client.put_value(iter(lambda: file.read(CHUNK), b""))


def _known_server(found: settings.Settings, token: str | None) -> tuple[str, str | None]:
    if found.admin:
        return found.admin, token
    server = settings.server_json(found.home)
    if server is None:
        raise errors.ServerUnreachable(
            "no typedflow server is known",
            where=str(found.home / "server.json"),
            hint="start one with `typedflow up`, or set TYPEDFLOW_ADMIN to the address of one that runs",
        )
    return server.grpc, token or found.token or server.token
