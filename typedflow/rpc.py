"""How errors travel over gRPC: the one table of which error is which status, and both directions of it.

The service turns an error into a status with `abort_from`, the client turns the status back with `error_from`: what a
caller catches is what was raised. Code, place and hint travel as google.rpc.ErrorInfo, diagnostics as
typedflow.v1.Diagnostics, what a launch plan would break as typedflow.v1.InterfaceComparison, in the status's details.
Nothing here makes a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol, cast
from urllib import parse

from google.protobuf import message

from typedflow import errors
from typedflow.pb import diagnostics_pb2, registry_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import grpc
    from google.rpc.status_pb2 import Status

DOMAIN = "typedflow"
DETAILS_KEY = "grpc-status-details-bin"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# What the server sends may hold a whole compiled workflow.
MAX_RESPONSE_BYTES = 96 * 1024 * 1024

# gRPC refuses metadata of more than 8 KiB by default, so that is what a status and its details must fit in: the message
# is there twice, once with three characters for each byte that is not printable ASCII.
_MAX_STATUS_BYTES = 7 * 1024
_MAX_MESSAGE_BYTES = 1000
_MAX_PLACE_BYTES = 500
_MAX_HINT_BYTES = 500
_MAX_TYPE_BYTES = 100
_MAX_REASON_BYTES = 300
_MAX_AFFECTED = 10
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

# The first that an error is an instance of.
_CODES: tuple[tuple[type[errors.TypedflowError], str], ...] = (
    (errors.CompileError, "INVALID_ARGUMENT"),
    (errors.UsageError, "INVALID_ARGUMENT"),
    (errors.NotFound, "NOT_FOUND"),
    (errors.VersionConflict, "ALREADY_EXISTS"),
    (errors.StateConflict, "FAILED_PRECONDITION"),
    (errors.Unimplemented, "UNIMPLEMENTED"),
    (errors.PermissionDenied, "UNAUTHENTICATED"),
    (errors.ServerUnreachable, "UNAVAILABLE"),
    (errors.ServerFailed, "INTERNAL"),
    (errors.StorageError, "UNAVAILABLE"),
    (errors.IntegrityError, "DATA_LOSS"),
)
_ERRORS: dict[str, type[errors.TypedflowError]] = {
    "INVALID_ARGUMENT": errors.UsageError,
    "OUT_OF_RANGE": errors.UsageError,
    "RESOURCE_EXHAUSTED": errors.UsageError,
    "NOT_FOUND": errors.NotFound,
    "ALREADY_EXISTS": errors.VersionConflict,
    "FAILED_PRECONDITION": errors.StateConflict,
    "ABORTED": errors.StateConflict,
    "UNIMPLEMENTED": errors.Unimplemented,
    "UNAUTHENTICATED": errors.PermissionDenied,
    "PERMISSION_DENIED": errors.PermissionDenied,
    "UNAVAILABLE": errors.ServerUnreachable,
    "DEADLINE_EXCEEDED": errors.ServerUnreachable,
    "INTERNAL": errors.ServerFailed,
    "UNKNOWN": errors.ServerFailed,
    "DATA_LOSS": errors.IntegrityError,
}
# What INVALID_ARGUMENT was before it travelled, by the error's own code.
_USAGE_ERRORS: dict[str, type[errors.UsageError]] = {
    errors.DefinitionError.code: errors.DefinitionError,
    errors.ConversionError.code: errors.ConversionError,
    errors.BundleError.code: errors.BundleError,
}


class AbortableContext(Protocol):
    """The part of grpc.aio.ServicerContext that ends a call."""

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """Ends the call; never returns."""


def code_of(error: errors.TypedflowError) -> str:
    """The name of the gRPC status code for an error, as in `NOT_FOUND`."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), "UNKNOWN")


def status_of(error: errors.TypedflowError, *, limited: bool = True) -> Status:
    """The error as google.rpc.Status; `limited` to what fits in gRPC metadata, with a count of what is left out."""
    import grpc
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415 - as heavy as grpc, and used with it only

    def cut(text: str, most: int) -> str:
        return _text(text, most if limited else None)

    info = error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN)
    if error.where:
        info.metadata["where"] = cut(error.where, _MAX_PLACE_BYTES)
    if error.hint:
        info.metadata["hint"] = cut(error.hint, _MAX_HINT_BYTES)
    number: int = getattr(grpc.StatusCode, code_of(error)).value[0]
    status = status_pb2.Status(code=number, message=cut(error.message, _MAX_MESSAGE_BYTES))
    escaped = len(parse.quote(status.message, safe=_PRINTABLE))
    room = _MAX_STATUS_BYTES - escaped - status.ByteSize() - info.ByteSize()
    if isinstance(error, errors.CompileError):
        sent = diagnostics_pb2.Diagnostics(diagnostics=error.diagnostics)
        if limited:
            _limit(sent, room)
        info.metadata["diagnostics"] = str(len(error.diagnostics))
        status.details.add().Pack(sent)
    if isinstance(error, errors.BreakingChange):
        comparisons = _fitting(error.comparisons, room) if limited else error.comparisons
        left_out = _breaking(error.comparisons) - _breaking(comparisons)
        info.metadata["left_out"] = str(error.left_out + left_out)
        for comparison in comparisons:
            status.details.add().Pack(comparison)
    status.details.add().Pack(info)
    return status


async def abort_from(error: errors.TypedflowError, context: AbortableContext) -> NoReturn:
    """Ends a call with the status that says `error`."""
    from grpc_status import rpc_status

    await context.abort_with_status(rpc_status.to_status(status_of(error)))


