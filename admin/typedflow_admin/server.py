"""Assembly: a home, a database, the rooms, the doors in front of them, and the embedded propeller.

Starts a propeller beside the services, which then talks to them over gRPC as any other would, but for what it asks most
(see `beside`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import typedflow_propeller
from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError

from typedflow import errors, settings
from typedflow.dataplane import objects
from typedflow_admin import beside, doors, home, migrations, principals, service
from typedflow_admin.activation import LaunchPlans
from typedflow_admin.attempt_records import AttemptRecords
from typedflow_admin.attempts import Attempts
from typedflow_admin.bells import Bell
from typedflow_admin.cache_answers import CacheAnswers
from typedflow_admin.catalog import Catalog, Fitness
from typedflow_admin.children import Children
from typedflow_admin.commits import Commits
from typedflow_admin.comparisons import Comparisons
from typedflow_admin.contents import Contents
from typedflow_admin.data import Data
from typedflow_admin.database import Database, create_engine
from typedflow_admin.executions import Executions
from typedflow_admin.explanation import Explanations
from typedflow_admin.garbage import Garbage, Guarded
from typedflow_admin.launches import Launches
from typedflow_admin.logs import Logs
from typedflow_admin.places import Places
from typedflow_admin.plans import Plans
from typedflow_admin.registry import Registry
from typedflow_admin.relaunches import Relaunches
from typedflow_admin.signals import Signals
from typedflow_admin.sql_store import SqlStore
from typedflow_admin.statistics import Statistics
from typedflow_admin.work import Work

_log = logging.getLogger(__name__)

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
EMBEDDED = "embedded-"
"""What the ids of embedded propellers begin with."""

# Before a propeller that failed is started again; after one more failure in a row the server stops.
_PAUSES_S = (1.0, 2.0, 4.0, 8.0)
_STEADY_S = 60.0  # a failure after so long is not in a row with those before it
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what it is reached by from here


@dataclass(frozen=True, slots=True)
class Options:
    """How a server is started.

    Args:
        home: the folder of its database, objects and `server.json`.
        host: the address to listen on; other machines reach it only if it is not loopback, which needs `insecure`.
        port: of gRPC; 0 is any free one.
        http_port: of HTTP; 0 is any free one.
        token: the bearer token; empty: made anew.
        insecure: listen off loopback although nothing is encrypted.
        lease_ms: how long a propeller holds an execution without a heartbeat.
        database: the address of a PostgreSQL database; empty: SQLite in the home.
        store: the address of the object store; empty: a folder in the home.
        project_parallelism: attempts of one project that may run at once; 0 is no limit.
        gc_grace_hours: how long an object stays in the store after nothing referred to it any more.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 8090
    http_port: int = 8091
    token: str = ""
    insecure: bool = False
    lease_ms: int = 15_000
    database: str = ""
    store: str = ""
    project_parallelism: int = 0
    gc_grace_hours: int = 24


@asynccontextmanager
async def run_admin(options: Options) -> AsyncIterator[settings.ServerInfo]:
    """Runs the services while the block runs; gives what `server.json` says.

    Raises:
        UsageError: the home is another server's or unfit, a port is taken, or the address is not safe to listen on.
        StateConflict: another server has taken over the database.
    """
    async with _running(options) as (_, info):
        yield info


