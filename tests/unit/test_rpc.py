"""What a caller catches is what the service raised."""

import grpc
import pytest
from grpc import aio

from typedflow import errors, identifiers, rpc
from typedflow.pb import diagnostics_pb2, registry_pb2

EVERY = [
    errors.UsageError("m", where="w", hint="h", code="Special"),
    errors.ConversionError("m", where="inputs.x"),
    errors.BundleError("m"),
    errors.NotFound("m", hint="h"),
    errors.VersionConflict("m"),
    errors.StateConflict("m", code="Fenced"),
    errors.Unimplemented("m", where="node"),
    errors.PermissionDenied("m"),
    errors.ServerUnreachable("m"),
    errors.ServerFailed("m"),
    errors.IntegrityError("m"),
]


def sent(error: errors.TypedflowError) -> aio.AioRpcError:
    """The failure of a call whose handler raised `error`."""
    status = rpc.status_of(error)
    trailing = aio.Metadata((rpc.DETAILS_KEY, status.SerializeToString()))
    return aio.AioRpcError(grpc.StatusCode[rpc.code_of(error)], aio.Metadata(), trailing, status.message)


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_an_error_arrives_as_it_was_raised(error):
    arrived = rpc.error_from(sent(error))
    assert type(arrived) is type(error)
    assert (arrived.message, arrived.where, arrived.hint, arrived.code) == (
        error.message,
        error.where,
        error.hint,
        error.code,
    )


def test_diagnostics_arrive_whole():
    diagnostics = [diagnostics_pb2.Diagnostic(code=f"Code{number}", message="m" * 20) for number in range(20)]
    arrived = rpc.error_from(sent(errors.CompileError(diagnostics)))
    assert isinstance(arrived, errors.CompileError)
    assert list(arrived.diagnostics) == diagnostics


def test_what_does_not_fit_in_metadata_is_left_out_from_the_end():
    diagnostics = [
        diagnostics_pb2.Diagnostic(code=f"Code{number}", message="m" * 100) for number in range(1000)
    ]
    failure = sent(errors.CompileError(diagnostics))
    arrived = rpc.error_from(failure)
    assert isinstance(arrived, errors.CompileError)
    count = len(arrived.diagnostics)
    assert 10 < count < 100
    assert list(arrived.diagnostics) == diagnostics[:count]
    whole = rpc.status_of(errors.CompileError(diagnostics), limited=False)
    assert whole.ByteSize() > 100_000


def test_a_diagnostic_that_is_too_long_for_metadata_arrives_in_short():
    long = diagnostics_pb2.Diagnostic(code="MismatchingTypes", message="é" * 9000, expected="x" * 9000)
    failure = sent(errors.CompileError([long, long]))
    arrived = rpc.error_from(failure)
    assert isinstance(arrived, errors.CompileError)
    assert [each.code for each in arrived.diagnostics] == ["MismatchingTypes"]
    assert arrived.diagnostics[0].expected.startswith("xxx")
    assert rpc.status_of(errors.CompileError([long])).ByteSize() < 8192


def comparison(variables: int, affected: int = 0) -> registry_pb2.InterfaceComparison:
    """One that breaks in so many variables, and has a change beside that breaks nothing."""
    breaking, compatible = registry_pb2.COMPATIBILITY_BREAKING, registry_pb2.COMPATIBILITY_COMPATIBLE
    made = registry_pb2.InterfaceComparison(
        compatibility=breaking,
        old=identifiers.launch_plan("nightly", version="v1"),
        new=identifiers.launch_plan("nightly", version="v2"),
        affected=[identifiers.workflow(f"w{number}", version="v1") for number in range(affected)],
        affected_count=affected,
    )
    made.variables.add(name="fine", compatibility=compatible, reason="it is new")
    for number in range(variables):
        made.variables.add(name=f"x{number}", compatibility=breaking, old_type="int", reason="it is gone")
    return made


def test_i4_what_would_break_arrives_with_the_error():
    whole = comparison(3, affected=2)
    arrived = rpc.error_from(sent(errors.BreakingChange("m", comparisons=[whole], where="w", hint="h")))
    assert isinstance(arrived, errors.BreakingChange)
    assert (arrived.message, arrived.where, arrived.hint, arrived.left_out) == ("m", "w", "h", 0)
    del whole.variables[0]
    assert list(arrived.comparisons) == [whole]


def test_i4_what_would_break_and_does_not_fit_is_counted():
    error = errors.BreakingChange("m" * 900, comparisons=[comparison(1000, affected=100), comparison(20)])
    assert rpc.status_of(error).ByteSize() < 8192
    arrived = rpc.error_from(sent(error))
    assert isinstance(arrived, errors.BreakingChange)
    [first] = arrived.comparisons
    assert 20 < len(first.variables) < 300
    assert arrived.left_out == 1020 - len(first.variables)
    assert (len(first.affected), first.affected_count) == (10, 100)
    whole = rpc.status_of(error, limited=False)
    assert len(whole.details) == 3


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (grpc.StatusCode.INTERNAL, errors.ServerFailed, 1),
        (grpc.StatusCode.UNKNOWN, errors.ServerFailed, 1),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.UsageError, 2),
    ],
)
def test_what_the_server_did_wrong_is_not_told_as_bad_usage(code, kind, exit_code):
    arrived = rpc.error_from(aio.AioRpcError(code, aio.Metadata(), aio.Metadata(), "it broke"), "localhost:1")
    assert (type(arrived), arrived.exit_code) == (kind, exit_code)
    assert (arrived.message, arrived.where) == ("it broke", "localhost:1")


def test_a_server_that_is_not_there_is_said_with_its_address():
    failure = aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, aio.Metadata(), aio.Metadata(), "connection refused"
    )
    arrived = rpc.error_from(failure, "localhost:1")
    assert isinstance(arrived, errors.ServerUnreachable)
    assert arrived.where == "localhost:1"
    assert "typedflow up" in arrived.hint


def test_details_of_another_kind_of_server_are_no_errors_of_their_own():
    trailing = aio.Metadata((rpc.DETAILS_KEY, b"\xff\xff"))
    failure = aio.AioRpcError(grpc.StatusCode.NOT_FOUND, aio.Metadata(), trailing, "no")
    assert type(rpc.error_from(failure)) is errors.NotFound
    unknown = aio.AioRpcError(grpc.StatusCode.UNIMPLEMENTED, aio.Metadata(), aio.Metadata(), "no")
    assert rpc.error_from(unknown).code == "Unimplemented"