def error_from(failure: grpc.RpcError | grpc.aio.AioRpcError, address: str = "") -> errors.TypedflowError:
    """The error that the service raised, from what the call raised; `address` names a server that can't be reached."""
    import grpc

    assert isinstance(failure, grpc.Call | grpc.aio.AioRpcError)
    code = failure.code().name
    said = failure.details() or code
    told = _told_by(failure)
    if isinstance(told, errors.TypedflowError):
        return told
    info = told
    kind = _ERRORS.get(code, errors.TypedflowError)
    if kind is errors.UsageError and info is not None:
        kind = _USAGE_ERRORS.get(info.reason, kind)
    if info is not None:
        return kind(
            said,
            where=info.metadata.get("where", ""),
            hint=info.metadata.get("hint", ""),
            code=info.reason,
        )
    if kind is errors.ServerUnreachable:
        # gRPC begins with its channels and addresses; what happened comes last.
        return kind(
            f"no typedflow server answers: {said.rpartition(': ')[2].rstrip(']')}",
            where=address,
            hint="start one with `typedflow up`, or set TYPEDFLOW_ADMIN to the address of one that runs",
        )
    return kind(
        said,
        where=address,
        code="" if kind is not errors.TypedflowError else code.title().replace("_", ""),
    )


def channel_options() -> list[tuple[str, int]]:
    """What every client of the service sets on its channel."""
    return [
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        # A server that comes back is found soon: by itself gRPC pauses up to two minutes between tries.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]


def _limit(sent: diagnostics_pb2.Diagnostics, room: int) -> None:
    """Leaves out the last diagnostics until there is room for the rest; the first always stays, in short if need be."""
    size = 0
    for number, diagnostic in enumerate(sent.diagnostics):
        size += diagnostic.ByteSize() + 4
        if size > room:
            if number == 0:
                for field, value in diagnostic.ListFields():
                    if isinstance(value, str):
                        setattr(diagnostic, field.name, _text(value, room // 10))
            del sent.diagnostics[max(number, 1) :]
            return


def _fitting(
    comparisons: Iterable[registry_pb2.InterfaceComparison], room: int
) -> list[registry_pb2.InterfaceComparison]:
    """What breaks, in short, as far as there is room for it; the first variable that does always stays."""
    found: list[registry_pb2.InterfaceComparison] = []
    for comparison in comparisons:
        short = registry_pb2.InterfaceComparison()
        short.CopyFrom(comparison)
        del short.variables[:], short.affected[_MAX_AFFECTED:]
        room -= short.ByteSize() + 60  # what packs it has a name, too
        for variable in comparison.variables:
            if variable.compatibility != registry_pb2.COMPATIBILITY_BREAKING:
                continue
            cut = registry_pb2.VariableComparison()
            cut.CopyFrom(variable)
            cut.name = _text(cut.name, _MAX_TYPE_BYTES)
            cut.old_type, cut.new_type = (
                _text(each, _MAX_TYPE_BYTES) for each in (cut.old_type, cut.new_type)
            )
            cut.reason = _text(cut.reason, _MAX_REASON_BYTES)
            room -= cut.ByteSize() + 4
            if room < 0 and (found or short.variables):
                break
            short.variables.append(cut)
        if room < 0 and found:
            break
        found.append(short)
    return found


def _breaking(comparisons: Iterable[registry_pb2.InterfaceComparison]) -> int:
    """How many variables break."""
    return sum(
        variable.compatibility == registry_pb2.COMPATIBILITY_BREAKING
        for comparison in comparisons
        for variable in comparison.variables
    )


def _text(text: str, most: int | None) -> str:
    """The text as it can travel: whole characters only, and no more than so many bytes, unless there is no limit."""
    data = text.encode("utf-8", "replace")
    if most is None or len(data) <= most:
        return data.decode()
    return data[: most - 4].decode("utf-8", "ignore") + " ..."


class _Info(Protocol):
    """What is used of google.rpc.ErrorInfo."""

    @property
    def reason(self) -> str:
        """The error's code."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Place and hint."""


def _told_by(failure: grpc.Call | grpc.aio.AioRpcError) -> errors.TypedflowError | _Info | None:
    """What the status's details say: the error itself where they have all of it.

    None when they say nothing, as with a server that is none of ours.
    """
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415 - as above

    packed = dict(failure.trailing_metadata() or ()).get(DETAILS_KEY)
    if not isinstance(packed, bytes):
        return None
    found: error_details_pb2.ErrorInfo | None = None
    comparisons = []
    try:
        for detail in status_pb2.Status.FromString(packed).details:
            diagnostics = diagnostics_pb2.Diagnostics()
            comparison = registry_pb2.InterfaceComparison()
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(diagnostics):
                return errors.CompileError(diagnostics.diagnostics, failure.details() or "")
            if detail.Unpack(comparison):
                comparisons.append(comparison)
            elif found is None and detail.Unpack(info) and info.domain == DOMAIN:
                found = info
    except message.DecodeError:
        return None
    if not comparisons or found is None:
        return cast("_Info | None", found)
    left_out = found.metadata.get("left_out", "")
    return errors.BreakingChange(
        failure.details() or "",
        comparisons=comparisons,
        where=found.metadata.get("where", ""),
        hint=found.metadata.get("hint", ""),
        code=found.reason,
        left_out=int(left_out) if left_out.isdecimal() else 0,
    )