@asynccontextmanager
async def _running(options: Options) -> AsyncIterator[tuple[service.Rooms, settings.ServerInfo]]:
    _check_safe(options)
    async with AsyncExitStack() as stack:
        stack.enter_context(home.locked(options.home))
        database = await asyncio.to_thread(_database, options)
        stack.push_async_callback(asyncio.to_thread, database.close)
        await stack.enter_async_context(_owning(database))
        rooms = _rooms(SqlStore(database), options)
        # The home is locked: no propeller that was embedded in a server on it is left.
        try:
            await rooms.work.release_all(EMBEDDED)
        except DatabaseError as error:  # the first that is written, where the tables were there
            raise _unfit(options, error) from None
        token, principal = options.token or secrets.token_urlsafe(32), principals.local()
        port = await stack.enter_async_context(
            doors.grpc(rooms, token, principal, options.host, options.port)
        )
        http_port = await stack.enter_async_context(
            doors.http(rooms, token, principal, options.host, options.http_port)
        )
        host = _EVERY_ADDRESS.get(options.host, f"[{options.host}]" if ":" in options.host else options.host)
        info = settings.ServerInfo(
            grpc=f"{host}:{port}", http=f"{host}:{http_port}", pid=home.process_id(), token=token
        )
        stack.enter_context(home.announced(options.home, info))
        yield rooms, info


@asynccontextmanager
async def _owning(database: Database) -> AsyncIterator[None]:
    """Cancels the block when another server has taken over the database."""
    try:
        async with asyncio.TaskGroup() as group:
            owning = group.create_task(database.own())
            try:
                yield
            finally:
                owning.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


@asynccontextmanager
async def run_embedded(options: Options) -> AsyncIterator[settings.ServerInfo]:
    """Runs the services, and a propeller that runs attempts as processes of this machine, while the block runs.

    A propeller that fails is started again. When it keeps failing the block is cancelled: a server that takes launches
    and runs nothing helps nobody, and whoever supervises it sees it end.

    Raises:
        UsageError: as `run_admin`.
        StateConflict: as `run_admin`, or the propeller keeps failing.
    """
    async with _running(options) as (rooms, info):
        client = beside.Beside(rooms, info.grpc, info.token)
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(_keep_running(lambda: _propeller(options, client)))
                try:
                    yield info
                finally:
                    running.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await client.close()


class EmbeddedServer:
    """A server in a thread of this process.

    Args:
        options: how it is started.
        propeller: whether it runs what is launched.
        ended: called, in the server's thread, when it ends without being asked to; leaving the block then raises why.

    Example:
        >>> with EmbeddedServer(Options(home, port=0, http_port=0)) as info:
        ...     Client(info.grpc, token=info.token)

    Raises:
        UsageError: as `run_admin`, on entering.
        StateConflict: as `run_embedded`, on leaving.
    """

    def __init__(
        self, options: Options, *, propeller: bool = True, ended: Callable[[], None] | None = None
    ) -> None:
        self._options = options
        self._propeller = propeller
        self._ended = ended
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="typedflow-server", daemon=True)
        self._info: settings.ServerInfo | None = None
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def __enter__(self) -> settings.ServerInfo:
        self._thread.start()
        self._started.wait()
        if self._info is None:
            self._thread.join()
            assert self._failure is not None
            raise self._failure
        return self._info

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        with contextlib.suppress(RuntimeError):  # of a loop that is closed: it has ended
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - raised in the thread that starts or stops it
            self._failure = failure
            if self._info is not None and self._ended is not None:
                self._ended()
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with run_embedded(self._options) if self._propeller else run_admin(self._options) as info:
            self._info = info
            self._started.set()
            await self._stop.wait()


def embedded(
    home: Path,
    *,
    port: int,
    http_port: int,
    ended: Callable[[], None] | None = None,
    database: str = "",
    store: str = "",
    project_parallelism: int = 0,
    gc_grace_hours: int = 24,
) -> EmbeddedServer:
    """What `typedflow` starts when a command needs a server of its own; see `typedflow.services`."""
    options = Options(
        home,
        port=port,
        http_port=http_port,
        database=database,
        store=store,
        project_parallelism=project_parallelism,
        gc_grace_hours=gc_grace_hours,
    )
    return EmbeddedServer(options, ended=ended)


def _propeller(options: Options, client: typedflow_propeller.AdminClient) -> typedflow_propeller.Propeller:
    store_url = _objects(options)
    executor = typedflow_propeller.LocalProcesses(options.home, client, store_url=store_url)
    return typedflow_propeller.Propeller(client, executor, store_url=store_url, id_prefix=EMBEDDED)


