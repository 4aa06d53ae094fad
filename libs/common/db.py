"""One way to the database: SQLite (WAL, one writer at a time) or PostgreSQL, behind the same two doors.

``transaction()`` is opened by whichever door was called (HTTP, event, time) and commits before the
door answers; nobody inside commits. Hooks given to ``after_commit`` run only once the commit held.
"""

import asyncio
import os
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import JSON, Connection, Executable, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.sql import Select

from common.telemetry import log
from common.timing import Now, StoreClock, utc_now

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraint names that both dialects and every migration agree on."""

Json = JSON().with_variant(JSONB(), "postgresql")
"""Column type of a JSON document."""

Session = AsyncSession

Row = TypeVar("Row", bound=tuple[Any, ...])

_HOOKS = "after_commit"
_PUT_OFF = "put_off"

IDLE_SECONDS = 0.5
"""A connection that rested longer is looked at before it is used."""


CONNECT_SECONDS = 10
SILENT_SECONDS = 20
"""A server whose machine does not even acknowledge for so long is gone, whatever was asked of it."""
_ASK_EVERY = 5


def after_commit(session: Session, hook: Callable[[], None]) -> None:
    """Run ``hook`` once this session's transaction is committed; never when it is rolled back."""
    session.info.setdefault(_HOOKS, []).append(hook)


def put_off(session: Session, work: Callable[[SyncSession], None]) -> None:
    """Do ``work`` before this session's next statement or its commit; never when the block raises first.

    So nothing can read past it. One work at a time: the same one again changes nothing.
    """
    session.info[_PUT_OFF] = work


class _Settling(SyncSession):
    """Does what was put off before it says anything else to the database.

    SQLAlchemy flushes before every statement, but not before a commit when none of its objects changed.
    """

    def flush(self, *args: Any, **options: Any) -> None:
        self._settle()
        super().flush(*args, **options)

    def commit(self) -> None:
        self._settle()
        super().commit()

    def connection(self, *args: Any, **options: Any) -> Any:
        self._settle()
        return super().connection(*args, **options)

    def _settle(self) -> None:
        work = self.info.pop(_PUT_OFF, None)
        if work is not None:
            work(self)


class Database:
    """An engine and its two doors.

    On SQLite every writing transaction starts with ``BEGIN IMMEDIATE``: the default starts as a reader
    and loses updates without an error. Writers of this process queue on a lock, in order, instead of
    sleeping in SQLite's busy handler.
    """

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.is_sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {"hide_parameters": True}
        if self.is_sqlite:
            options["pool_size"] = 4
            options["connect_args"] = {"timeout": 30}
        else:
            # No overflow: it is closed when it is given back, and the next one costs a server process, a
            # handshake and an SSL context.
            options |= {"pool_size": pool_size, "max_overflow": 0, "pool_use_lifo": True}
            options["connect_args"] = {"timeout": CONNECT_SECONDS}
        clock = StoreClock()
        # A file is on the machine whose clock it goes by.
        self.now: Now = utc_now if self.is_sqlite else clock
        self.engine: AsyncEngine = create_async_engine(url, **options)
        self.outbox_written: list[Callable[[], None]] = []
        self._writer = asyncio.Lock()
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        else:
            _look_at_idle(self.engine, clock)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """A unit of work: committed at the end of the block, rolled back when it raises."""
        async with AsyncExitStack() as stack:
            if self.is_sqlite:
                await stack.enter_async_context(self._writer)
            session = await stack.enter_async_context(self._session())
            try:
                yield session
                await session.commit()
            except BaseException:
                await session.rollback()
                raise
        for hook in session.info.pop(_HOOKS, []):
            try:
                hook()
            except Exception as error:  # noqa: BLE001  # it is committed: a failing hook must not tell otherwise
                log.error("after_commit_failed", error_type=type(error).__name__)
        if session.info.pop("outbox_written", False):
            for wake in self.outbox_written:
                wake()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Session]:
        """A consistent look; writers go on meanwhile."""
        async with self._session() as session:
            # PostgreSQL's default would see each later statement's own moment.
            consistent = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            await session.connection(execution_options={"dabyl_reading": True, **consistent})
            yield session

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[Session]:
        """One statement that is a transaction by itself: one round trip on PostgreSQL, not three.

        Each further statement would be a transaction of its own.
        """
        if self.is_sqlite:
            async with self.transaction() as session:
                yield session
            return
        async with self._session() as session:
            await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session

    @asynccontextmanager
    async def glancing(self) -> AsyncIterator[Session]:
        """As ``at_once`` for a statement that only reads: on SQLite it waits for no writer."""
        async with self.reading() if self.is_sqlite else self.at_once() as session:
            yield session

    def _session(self) -> Session:
        return Session(self.engine, expire_on_commit=False, sync_session_class=_Settling)

    async def learn_time(self) -> None:
        """Connect, and so learn the store's time. Raises what connecting raises."""
        async with self.engine.connect():
            return

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()


