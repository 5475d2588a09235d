"""What a caller catches is what the service raised."""

import grpc
import pytest
from grpc import aio

from typedflow import errors, rpc
from typedflow.pb import diagnostics_pb2

EVERY = [
    errors.UsageError("m", where="w", hint="h", code="Special"),
    errors.ConversionError("m", where="inputs.x"),
    errors.BundleError("m"),
    errors.NotFound("m", hint="h"),
    errors.VersionConflict("m"),
    errors.StateConflict("m", code="Fenced"),
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
