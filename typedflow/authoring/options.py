"""The terms on which a task runs, as authors write them, and their translation to the wire.

What is written here is checked where it is written: a wrong quantity is an error on the author's line, not in a pod.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any, TypeVar

from typedflow import errors
from typedflow.authoring import definitions, source
from typedflow.compiler import diagnostics
from typedflow.pb import tasks_pb2

T = TypeVar("T")
Quantity = str | int | float
Requested = Quantity | tuple[Quantity, Quantity] | None

_QUANTITY = re.compile(r"^\d+(\.\d+)?([eE]\d+|m|[kKMGTPE]i?)?$")
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True, slots=True)
class Cache:
    """How a task's results are kept and found again.

    Args:
        version: replaces the code's fingerprint and the environment in the key: you vouch for it.
        serialize: while one execution computes an entry, others wait for it, and then use it.
        ignored_inputs: names of inputs that do not matter for the result.
        salt: any text; another salt is another key.
        max_age: results that are older are not used but made again; None is no limit. No part of the key.
        depends_on: functions, modules and glob patterns of files (relative to the import root) that the code depends on
            in a way that reading it does not show.

    Example:
        >>> Cache(version="2", ignored_inputs=("log_level",)).version
        '2'
    """

    version: str = ""
    serialize: bool = False
    ignored_inputs: Sequence[str] = ()
    salt: str = ""
    depends_on: Sequence[Any | ModuleType | str] = ()
    max_age: timedelta | None = None

    def __post_init__(self) -> None:
        if self.max_age is not None and milliseconds("Cache(max_age=...)", self.max_age) == 0:
            raise errors.DefinitionError(
                f"Cache(max_age={self.max_age!r}) is no time at all",
                where=definitions.place(source.caller()),
                code=diagnostics.INVALID_VALUE,
                hint="give it a time of at least a millisecond; cache=False keeps nothing",
            )
        if isinstance(self.ignored_inputs, str):
            raise errors.DefinitionError(
                f"Cache(ignored_inputs={self.ignored_inputs!r}) is a text, not names",
                where=definitions.place(source.caller()),
                code=diagnostics.INVALID_VALUE,
                hint=f"write ignored_inputs=({self.ignored_inputs!r},)",
            )


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task needs to run: Kubernetes quantities, or `(request, limit)` pairs of them.

    Args:
        cpu: cores, as in `"4"`, `0.5`, `"500m"`.
        mem: memory in bytes with a suffix, as in `"16Gi"`.
        gpu: how many GPUs, as in `"1"`; with a model, `"A100:2"`; a model alone is one of it.
        ephemeral_storage: local disk, as in `"50Gi"`.

    Example:
        >>> Resources(cpu="4", mem=("8Gi", "16Gi"), gpu="A100:2").gpu
        'A100:2'
    """

    cpu: Requested = None
    mem: Requested = None
    gpu: str | int | None = None
    ephemeral_storage: Requested = None

    def __post_init__(self) -> None:
        with definitions.forgiving(self, cpu=None, mem=None, gpu=None, ephemeral_storage=None):
            self.message()

    def message(self) -> tasks_pb2.Resources:
        """The same on the wire. Raises DefinitionError (InvalidResource) for what is not a quantity."""
        message = tasks_pb2.Resources()
        for name, field, value in (
            ("cpu", "cpu", self.cpu),
            ("mem", "memory", self.mem),
            ("ephemeral_storage", "ephemeral_storage", self.ephemeral_storage),
        ):
            if value is None:
                continue
            request, limit = value if isinstance(value, tuple) else (value, None)
            setattr(message.requests, field, _quantity(name, request))
            if limit is not None:
                setattr(message.limits, field, _quantity(name, limit))
        if self.gpu is not None:
            message.requests.accelerator, message.requests.gpu = _gpu(self.gpu)
        return message


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and with what pauses, a task that failed is tried again.

    Args:
        retries: attempts after the first that failures of its own may take; what the platform breaks is retried apart.
        backoff: the pause before the first retry.
        factor: each further pause is so many times the one before.
        cap: no pause is longer.

    Example:
        >>> Retry(3, backoff=timedelta(seconds=5), factor=2.0, cap=timedelta(minutes=2)).retries
        3
    """

    retries: int = 0
    backoff: timedelta = timedelta(0)
    factor: float = 1.0
    cap: timedelta | None = None

    def __post_init__(self) -> None:
        with definitions.forgiving(self, retries=0, factor=1.0):
            if type(self.retries) is not int or not 0 <= self.retries <= 1000:
                raise _invalid(f"retries must be a number from 0 to 1000, not {self.retries!r}")
            if type(self.factor) not in (int, float) or not 0 <= self.factor < math.inf:
                raise _invalid(f"Retry(factor={self.factor!r}) must be a number from 0")

    def message(self) -> tasks_pb2.RetryPolicy:
        return tasks_pb2.RetryPolicy(
            retries=self.retries,
            backoff_ms=milliseconds("Retry(backoff=...)", self.backoff),
            factor=self.factor,
            cap_ms=milliseconds("Retry(cap=...)", self.cap),
        )


@dataclass(frozen=True, slots=True)
class Timeout:
    """Three clocks; None is no limit.

    Args:
        run: for each attempt, from its start.
        queued: for each attempt's wait before it starts.
        deadline: for the node, all attempts and pauses together.

    Example:
        >>> Timeout(run=timedelta(hours=2), deadline=timedelta(days=1)).queued is None
        True
    """

    run: timedelta | None = None
    queued: timedelta | None = None
    deadline: timedelta | None = None

    def message(self) -> tasks_pb2.Timeouts:
        return tasks_pb2.Timeouts(
            run_ms=milliseconds("Timeout(run=...)", self.run),
            queued_ms=milliseconds("Timeout(queued=...)", self.queued),
            deadline_ms=milliseconds("Timeout(deadline=...)", self.deadline),
        )


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that the task is given as an environment variable; never stored, logged or shown.

    Args:
        group: of the secret, where it is kept.
        key: of the secret in its group.
        env: the variable's name; empty is made of group and key.

    Example:
        >>> Secret("database", "password").message().env
        'DATABASE_PASSWORD'
    """

    group: str
    key: str
    env: str = ""

    def message(self) -> tasks_pb2.SecretReference:
        env = self.env or f"{self.group}_{self.key}".upper().replace("-", "_")
        if not _VARIABLE.match(env):
            raise _invalid(f"Secret({self.group!r}, {self.key!r}) needs a legal env name, not {env!r}")
        return tasks_pb2.SecretReference(group=self.group, key=self.key, env=env)


