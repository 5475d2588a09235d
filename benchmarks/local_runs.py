"""What a typed task costs in a direct call of a workflow, beside a plain Python call with the same checks by hand."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import measure
from typedflow import task, workflow

CHAIN = 50
FAN_OUT = 500


@task
def increment(n: int) -> int:
    return n + 1


@task
def total(values: list[int]) -> int:
    return sum(values)


@workflow
def chain(n: int) -> int:
    for _ in range(CHAIN):
        n = increment(n=n)
    return n


@workflow
def fan_out(n: int) -> int:
    return total(values=[increment(n=n) for _ in range(FAN_OUT)])


def figures() -> Iterator[measure.Figure]:
    """Per task, tracing and compiling done before."""
    name = "plain function, arguments checked"
    for shape, subject, count, plain in (
        (f"local chain of {CHAIN}", chain, CHAIN, _plain_chain),
        (f"local fan-out of {FAN_OUT}", fan_out, FAN_OUT + 1, _plain_fan_out),
    ):
        repeat = 2000 // count
        yield measure.compare(
            shape,
            lambda subject=subject, repeat=repeat: [subject(n=1) for _ in range(repeat)],
            lambda plain=plain, repeat=repeat: [plain(1) for _ in range(repeat)],
            unit="ms/task",
            baseline_name=name,
            count=count * repeat,
            goal=0.1,
        )


def _checked(n: object) -> int:
    if not isinstance(n, int) or not -(2**63) <= n < 2**63:
        raise TypeError(n)
    return n


def _plain_increment(*, n: int) -> int:
    return _checked(_checked(n) + 1)


def _plain_chain(n: int) -> int:
    for _ in range(CHAIN):
        n = _plain_increment(n=n)
    return n


def _plain_fan_out(n: int) -> int:
    return sum([_plain_increment(n=n) for _ in range(FAN_OUT)])
