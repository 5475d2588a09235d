"""What a machine has, and what of it a task gets that asks for some."""

from decimal import Decimal

import pytest
from typedflow_propeller import machine

from typedflow import errors
from typedflow.pb import tasks_pb2

GI = 1 << 30


def resources(**requests: str) -> tasks_pb2.Resources:
    return tasks_pb2.Resources(requests=tasks_pb2.ResourceQuantities(**requests))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0), ("2", 2), ("500m", Decimal("0.5")), ("1.5", Decimal("1.5")), ("2Ki", 2048), ("2k", 2000),
        ("16Gi", 16 * GI), ("1e3", 1000), (".5Gi", GI // 2), ("lots", 0), ("-1", 0),
    ],
)  # fmt: skip
def test_a_quantity_is_a_number(text, number):
    assert machine.quantity(text) == number


@pytest.mark.parametrize(
    ("cpu", "wanted"),
    [("", 1), ("1", 1), ("500m", 1), ("1500m", 2), ("2", 2), ("2.5", 3), ("64", 4), ("lots", 1)],
)
def test_an_attempt_takes_a_cpu_for_each_that_is_asked_for_and_never_more_than_there_are(cpu, wanted):
    assert machine.Machine(4).share(resources(cpu=cpu)).cpus == wanted


def test_what_is_asked_for_and_not_here_is_said_once_for_each_kind():
    small = machine.Machine(4, 8 * GI, ("0",))
    wanted = resources(cpu="64", memory="100Gi", gpu="2")
    assert small.share(wanted) == machine.Share(4, 8 * GI, 1)
    assert small.shortages(wanted) == [
        "asks for 2 GPUs, this machine has 1",
        "asks for 64 CPUs, this machine has 4",
        "asks for 100Gi of memory, this machine has 8Gi",
    ]
    assert small.shortages(resources(cpu="2", memory="1Gi", gpu="1")) == []
    assert machine.Machine(4).shortages(resources(gpu="1")) == ["no GPU here: runs on CPU"]


def test_the_limit_of_memory_is_the_request_where_there_is_no_other():
    assert machine.memory_limit(resources()) == 0
    assert machine.memory_limit(resources(memory="2Gi")) == 2 * GI
    both = tasks_pb2.Resources(
        requests=tasks_pb2.ResourceQuantities(memory="1Gi"), limits=tasks_pb2.ResourceQuantities(memory="3Gi")
    )
    assert machine.memory_limit(both) == 3 * GI
    assert machine.asked(both).memory == GI


def test_settings_say_what_attempts_may_have():
    found = machine.here(cpus=3, environ={"TYPEDFLOW_GPUS": "0, GPU-7", "TYPEDFLOW_MEMORY": "2Gi"})
    assert found == machine.Machine(3, 2 * GI, ("0", "GPU-7"))
    assert machine.here(environ={"TYPEDFLOW_GPUS": "none", "CUDA_VISIBLE_DEVICES": "1"}).gpus == ()
    assert machine.here(environ={"CUDA_VISIBLE_DEVICES": "1,3"}).gpus == ("1", "3")
    assert machine.here(environ={"CUDA_VISIBLE_DEVICES": "-1"}).gpus == ()
    assert machine.here(environ={"TYPEDFLOW_GPUS": ""}).memory > 0


def test_a_setting_that_is_no_size_is_named():
    with pytest.raises(errors.UsageError, match="'much' is not a size") as refused:
        machine.here(environ={"TYPEDFLOW_MEMORY": "much"})
    assert refused.value.where == "TYPEDFLOW_MEMORY"
    with pytest.raises(errors.UsageError):
        machine.log_limit({"TYPEDFLOW_LOG_LIMIT": "0"})


@pytest.mark.parametrize(("size", "text"), [(5, "5"), (1536, "1.5Ki"), (GI, "1Gi"), (3 * GI // 2, "1.5Gi")])
def test_sizes_are_shown_as_people_write_them(size, text):
    assert machine.shown(size) == text