def message(
    *,
    cache: bool | Cache | None = None,
    resources: Resources | None = None,
    retries: int | Retry | None = None,
    timeout: timedelta | Timeout | None = None,
    interruptible: bool | None = None,
    image: str | None = None,
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[Secret] | None = None,
) -> tasks_pb2.TaskOptions:
    """Options on the wire; what is None stays unset. Raises DefinitionError for what is not legal."""
    result = tasks_pb2.TaskOptions()
    if cache is not None:
        result.cache.CopyFrom(_cache(cache))
    if resources is not None:
        result.resources.CopyFrom(_typed("resources", resources, Resources).message())
    if retries is not None:
        result.retry.CopyFrom((retries if isinstance(retries, Retry) else Retry(retries)).message())
    if timeout is not None:
        result.timeouts.CopyFrom(
            (timeout if isinstance(timeout, Timeout) else Timeout(run=timeout)).message()
        )
    if interruptible is not None:
        result.interruptible = _typed("interruptible", interruptible, bool)
    if image is not None:
        result.image = _typed("image", image, str)
    variables: object = environment or {}
    if not isinstance(variables, Mapping):
        raise _invalid(f"environment must map names to values, not {variables!r:.80}")
    for name, value in sorted(variables.items(), key=str):
        if not _VARIABLE.match(_typed("an environment variable's name", name, str)):
            raise _invalid(f"environment has {name!r}, which is no variable's name")
        result.environment.add(name=name, value=_typed(f"environment variable {name}", value, str))
    result.secrets.extend(_typed("secret", secret, Secret).message() for secret in secrets or ())
    return result


def _cache(cache: bool | Cache) -> tasks_pb2.CachePolicy:
    if isinstance(cache, bool):
        return tasks_pb2.CachePolicy(enabled=cache)
    cache = _typed("cache", cache, Cache)
    return tasks_pb2.CachePolicy(
        enabled=True,
        version=cache.version,
        salt=cache.salt,
        serialize=cache.serialize,
        max_age_ms=milliseconds("Cache(max_age=...)", cache.max_age),
        ignored_inputs=sorted(cache.ignored_inputs),
    )


def _typed(name: str, value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise _invalid(f"{name} must be {kind.__name__}, not {value!r} ({type(value).__name__})")
    return value


def _quantity(name: str, value: Quantity) -> str:
    text = f"{value:f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if isinstance(value, bool) or not _QUANTITY.match(text):
        raise errors.DefinitionError(
            f"Resources({name}={value!r}) is not a quantity",
            where=definitions.place(source.caller()),
            code=diagnostics.INVALID_RESOURCE,
            hint="write a number, or one with a suffix, as in '500m', '16Gi'",
        )
    return text


def _gpu(value: str | int) -> tuple[str, str]:
    model, colon, count = str(value).rpartition(":")
    if not colon and not count.isdigit():
        model, count = count, "1"
    if isinstance(value, bool) or not count.isdigit() or int(count) < 1:
        raise errors.DefinitionError(
            f"Resources(gpu={value!r}) is not a number of GPUs",
            where=definitions.place(source.caller()),
            code=diagnostics.INVALID_RESOURCE,
            hint="write a number, as in '1', or a model and a number, as in 'A100:2'",
        )
    return model, str(int(count))


def milliseconds(name: str, value: timedelta | None) -> int:
    """A span of time on the wire; None is 0. Raises DefinitionError for what is none, or is negative."""
    if value is None:
        return 0
    if _typed(name, value, timedelta) < timedelta(0):
        raise _invalid(f"{name} must not be negative, as {value!r} is")
    return round(value / timedelta(milliseconds=1))


def _invalid(message: str) -> errors.DefinitionError:
    where = definitions.place(source.caller())
    return errors.DefinitionError(message, where=where, code=diagnostics.INVALID_VALUE)
