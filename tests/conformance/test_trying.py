"""Transactions that are in each other's way, and what is "away": with PostgreSQL's own errors."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest
from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from common import trying
from common.db import Database, Session, after_commit, is_away, is_beaten
from common.http import PartsOf, Tx, create_app
from common.keys import KeyRing
from common.schemas import In
from common.testing import parts_for_test
from tests.conftest import REAL
from tests.parts import postgres
from tests.parts.process import free_ports

pytestmark = pytest.mark.real

ADD = text("UPDATE purses SET coins = coins + 1 WHERE id = :id")
IMPATIENT = text("SET LOCAL deadlock_timeout = '50ms'")


@pytest.fixture
async def db() -> AsyncIterator[Database]:
    """A PostgreSQL database of this test, with two purses."""
    server, name = REAL.postgres().url, f"trying_{uuid.uuid4().hex[:12]}"
    opened = Database(postgres.create_database(server, name))
    async with opened.transaction() as session:
        await session.execute(text("CREATE TABLE purses (id int PRIMARY KEY, coins int NOT NULL)"))
        await session.execute(text("INSERT INTO purses VALUES (1, 0), (2, 0)"))
    yield opened
    await opened.close()
    postgres.drop_database(server, name)


class Ways(In):
    first: int = Field(strict=True)
    second: int = Field(strict=True)


class Doors:
    """Doors that add to both purses; each notes how often it was entered, and what ran after its commit."""

    def __init__(self) -> None:
        self.entered = 0
        self.committed = 0
        self.meeting = asyncio.Barrier(2)
        self.between: Callable[[int], Awaitable[None]] | None = None
        self.router = APIRouter()
        self.router.post("/both", status_code=201)(self.both)
        self.router.post("/called-before", status_code=201)(self.called_before)
        self.router.post("/impatient", status_code=201)(self.impatient)
        self.router.post("/consistent", status_code=201)(self.consistent)

    async def both(self, body: Ways, session: Tx) -> dict[str, int]:
        self.entered += 1
        is_first_try = self.entered <= 2
        after_commit(session, self._note)
        await session.execute(IMPATIENT)
        await session.execute(ADD, {"id": body.first})
        if is_first_try:
            await self.meeting.wait()
        await session.execute(ADD, {"id": body.second})
        return {"first": body.first}

    async def called_before(self, body: Ways, parts: PartsOf) -> dict[str, int]:
        """A neighbour was called before, as when an endpoint is revoked."""
        async with parts.db.transaction() as session:
            return await self.both(body, session)

    async def impatient(self, session: Tx) -> None:
        self.entered += 1
        await session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        if self.between:
            await self.between(self.entered)
        await session.execute(ADD, {"id": 1})

    async def consistent(self, session: Tx) -> None:
        self.entered += 1
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await session.execute(text("SELECT coins FROM purses"))
        if self.between:
            await self.between(self.entered)
        await session.execute(ADD, {"id": 1})

    def _note(self) -> None:
        self.committed += 1


@asynccontextmanager
async def a_client(db: Database, keys: KeyRing, doors: Doors) -> AsyncIterator[httpx.AsyncClient]:
    parts = parts_for_test("intake", "sqlite+aiosqlite:///unused.db", keys)
    parts.db = db
    app = create_app(parts, title="test", routers=[doors.router])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client:
        yield client
    await asyncio.to_thread(parts.telemetry.close)


async def coins(db: Database) -> list[int]:
    async with db.reading() as session:
        return list((await session.execute(text("SELECT coins FROM purses ORDER BY id"))).scalars())


async def crossing(client: httpx.AsyncClient, path: str) -> list[httpx.Response]:
    """Two requests, each of which holds what the other one waits for."""
    async with asyncio.timeout(30):
        return list(
            await asyncio.gather(
                client.post(path, json={"first": 1, "second": 2}),
                client.post(path, json={"first": 2, "second": 1}),
            )
        )


async def test_two_requests_that_wait_for_each_other_are_both_done_once(db: Database, keys: KeyRing) -> None:
    doors = Doors()
    async with a_client(db, keys, doors) as client:
        answers = await crossing(client, "/both")
    assert [one.status_code for one in answers] == [201, 201]
    assert [one.json() for one in answers] == [{"first": 1}, {"first": 2}], "the same body, tried again"
    assert doors.entered == 3
    assert doors.committed == 2
    assert await coins(db) == [2, 2]


async def test_planted_without_another_try_one_of_them_is_refused(
    db: Database, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "TRIES", 1)
    doors = Doors()
    async with a_client(db, keys, doors) as client:
        answers = await crossing(client, "/both")
    assert sorted(one.status_code for one in answers) == [201, 503]
    assert await coins(db) == [1, 1]


async def test_what_may_have_had_an_effect_outside_is_not_begun_anew(db: Database, keys: KeyRing) -> None:
    doors = Doors()
    async with a_client(db, keys, doors) as client:
        answers = await crossing(client, "/called-before")
    assert doors.entered == 2
    [refused] = [one for one in answers if one.status_code != 201]
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["type"].endswith("/part-away")
    assert await coins(db) == [1, 1]


async def test_a_lock_that_is_never_free_is_a_503_after_a_bounded_number_of_tries(
    db: Database, keys: KeyRing
) -> None:
    doors = Doors()
    async with a_client(db, keys, doors) as client, db.transaction() as holding:
        await holding.execute(ADD, {"id": 1})
        refused = await client.post("/impatient")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert doors.entered == trying.TRIES
    assert await coins(db) == [1, 0]


async def test_no_try_begins_when_its_caller_has_waited_long_enough(
    db: Database, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "LONGEST_SECONDS", 0.0)
    doors = Doors()
    async with a_client(db, keys, doors) as client, db.transaction() as holding:
        await holding.execute(ADD, {"id": 1})
        assert (await client.post("/impatient")).status_code == 503
    assert doors.entered == 1


async def test_what_was_changed_meanwhile_is_read_anew(db: Database, keys: KeyRing) -> None:
    doors = Doors()

    async def somebody_else(entered: int) -> None:
        if entered == 1:
            async with db.transaction() as other:
                await other.execute(ADD, {"id": 1})

    doors.between = somebody_else
    async with a_client(db, keys, doors) as client:
        assert (await client.post("/consistent")).status_code == 201
    assert doors.entered == 2
    assert await coins(db) == [2, 0]


# --- what is away, and what was beaten --------------------------------------------------------------------


async def failure_of(work: Callable[[], Awaitable[object]]) -> BaseException:
    try:
        async with asyncio.timeout(30):
            await work()
    except BaseException as error:  # noqa: BLE001 - it is what the test is about
        return error
    raise AssertionError("it did not fail")


def in_transaction(db: Database, *statements: str) -> Callable[[], Awaitable[object]]:
    async def work() -> None:
        async with db.transaction() as session:
            for statement in statements:
                await session.execute(text(statement))

    return work


async def _locked(db: Database) -> BaseException:
    async with db.transaction() as holding:
        await holding.execute(ADD, {"id": 1})
        return await failure_of(
            in_transaction(db, "SET LOCAL lock_timeout = '50ms'", "UPDATE purses SET coins = 9 WHERE id = 1")
        )


async def _too_slow(db: Database) -> BaseException:
    return await failure_of(in_transaction(db, "SET LOCAL statement_timeout = '50ms'", "SELECT pg_sleep(5)"))


async def _deadlocked(db: Database) -> BaseException:
    meeting = asyncio.Barrier(2)

    async def cross(first: int, second: int) -> None:
        async with db.transaction() as session:
            await session.execute(IMPATIENT)
            await session.execute(ADD, {"id": first})
            await meeting.wait()
            await session.execute(ADD, {"id": second})

    found = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)
    [beaten] = [one for one in found if one is not None]
    return beaten


async def _overtaken(db: Database) -> BaseException:
    async def work() -> None:
        async with db.transaction() as session:
            await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            await session.execute(text("SELECT coins FROM purses"))
            await in_transaction(db, "UPDATE purses SET coins = 5")()
            await session.execute(ADD, {"id": 1})

    return await failure_of(work)


async def _read_only(db: Database) -> BaseException:
    return await failure_of(in_transaction(db, "SET TRANSACTION READ ONLY", "UPDATE purses SET coins = 1"))


async def _terminated(session: Session) -> None:
    await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def _gone(db: Database) -> BaseException:
    async def work() -> None:
        async with db.transaction() as session:
            await _terminated(session)

    return await failure_of(work)


async def _gone_at_the_next_statement(db: Database) -> BaseException:
    async def work() -> None:
        async with db.transaction() as session:
            pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await in_transaction(db, f"SELECT pg_terminate_backend({pid})")()
            await session.execute(ADD, {"id": 1})

    return await failure_of(work)


async def _nobody_there(_db: Database) -> BaseException:
    [port] = free_ports(1)
    nowhere = Database(f"postgresql+asyncpg://dabyl:x@127.0.0.1:{port}/none")
    failure = await failure_of(in_transaction(nowhere, "SELECT 1"))
    await nowhere.close()
    return failure


async def _no_place(db: Database) -> BaseException:
    small = Database(db.engine.url.render_as_string(hide_password=False), pool_size=1)
    small.engine.sync_engine.pool._timeout = 0.1  # type: ignore[attr-defined]  # half a minute otherwise
    async with small.transaction() as holding:
        await holding.execute(text("SELECT 1"))
        failure = await failure_of(in_transaction(small, "SELECT 1"))
    await small.close()
    return failure


async def _twice(db: Database) -> BaseException:
    return await failure_of(in_transaction(db, "INSERT INTO purses VALUES (1, 0)"))


async def _misspelt(db: Database) -> BaseException:
    return await failure_of(in_transaction(db, "SELECT )"))


async def _impossible(db: Database) -> BaseException:
    return await failure_of(in_transaction(db, "SELECT 1 / 0"))


@pytest.mark.parametrize(
    ("fail", "state", "away", "beaten"),
    [
        (_locked, "55P03", True, True),
        (_too_slow, "57014", True, False),
        (_deadlocked, "40P01", True, True),
        (_overtaken, "40001", True, True),
        (_read_only, "25006", True, False),
        (_gone, None, True, False),
        (_gone_at_the_next_statement, None, True, False),
        (_nobody_there, None, True, False),
        (_no_place, None, True, False),
        (_twice, "23505", False, False),
        (_misspelt, "42601", False, False),
        (_impossible, "22012", False, False),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
async def test_each_failure_is_what_it_is(
    db: Database,
    fail: Callable[[Database], Awaitable[BaseException]],
    state: str | None,
    away: bool,
    beaten: bool,
) -> None:
    """What passes is a 503; of that, what was beaten is rolled back for certain and goes again."""
    failure = await fail(db)
    if state is not None:
        assert isinstance(failure, DBAPIError)
        assert getattr(failure.orig, "sqlstate", None) == state
    assert (is_away(failure), is_beaten(failure)) == (away, beaten), repr(failure)
    # It is over: the next transaction of the pool finds a live connection.
    assert await coins(db)


@pytest.mark.parametrize("failure", [ValueError("x"), KeyError("x"), RuntimeError("x")])
def test_a_fault_of_our_own_is_not_taken_for_an_absence(failure: Exception) -> None:
    assert not is_away(failure)
    assert not is_beaten(failure)


def test_a_bare_error_of_the_driver_is_no_absence_of_the_database() -> None:
    assert not is_beaten(asyncpg.DeadlockDetectedError("x")), "it never comes to us without its wrapping"
    assert is_away(PoolTimeout())
    assert is_away(ConnectionResetError())
