"""A server without a propeller, called over a real socket."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from typedflow_admin import server

from tests.unit.admin import execution_world
from typedflow import errors, hashing, identifiers, literal_types, literals, rpc, settings
from typedflow.pb import (
    attempt_pb2,
    attempt_pb2_grpc,
    catalog_pb2_grpc,
    data_pb2_grpc,
    executions_pb2,
    executions_pb2_grpc,
    identifiers_pb2,
    interface_pb2,
    launch_plans_pb2,
    propeller_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
    tasks_pb2,
    workflows_pb2,
)


@dataclass
class Admin:
    """A running server and its stubs; every call carries the token."""

    info: settings.ServerInfo
    home: Path
    channel: grpc.Channel
    project: str = "p"

    def __post_init__(self) -> None:
        self.registry = registry_pb2_grpc.RegistryStub(self.channel)
        self.executions = executions_pb2_grpc.ExecutionsStub(self.channel)
        self.catalog = catalog_pb2_grpc.CatalogStub(self.channel)
        self.data = data_pb2_grpc.DataStub(self.channel)
        self.propeller = propeller_pb2_grpc.PropellerStub(self.channel)
        self.attempts = attempt_pb2_grpc.AttemptStub(self.channel)

    def register(
        self, *templates: object, version: str = "", **options: bool
    ) -> registry_pb2.RegisterResponse:
        header = registry_pb2.RegisterHeader(
            project=self.project, domain="development", version=version, **options
        )
        request = registry_pb2.RegisterRequest()
        for template in templates:
            match template:
                case tasks_pb2.TaskTemplate():
                    request.tasks.append(template)
                case workflows_pb2.WorkflowTemplate():
                    request.workflows.append(template)
                case launch_plans_pb2.LaunchPlanTemplate():
                    request.launch_plans.append(template)
                case _:
                    raise AssertionError(template)
        return self.registry.Register(iter([registry_pb2.RegisterRequest(header=header), request]))

    def plan(self, name: str, version: str = "") -> identifiers_pb2.Identifier:
        return identifiers.launch_plan(name, project=self.project, domain="development", version=version)

    def launch(self, name: str = "m.wf", **request: object) -> executions_pb2.Execution:
        message = executions_pb2.CreateExecutionRequest(launch_plan=self.plan(name), **request)  # type: ignore[arg-type]
        return self.executions.CreateExecution(message).execution


class _WithToken(
    grpc.UnaryUnaryClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the token, and raises what the server raised."""

    def __init__(self, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)

    def _call(self, continuation, details, request):
        return continuation(details._replace(metadata=self._metadata, timeout=details.timeout or 30), request)

    def intercept_unary_unary(self, continuation, client_call_details, request):
        return self._call(continuation, client_call_details, request)

    def intercept_stream_unary(self, continuation, client_call_details, request_iterator):
        return self._call(continuation, client_call_details, request_iterator)

    def intercept_unary_stream(self, continuation, client_call_details, request):
        return self._call(continuation, client_call_details, request)

    def intercept_stream_stream(self, continuation, client_call_details, request_iterator):
        return self._call(continuation, client_call_details, request_iterator)


@pytest.fixture
def options(tmp_path) -> server.Options:
    """How the test's server is started; a test may have it otherwise."""
    return server.Options(tmp_path / "home", port=0, http_port=0)


@pytest.fixture
def admin(options) -> Iterator[Admin]:
    """A server of the test's own."""
    with (
        server.EmbeddedServer(options, propeller=False) as info,
        grpc.insecure_channel(info.grpc, options=rpc.channel_options()) as channel,
    ):
        yield Admin(info, options.home, grpc.intercept_channel(channel, _WithToken(info.token)))


@pytest.fixture
def refused() -> Callable[..., errors.TypedflowError]:
    """Makes a call and gives the error that the server raised."""

    def called(call: Callable[..., object], *arguments: object, **named: object) -> errors.TypedflowError:
        with pytest.raises(grpc.RpcError) as failure:
            call(*arguments, **named)
        return rpc.error_from(failure.value)

    return called


@dataclass
class Graph:
    """Builds the templates of a chain of int tasks."""

    def variable(self, name: str, default: int | None = None) -> interface_pb2.Variable:
        variable = interface_pb2.Variable(name=name, type=literal_types.INT)
        if default is not None:
            variable.default.CopyFrom(literals.from_int(default))
        return variable

    def task(self, name: str = "m.inc", *, description: str = "", retries: int = 0) -> tasks_pb2.TaskTemplate:
        interface = interface_pb2.Interface(inputs=[self.variable("x")], outputs=[self.variable("o0")])
        task = tasks_pb2.TaskTemplate(id=identifiers.task(name), interface=interface, description=description)
        task.python.module, task.python.qualname = "m", "inc"
        task.options.cache.enabled = True
        if retries:
            task.options.retry.retries = retries
        return task

    def workflow(
        self, name: str = "m.wf", nodes: Sequence[str] = ("a", "b")
    ) -> workflows_pb2.WorkflowTemplate:
        def promise(node: str, variable: str) -> workflows_pb2.BindingValue:
            return workflows_pb2.BindingValue(promise=workflows_pb2.Promise(node=node, variable=variable))

        template = workflows_pb2.WorkflowTemplate(
            id=identifiers.workflow(name),
            interface=interface_pb2.Interface(inputs=[self.variable("n", 3)], outputs=[self.variable("o0")]),
            outputs=[workflows_pb2.Binding(variable="o0", value=promise(nodes[-1], "o0"))],
        )
        before = promise("", "n")
        for node in nodes:
            binding = workflows_pb2.Binding(variable="x", value=before)
            target = workflows_pb2.TaskNode(task=identifiers.task("m.inc"))
            template.nodes.add(id=node, inputs=[binding], task=target)
            before = promise(node, "o0")
        return template

    def plan(self, name: str = "m.nightly", **options: object) -> launch_plans_pb2.LaunchPlanTemplate:
        return launch_plans_pb2.LaunchPlanTemplate(
            id=identifiers.launch_plan(name),
            workflow=identifiers.workflow("m.wf"),
            **options,  # type: ignore[arg-type]
        )

    def ints(self, **values: int):
        return literals.as_map({name: literals.from_int(value) for name, value in values.items()})

    def spec(self, execution_id: str, node: str = "a", attempt: int = 1) -> attempt_pb2.AttemptSpec:
        task = self.task()
        return attempt_pb2.AttemptSpec(
            id=attempt_pb2.AttemptId(execution_id=execution_id, node=node, attempt=attempt),
            task="m.inc",
            interface=task.interface,
            options=task.options,
            cache_key=f"b3:{execution_id}-{node}",
            manifest=hashing.manifest(task, task.options, literals.as_map({})),
            project="p",
            domain="development",
        )


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def world(tmp_path) -> Iterator[execution_world.World]:
    """The rooms of executions, without a server."""
    made = execution_world.World(tmp_path)
    yield made
    made.close()
