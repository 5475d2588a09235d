"""Every error that a user can meet, as one tree.

An error says what went wrong (`message`), has a stable `code` that programs may match on, and where they are
known, the place (`where`) and what to do about it (`hint`). This module imports nothing of typedflow, so that
any room can raise from it.

    TypedflowError
    ├── UsageError              a wrong option, argument, file or setting                 exit 2, INVALID_ARGUMENT
    │   ├── DefinitionError     a task or workflow that can't be defined as written
    │   ├── ConversionError     a value that does not fit its type; names the path
    │   ├── BundleError         code that can't be bundled or unpacked safely
    │   └── LoadError           an author's file that can't be imported
    ├── CompileError            a workflow whose wiring is wrong; holds all diagnostics    exit 2, INVALID_ARGUMENT
    ├── NotFound                no such entity, execution, node, bundle                    exit 2, NOT_FOUND
    ├── VersionConflict         other content under a registered version                  exit 2, ALREADY_EXISTS
    ├── StateConflict           not possible in the present state; fenced; stale           exit 2, FAILED_PRECONDITION
    │   └── BreakingChange      a launch plan that breaks what its active version promises
    ├── Unimplemented           what this release can say but not yet do                  exit 2, UNIMPLEMENTED
    ├── PermissionDenied        no or wrong credentials                                    exit 4, UNAUTHENTICATED
    ├── ServerUnreachable       nothing answers at the address                             exit 3, UNAVAILABLE
    ├── ServerFailed            the server met a mistake of its own                        exit 1, INTERNAL
    ├── StorageError            an object store that can't be read or written              exit 1, UNAVAILABLE
    ├── IntegrityError          bytes that are not what their digest says                  exit 1, DATA_LOSS
    ├── ExecutionFailed         an execution that ended other than SUCCEEDED               exit 1
    └── NonRecoverable          raised by a task's body: fail now, do not retry
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.pb.diagnostics_pb2 import Diagnostic
    from typedflow.pb.errors_pb2 import ExecutionError as ErrorMessage
    from typedflow.pb.registry_pb2 import InterfaceComparison


class TypedflowError(Exception):
    """The root of the tree.

    Args:
        message: what went wrong, one sentence, without a full stop.
        where: the place: a file and line, a path such as `inputs.df`, an address.
        hint: what to do about it.
        code: overrides the class's stable code with a more exact one.
    """

    code: str = "Error"
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, where: str = "", hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        if code:
            self.code = code

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  help: {self.hint}" if self.hint else text


class UsageError(TypedflowError):
    """A wrong option, argument, file or setting."""

    code = "Usage"


class DefinitionError(UsageError, TypeError):
    """A task or workflow that can't be defined as written (raised where the author's line is).

    `diagnostics` has every mistake that was found, with its position, when there are more details than the message.
    """

    code = "Definition"
    diagnostics: tuple[Diagnostic, ...] = ()


class ConversionError(UsageError, ValueError):
    """A value that does not fit its type; `where` is the path to it, as in `inputs.config.layers[3].width`.

    `problems` has a path and a message for each value that does not fit, where several were looked at together.
    """

    code = "InvalidValue"

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        hint: str = "",
        code: str = "",
        problems: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message, where=where, hint=hint, code=code)
        self.problems: tuple[tuple[str, str], ...] = tuple(problems) or ((where, message),)

    @classmethod
    def of(cls, problems: Sequence[tuple[str, str]]) -> ConversionError:
        """One error for all of these paths and messages, of which there is at least one."""
        if len(problems) == 1:
            where, message = problems[0]
            return cls(message, where=where)
        lines = "".join(f"\n  {where}: {message}" for where, message in problems[:20])
        if len(problems) > 20:
            lines += f"\n  and {len(problems) - 20} more"
        return cls(f"{len(problems)} values do not fit:{lines}", problems=problems)


class BundleError(UsageError):
    """Code that can't be bundled, or a bundle that can't be unpacked safely."""

    code = "Bundle"


class LoadError(UsageError):
    """An author's file that is not there, is not Python, or raises while it is imported."""

    code = "Load"


class CompileError(TypedflowError):
    """A workflow whose wiring is wrong; `diagnostics` holds every mistake, in a stable order."""

    code = "Compile"

    def __init__(self, diagnostics: Sequence[Diagnostic], message: str = "") -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__(
            message or "\n".join(map(_told, self.diagnostics)),
            code=self.diagnostics[0].code if diagnostics else "",
        )


def _told(d: Diagnostic) -> str:
    """``pipeline.py:31:13: MismatchingTypes: what is wrong: what differs``, and the help on a line of its own."""
    place = ":".join([d.position.file, *(str(each) for each in (d.position.line, d.position.column) if each)])
    said = ": ".join(filter(None, (place, d.code, d.message, d.label)))
    return f"{said}\n  help: {d.hint}" if d.hint else said


class NotFound(TypedflowError):
    """There is no such entity, execution, node or bundle."""

    code = "NotFound"


class VersionConflict(TypedflowError):
    """Other content is registered under this version; versions never change."""

    code = "VersionConflict"


class StateConflict(TypedflowError):
    """Not possible in the present state: already ended, fenced, or changed by somebody else meanwhile."""

    code = "StateConflict"


class BreakingChange(StateConflict):
    """Launch plans that would break what the active versions of their names promise.

    `comparisons` says of each what breaks, and whom it concerns. `left_out` is how many breaking variables are not
    among them, because they did not fit in an answer.
    """

    code = "BreakingChange"

    def __init__(
        self,
        message: str,
        *,
        comparisons: Sequence[InterfaceComparison],
        where: str = "",
        hint: str = "",
        code: str = "",
        left_out: int = 0,
    ) -> None:
        super().__init__(message, where=where, hint=hint, code=code)
        self.comparisons: tuple[InterfaceComparison, ...] = tuple(comparisons)
        self.left_out = left_out


class Unimplemented(TypedflowError):
    """What can be written, checked and registered, but not yet done by this release."""

    code = "Unimplemented"


class PermissionDenied(TypedflowError):
    """No credentials, wrong ones, or ones without the right."""

    code = "PermissionDenied"
    exit_code = 4


class ServerUnreachable(TypedflowError):
    """Nothing answers at the address, or what answers is not a typedflow server."""

    code = "ServerUnreachable"
    exit_code = 3


class ServerFailed(TypedflowError):
    """The server met a mistake of its own, which its log has more of; what was asked for may be right."""

    code = "ServerFailed"
    exit_code = 1


class StorageError(TypedflowError):
    """The object store can't be read or written: it can't be reached, is full, or refuses."""

    code = "StorageError"
    exit_code = 1


class IntegrityError(TypedflowError):
    """Bytes that are not what their digest says, or that are no longer there."""

    code = "Integrity"
    exit_code = 1


class ExecutionFailed(TypedflowError):
    """An execution that ended other than SUCCEEDED; `error` says which node failed and why."""

    code = "ExecutionFailed"
    exit_code = 1

    def __init__(
        self, message: str, *, error: ErrorMessage | None = None, where: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.error = error


class NonRecoverable(TypedflowError):
    """Raise this in a task's body to fail at once: no retry would help."""

    code = "NonRecoverable"
    exit_code = 1
