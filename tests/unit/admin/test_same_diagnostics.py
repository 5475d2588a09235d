"""The server finds in a template what its author is told, word for word (W5)."""

from dataclasses import dataclass

import grpc
import pytest

from typedflow import compiler, errors, rpc, task, workflow
from typedflow.authoring.resolver import LocalResolver


@dataclass
class Config:
    width: int


@task
def text() -> str:
    return ""


@task
def config() -> Config:
    return Config(1)


@task
def double(n: int) -> int:
    return 2 * n


@workflow
def wrong(n: int = 1) -> int:
    double(n=text())
    double(m=n)
    double(n=config().height)
    return double(n=double(n=n))


def as_written(template):
    return {"MismatchingTypes", "ParameterNotBound", "VariableNameNotFound", "FieldNotFound"}


def with_a_duplicate(template):
    template.nodes[-1].id = template.nodes[-2].id
    return {"DuplicateNodeId"}


def with_a_ring(template):
    template.nodes[-2].after.append(template.nodes[-1].id)
    template.nodes[0].after.append(template.nodes[-1].id)
    return {"CycleDetected", "UnreachableNodes"}


def with_an_absent_task(template):
    template.nodes[0].task.task.name = "somewhere.dubble"
    return {"TaskReferenceNotFound"}


@pytest.mark.parametrize("damage", [as_written, with_a_duplicate, with_a_ring, with_an_absent_task])
def test_w5_a_raw_client_gets_the_diagnostics_that_the_author_gets(admin, damage):
    template = type(wrong.traced.template).FromString(wrong.traced.template.SerializeToString())
    codes = damage(template)
    told = compiler.compile_workflow(template, LocalResolver(wrong.traced.called)).diagnostics
    tasks = [each.template() for each in wrong.tasks().values()]
    with pytest.raises(grpc.RpcError) as failed:
        admin.register(*tasks, template)
    error = rpc.error_from(failed.value)
    assert isinstance(error, errors.CompileError)
    assert codes <= {each.code for each in told}
    assert all(each.position.file.endswith("test_same_diagnostics.py") for each in told)
    assert error.diagnostics == told
