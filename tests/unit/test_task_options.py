"""Overrides and pauses."""

import math

from hypothesis import given
from hypothesis import strategies as st

from typedflow import task_options
from typedflow.pb.tasks_pb2 import EnvironmentVariable, RetryPolicy, SecretReference, TaskOptions

YEAR_MS = 365 * 24 * 60 * 60 * 1_000


def test_unset_overrides_leave_the_task_as_it_is():
    task = TaskOptions(image="a", interruptible=True, retry=RetryPolicy(retries=2))
    assert task_options.merge(task, TaskOptions()) == task


def test_each_field_that_is_set_replaces_the_tasks_as_a_whole():
    task = TaskOptions(
        image="a",
        interruptible=True,
        retry=RetryPolicy(retries=2, backoff_ms=5),
        environment=[EnvironmentVariable(name="A", value="1"), EnvironmentVariable(name="B", value="2")],
        secrets=[SecretReference(group="g", key="k")],
    )
    overrides = TaskOptions(
        interruptible=False,
        retry=RetryPolicy(retries=0),
        environment=[EnvironmentVariable(name="C", value="3")],
    )
    merged = task_options.merge(task, overrides)
    assert merged == TaskOptions(
        image="a",
        interruptible=False,
        retry=RetryPolicy(),
        environment=[EnvironmentVariable(name="C", value="3")],
        secrets=[SecretReference(group="g", key="k")],
    )
    assert merged.HasField("retry")
    assert len(task.environment) == 2, "the task's own options are left alone"


def test_e5_pauses_grow_by_the_factor_up_to_the_cap():
    retry = RetryPolicy(backoff_ms=5_000, factor=2.0, cap_ms=30_000)
    assert [task_options.backoff_ms(retry, n) for n in range(1, 6)] == [5_000, 10_000, 20_000, 30_000, 30_000]


def test_e5_without_a_factor_pauses_stay_the_same():
    assert [task_options.backoff_ms(RetryPolicy(backoff_ms=7), n) for n in (1, 2, 9)] == [7, 7, 7]


def test_e5_pauses_after_failures_of_the_platform_double_from_a_second():
    assert [task_options.system_backoff_ms(n) for n in (1, 2, 3)] == [1_000, 2_000, 4_000]


@given(
    st.integers(0, 2**64 - 1),
    st.floats() | st.sampled_from([math.nan, math.inf, -1.0, 1e308]),
    st.integers(0, 2**64 - 1),
    st.integers(1, 10_000),
)
def test_a_pause_is_never_negative_nor_longer_than_its_cap_or_a_year(backoff_ms, factor, cap_ms, failures):
    pause = task_options.backoff_ms(
        RetryPolicy(backoff_ms=backoff_ms, factor=factor, cap_ms=cap_ms), failures
    )
    assert 0 <= pause <= min(cap_ms or YEAR_MS, YEAR_MS)
    assert backoff_ms or pause == 0
