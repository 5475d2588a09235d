"""The terms on which a task runs, of a task and of a node's overrides: resources, retries, clocks, cache, environment.

What is legal here is legal for every executor; nothing is looked up, so an image or a secret need not exist.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from typedflow.compiler import diagnostics, images
from typedflow.compiler.promises import some_of
from typedflow.compiler.report import HEAD, cut
from typedflow.pb.tasks_pb2 import ResourceQuantities, TaskOptions

if TYPE_CHECKING:
    from collections.abc import Collection

    from typedflow.compiler.report import Report

MOST_RETRIES: Final = 1_000
LONGEST_MS: Final = 365 * 24 * 60 * 60 * 1_000
"""A year: no clock and no pause is longer."""

_QUANTITY: Final = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)(m|[kMGTPE]|[KMGTPE]i|[eE]\d{1,2})?", re.ASCII)
_COUNT: Final = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_ACCELERATOR: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCALES: Final = {
    "m": Fraction(1, 1000),
    **{unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", start=1)},
}
_EXAMPLES: Final = {"cpu": "`500m`, `4`", "memory": "`16Gi`", "ephemeral_storage": "`50Gi`", "gpu": "`1`"}


def check(
    options: TaskOptions, inputs: Collection[str], owner: str, report: Report, at: int = HEAD
) -> TaskOptions:
    """Notes what is wrong with options of a task or a node (`owner`); gives them in their one form, names sorted."""
    made = TaskOptions()
    made.CopyFrom(options)
    if made.HasField("resources"):
        _resources(made, owner, report, at)
    _ranges(made, owner, report, at)
    _environment(made, owner, report, at)
    if made.image and not images.is_reference(made.image):
        _invalid(
            f"the image of {owner} is not an image reference",
            "as in `registry/train@sha256:...`",
            made.image,
            report,
            at,
        )
    if made.cache.ignored_inputs:
        ignored = sorted(set(made.cache.ignored_inputs))
        made.cache.ignored_inputs[:] = ignored
        for name in ignored:
            if name not in inputs:
                report.add(
                    diagnostics.VARIABLE_NAME_NOT_FOUND,
                    f"the cache of {owner} ignores input `{cut(name, 100)}`, which there is not",
                    at=at,
                    expected=some_of(inputs),
                    given=name,
                    hint=report.did_you_mean(name, inputs),
                )
    return made


def amount(quantity: str) -> Fraction | None:
    """A quantity as a number: `500m` is a half; None when it is none."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        return None
    number, scale = Fraction(found[1]), found[2] or ""
    if scale[:1] in ("e", "E") and len(scale) > 1 and scale != "Ei":
        return number * Fraction(10) ** int(scale[1:])
    return number * _SCALES.get(scale, Fraction(1))


def _resources(options: TaskOptions, owner: str, report: Report, at: int) -> None:
    requests, limits = options.resources.requests, options.resources.limits
    for field in ("cpu", "memory", "gpu", "ephemeral_storage"):
        name = field.replace("_", " ")
        asked = _quantity(getattr(requests, field), field, f"{name} of {owner}", report, at)
        limit = _quantity(getattr(limits, field), field, f"the limit of {name} of {owner}", report, at)
        if asked is not None and limit is not None and limit < asked:
            report.add(
                diagnostics.INVALID_RESOURCE,
                f"the limit of {name} of {owner} is below what it requests",
                at=at,
                expected=f"at least `{getattr(requests, field)}`",
                given=getattr(limits, field),
                hint="raise the limit, or leave it out: then it is as the request",
            )
    for quantities in (requests, limits):
        _accelerator(quantities, owner, report, at)


def _quantity(text: str, field: str, what: str, report: Report, at: int) -> Fraction | None:
    if not text:
        return None
    made = amount(text)
    if field == "gpu":
        if _COUNT.fullmatch(text):
            return made
        expected = f"a whole number from 1, as in {_EXAMPLES[field]}"
    elif made is not None:
        return made
    else:
        expected = f"a Kubernetes quantity, as in {_EXAMPLES[field]}"
    report.add(
        diagnostics.INVALID_RESOURCE,
        f"{what} is `{cut(text, 100)}`",
        at=at,
        expected=expected,
        given=text,
        hint=_nearby(text) if field in ("memory", "ephemeral_storage") else "",
    )
    return None


def _nearby(text: str) -> str:
    """A hint for what people write of memory: `16GB`, `16 GiB`."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?([kKmMgGtT])i?[bB]?", text, re.ASCII)
    return f"did you mean `{found[1]}{found[2].upper()}i`?" if found else ""


def _accelerator(quantities: ResourceQuantities, owner: str, report: Report, at: int) -> None:
    name = quantities.accelerator
    if name and not _ACCELERATOR.fullmatch(name):
        message = f"the accelerator of {owner} is `{cut(name, 100)}`"
        report.add(
            diagnostics.INVALID_RESOURCE, message, at=at, expected="a model's name, as in `A100`", given=name
        )


def _ranges(options: TaskOptions, owner: str, report: Report, at: int) -> None:
    retry, timeouts = options.retry, options.timeouts
    if retry.retries > MOST_RETRIES:
        _invalid(
            f"{owner} may be retried too often",
            f"at most {MOST_RETRIES:,} retries",
            str(retry.retries),
            report,
            at,
        )
    if not math.isfinite(retry.factor) or retry.factor < 0:
        _invalid(
            f"the factor of the pauses of {owner} is out of range",
            "a number from 0",
            str(retry.factor),
            report,
            at,
        )
    for what, milliseconds in (
        ("the pause before a retry", retry.backoff_ms),
        ("the longest pause before a retry", retry.cap_ms),
        ("the time to run", timeouts.run_ms),
        ("the time in the queue", timeouts.queued_ms),
        ("the deadline", timeouts.deadline_ms),
    ):
        if milliseconds > LONGEST_MS:
            _invalid(f"{what} of {owner} is too long", "at most a year", f"{milliseconds} ms", report, at)


def _environment(options: TaskOptions, owner: str, report: Report, at: int) -> None:
    if len(options.environment) > 1:
        options.environment.sort(key=lambda variable: variable.name)
    names = [variable.name for variable in options.environment] + [secret.env for secret in options.secrets]
    seen: set[str] = set()
    for name in names:
        if not _VARIABLE.fullmatch(name) or len(name) > 255:
            report.add(
                diagnostics.INVALID_NAME,
                f"environment variable `{cut(name, 100)}` of {owner} has a name that is not legal",
                at=at,
                expected="letters, digits and `_`, not beginning with a digit",
                given=name,
            )
        elif name in seen:
            message = f"environment variable `{cut(name, 100)}` of {owner} is set more than once"
            report.add(
                diagnostics.PARAMETER_BOUND_MORE_THAN_ONCE,
                message,
                at=at,
                given=name,
                hint="keep one of them",
            )
        seen.add(name)
    for variable in options.environment:
        if "\0" in variable.value:
            message = f"environment variable `{cut(variable.name, 100)}` of {owner} has a NUL character in its value"
            _invalid(message, "a text without NUL", "", report, at)
    for secret in options.secrets:
        if not secret.group or not secret.key:
            _invalid(
                f"a secret of {owner} has no group or no key",
                "a group and a key",
                f"{secret.group}/{secret.key}",
                report,
                at,
            )


def _invalid(message: str, expected: str, given: str, report: Report, at: int) -> None:
    report.add(diagnostics.INVALID_VALUE, message, at=at, expected=expected, given=given)