async def _keep_running(make: Callable[[], typedflow_propeller.Propeller]) -> None:
    """Runs a propeller, and after a failure another, until it is cancelled.

    Raises:
        StateConflict: it failed too often in a row.
    """
    failures = 0
    while True:
        started = time.monotonic()
        try:
            await make().run()
        except Exception as error:
            if time.monotonic() - started > _STEADY_S:
                failures = 0
            failures += 1
            _log.exception("the embedded propeller failed (%d in a row)", failures)
            if failures > len(_PAUSES_S):
                raise errors.StateConflict(
                    f"the server stopped: its propeller failed {failures} times in a row, at last with {error!r}",
                    hint="the log above has every failure; executions go on when the server is up again",
                    code="PropellerFailed",
                ) from error
            await asyncio.sleep(_PAUSES_S[failures - 1])


def _objects(options: Options) -> str:
    return options.store or str(options.home / "objects")


def _database(options: Options) -> Database:
    """The server's database, with today's tables."""
    engine = create_engine(options.database or f"sqlite:///{_file(options)}")
    try:
        database = Database(engine)
        try:
            migrations.upgrade(engine)
        except BaseException:
            database.close()
            raise
    except DatabaseError as error:
        engine.dispose()
        raise _unfit(options, error) from None
    return database


def _file(options: Options) -> Path:
    return options.home / "typedflow.db"


def _unfit(options: Options, error: DatabaseError) -> errors.UsageError:
    if options.database:
        where = make_url(options.database).render_as_string()
        hint = "check its address, and that the server runs and lets this user in"
    else:
        where = str(_file(options))
        hint = (
            "restore it, make room on its disk, let this user write to it, free it from whoever uses it,"
            " or set TYPEDFLOW_HOME to another folder"
        )
    return errors.UsageError(
        f"this can't be a server's database: {error.orig}", where=where, hint=hint, code="DatabaseUnfit"
    )


def _rooms(tables: SqlStore, options: Options) -> service.Rooms:
    work_bell, changes = Bell(), Bell()
    store = objects.open_store(_objects(options))
    contents = Contents(store)
    garbage = Garbage(tables, store, contents, options.gc_grace_hours * 3600, _clock_us)
    database, fitness = Guarded(tables, garbage), Fitness(store, contents)
    folder = home.emptied(options.home / "incoming")
    places = Places(options.project_parallelism)
    made = Launches(store, places, _clock_us)
    launched = Executions(database, made, work_bell, changes)
    work = Work(
        database, Commits(database, places, work_bell, changes, _clock_us), work_bell, options.lease_ms
    )
    answers, explanations = CacheAnswers(database, fitness, _clock_us), Explanations(database)
    plans = Plans(database, store, answers, explanations, _clock_us)
    return service.Rooms(
        registry=Registry(database, _clock_us),
        launch_plans=LaunchPlans(database, _clock_us),
        comparisons=Comparisons(database),
        executions=launched,
        plans=plans,
        relaunches=Relaunches(database, made, launched, plans),
        signals=Signals(database, store, work_bell),
        attempt_records=AttemptRecords(database),
        children=Children(database, made, work_bell),
        logs=Logs(database, work),
        catalog=Catalog(database, fitness, _clock_us),
        cache_answers=answers,
        explanations=explanations,
        statistics=Statistics(database),
        garbage=garbage,
        data=Data(database, store, folder, _clock_us),
        work=work,
        attempts=Attempts(database, contents, work_bell, places, work, _clock_us),
    )


def _clock_us() -> int:
    return time.time_ns() // 1000


def _check_safe(options: Options) -> None:
    if options.host not in LOOPBACK and not options.insecure:
        raise errors.UsageError(
            f"{options.host} can be reached from other machines, and nothing is encrypted",
            where="--host",
            hint="listen on 127.0.0.1, or accept the risk with --insecure",
            code="InsecureAddress",
        )