def _look_at_idle(engine: AsyncEngine, clock: StoreClock) -> None:
    """A killed server leaves dead connections in the pool: look before use, unless it was used just now.

    The pool's own look costs a round trip for every transaction. Ours asks for the time: no connection is
    used before it is known, or long after it was asked for.
    """
    dialect = engine.sync_engine.dialect

    def ask(connection: Any) -> None:
        asked = clock.seconds()
        said = connection.run_async(lambda driver: driver.fetchval("SELECT clock_timestamp()"))
        clock.take(said, asked=asked, answered=clock.seconds())

    def connected(connection: Any, _record: Any) -> None:
        try:
            _notice_silence(connection.driver_connection)
            ask(connection)
        except Exception as error:
            raise dialect.loaded_dbapi.OperationalError("lost at its first question") from error

    def used(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def look(connection: Any, record: Any, _proxy: Any) -> None:
        now = time.monotonic()
        if clock.is_stale or now - record.info.get("used_at", now) > IDLE_SECONDS:
            try:
                ask(connection)
            except Exception as error:
                raise DisconnectionError from error

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "checkin", used)
    event.listen(engine.sync_engine, "checkout", look)


def _notice_silence(driver: Any) -> None:
    """Let the kernel end a connection whose other end vanished without a word: the driver waits for ever.

    No limit on statements: as long as its machine acknowledges, a long one may take its time.
    """
    # The driver has no public way to its socket, and the loop's own object takes no options.
    number = driver._transport.get_extra_info("socket").fileno()  # noqa: SLF001  # see above
    with socket.socket(fileno=os.dup(number)) as same:
        if same.family not in (socket.AF_INET, socket.AF_INET6):
            return
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", _ASK_EVERY),
            ("TCP_KEEPINTVL", _ASK_EVERY),
            ("TCP_KEEPCNT", SILENT_SECONDS // _ASK_EVERY - 1),
            ("TCP_USER_TIMEOUT", SILENT_SECONDS * 1000),
        ):
            if hasattr(socket, name):  # not every system has all of them
                same.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("dabyl_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


async def insert_ignore(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], index_elements: Sequence[str]
) -> int:
    """Insert the rows whose ``index_elements`` are not there yet; all rows name the same columns.

    Returns:
        How many were inserted. The unique index decides, not a prior look.
    """
    if not rows:
        return 0
    statement = _insert_ignore(table, session.get_bind().dialect.name, tuple(index_elements))
    # The rows go beside the statement: inside it, it would be compiled anew each time.
    result = await session.execute(statement, rows[0] if len(rows) == 1 else list(rows))
    return len(result.all())


@cache
def _insert_ignore(table: Table, dialect: str, index_elements: tuple[str, ...]) -> Executable:
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return insert.on_conflict_do_nothing(index_elements=list(index_elements)).returning(
        *(table.c[name] for name in index_elements)
    )


def lock_due(statement: Select[Row]) -> Select[Row]:
    """Skip rows another worker holds. SQLite ignores it: there, one writer at a time claims."""
    return statement.with_for_update(skip_locked=True)


_PASSING = (
    "08",  # connection
    "53",  # out of resources: disk, memory, connections
    "57P",  # shutting down or starting up
    "57014",  # cancelled, or out of its time
    "55P03",  # a lock was not to be had in time
    "25006",  # read-only: a failover is not over yet
    "40",  # deadlock or serialization: it was rolled back, and may be tried again
)


def is_away(error: BaseException) -> bool:
    """Whether the database could not be reached or is not ready: asking again later may succeed."""
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout, OSError)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    # asyncpg's driver raises most of these as plain errors.
    state = str(getattr(error.orig, "sqlstate", "") or "")
    return error.connection_invalidated or state.startswith(_PASSING)


_BEATEN = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # a lock was not to be had in time
    }
)


def is_beaten(error: BaseException) -> bool:
    """Whether another transaction was in the way: this one is rolled back for certain, and may go again.

    Not so when the connection is gone: it may have been committed.
    """
    return isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlstate", "")) in _BEATEN


def is_sqlite_busy(error: BaseException) -> bool:
    """True when SQLite gave up waiting for another process's lock."""
    return isinstance(getattr(error, "orig", error), sqlite3.OperationalError)
