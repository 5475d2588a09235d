"""What a client hears of a database or a disk that refuses: the way it is told does not depend on the driver's mood."""

import errno

import pytest
from sqlalchemy import exc
from typedflow_admin import failures

from typedflow import errors, rpc


def of(kind, said, *, broken=False):
    return kind("SELECT 1", {}, Exception(said), connection_invalidated=broken)


@pytest.mark.parametrize(
    "error",
    [
        of(exc.OperationalError, "terminating connection due to administrator command"),
        of(exc.InterfaceError, "the connection is closed"),
        of(exc.InternalError, "cannot execute INSERT in a read-only transaction"),
        of(exc.DatabaseError, "database disk image is malformed"),
        of(exc.ProgrammingError, "the cursor is closed", broken=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_is_away_or_going_is_unavailable(error):
    told = failures.known(error)
    assert isinstance(told, errors.ServerUnreachable)
    assert told.code == "DatabaseUnavailable"
    assert str(error.orig) in told.message
    assert rpc.code_of(told) == "UNAVAILABLE"


@pytest.mark.parametrize(
    "error",
    [
        of(exc.OperationalError, "database or disk is full"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
    ],
    ids=str,
)
def test_a_disk_that_is_full_is_said_to_be_and_the_call_may_be_repeated(error):
    told = failures.known(error)
    assert isinstance(told, errors.ServerUnreachable)
    assert told.code == "DiskFull"
    assert "make room" in told.hint


def test_what_a_database_says_in_many_lines_is_told_in_one():
    told = failures.known(of(exc.OperationalError, "connection failed\n\tIs the server running?"))
    assert told is not None
    assert told.message == "the server's database refused: connection failed"


@pytest.mark.parametrize(
    "error", [of(exc.IntegrityError, "UNIQUE"), of(exc.ProgrammingError, "syntax"), KeyError()]
)
def test_a_mistake_of_the_server_is_not_blamed_on_its_database(error):
    assert failures.known(error) is None
