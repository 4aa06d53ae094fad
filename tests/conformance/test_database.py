"""The two doors to the database, on SQLite and PostgreSQL."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, Depends, Request
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Uuid, insert, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import NAMING, SILENT_SECONDS, Database, Session, after_commit, insert_ignore
from common.http import Reading, Tx, create_app
from common.keys import KeyRing
from common.migrating import SchemaNotOurs, upgrade
from common.testing import FrozenNow, parts_for_test
from common.timing import MEASURED_EVERY, ClockUnknown, StoreClock
from tests.conformance.ledger import COUNTERS, FACTS, facts
from tests.conftest import DatabaseUrls
from tests.parts.postgres import Postgres

LIBS = str(Path(__file__).parents[2] / "libs")


class StoppedError(Exception):
    """The work ended here."""


# --- the answer comes after the commit

PROMISES = MetaData(naming_convention=NAMING)
Table("owners", PROMISES, Column("id", Uuid, primary_key=True))
LATE = Table(
    "late",
    PROMISES,
    Column("id", Uuid, primary_key=True),
    # Looked at by COMMIT, not by INSERT: the one way to make a commit fail on both dialects.
    Column("owner", Uuid, ForeignKey("owners.id", deferrable=True, initially="DEFERRED")),
)


@asynccontextmanager
async def a_client(db: Database, keys: KeyRing, router: APIRouter) -> AsyncIterator[httpx.AsyncClient]:
    parts = parts_for_test("intake", "sqlite+aiosqlite:///unused.db", keys)
    parts.db = db
    app = create_app(parts, title="test", routers=[router])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await asyncio.to_thread(parts.telemetry.close)


async def check_nobody_sees_201_when_the_commit_fails(db: Database, keys: KeyRing, session_of: Any) -> None:
    router = APIRouter()

    async def promise(session: Session) -> dict[str, str]:
        await session.execute(insert(LATE).values(id=uuid4(), owner=uuid4()))
        return {"status": "stored"}

    promise.__annotations__["session"] = session_of
    router.post("/promises", status_code=201)(promise)
    async with db.engine.begin() as connection:
        await connection.run_sync(PROMISES.create_all)
    async with a_client(db, keys, router) as client:
        answer = await client.post("/promises")
    assert answer.status_code != 201
    async with db.reading() as session:
        assert (await session.execute(select(LATE))).all() == []


async def test_nobody_sees_201_when_the_commit_fails(publisher: Database, keys: KeyRing) -> None:
    await check_nobody_sees_201_when_the_commit_fails(publisher, keys, Tx)


async def test_planted_a_commit_after_the_answer_is_found(publisher: Database, keys: KeyRing) -> None:
    async def late(request: Request) -> AsyncIterator[Session]:
        async with request.app.state.parts.db.transaction() as session:
            yield session

    with pytest.raises(AssertionError):
        await check_nobody_sees_201_when_the_commit_fails(
            publisher,
            keys,
            Annotated[Session, Depends(late)],  # FastAPI's default scope
        )


# --- after the commit


async def test_hooks_run_after_the_commit_in_order(publisher: Database) -> None:
    seen: list[str] = []
    async with publisher.transaction() as session:
        after_commit(session, lambda: seen.append("first"))
        after_commit(session, lambda: seen.append("second"))
        await session.execute(insert(FACTS).values(id=uuid4()))
        assert seen == []
    assert seen == ["first", "second"]


async def test_hooks_do_not_run_on_rollback_nor_when_the_commit_fails(publisher: Database) -> None:
    seen: list[str] = []
    async with publisher.engine.begin() as connection:
        await connection.run_sync(PROMISES.create_all)
    with pytest.raises(StoppedError):
        async with publisher.transaction() as session:
            after_commit(session, lambda: seen.append("rolled back"))
            raise StoppedError
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        async with publisher.transaction() as session:
            after_commit(session, lambda: seen.append("commit failed"))
            await session.execute(insert(LATE).values(id=uuid4(), owner=uuid4()))
    async with publisher.transaction():
        pass
    assert seen == []


async def test_a_hook_that_fails_does_not_make_the_stored_look_refused(publisher: Database) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise StoppedError

    fact = uuid4()
    async with publisher.transaction() as session:
        await session.execute(insert(FACTS).values(id=fact))
        after_commit(session, fail)
        after_commit(session, lambda: seen.append("the next one"))
    assert seen == ["the next one"]
    assert await facts(publisher) == {fact}


# --- nobody's update is lost, nobody waits without need


async def check_no_update_is_lost(databases: list[Database]) -> None:
    async with databases[0].transaction() as session:
        await session.execute(insert(COUNTERS).values(id=1, value=0))

    async def count(db: Database) -> None:
        for _ in range(25):
            async with db.transaction() as session:
                seen = await session.scalar(select(COUNTERS.c.value).with_for_update())
                await asyncio.sleep(0)
                await session.execute(update(COUNTERS).values(value=(seen or 0) + 1))

    outcomes = await asyncio.gather(*(count(db) for db in databases), return_exceptions=True)
    assert outcomes == [None] * len(databases)
    async with databases[0].reading() as session:
        assert await session.scalar(select(COUNTERS.c.value)) == 25 * len(databases)


async def test_no_update_is_lost_between_tasks(publisher: Database) -> None:
    await check_no_update_is_lost([publisher] * 4)


async def test_no_update_is_lost_between_processes(publisher: Database) -> None:
    # Each with its own engine, so that only the database stands between them.
    url = publisher.engine.url.render_as_string(hide_password=False)
    others = [Database(url) for _ in range(3)]
    await check_no_update_is_lost([publisher, *others])
    await asyncio.gather(*(one.close() for one in others))


async def test_planted_starting_as_a_reader_is_found(db_url: DatabaseUrls) -> None:
    url = db_url()
    if not url.startswith("sqlite"):
        return  # PostgreSQL locks the row
    databases = [Database(url) for _ in range(4)]
    for db in databases:
        await db.engine.dispose()
        db.engine = create_async_engine(
            url, connect_args={"timeout": 5}
        )  # SQLite as it comes: BEGIN DEFERRED
    async with databases[0].engine.begin() as connection:
        await connection.run_sync(COUNTERS.metadata.create_all)
    with pytest.raises(AssertionError):
        await check_no_update_is_lost(databases)
    await asyncio.gather(*(one.close() for one in databases))


async def test_readers_and_a_writer_do_not_wait_for_each_other(publisher: Database) -> None:
    fact = uuid4()
    async with asyncio.timeout(5), publisher.transaction() as writing:
        await writing.execute(insert(FACTS).values(id=fact))
        assert await facts(publisher) == set()  # a look while the writer is at work
    async with asyncio.timeout(5), publisher.reading() as reading:
        assert len((await reading.execute(select(FACTS))).all()) == 1
        async with publisher.transaction() as writing:
            await writing.execute(insert(FACTS).values(id=uuid4()))
        assert len((await reading.execute(select(FACTS))).all()) == 1  # a consistent look
    assert len(await facts(publisher)) == 2


async def test_cancelled_work_is_rolled_back_and_leaves_the_door_open(publisher: Database) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with publisher.transaction() as session:
            await session.execute(insert(FACTS).values(id=uuid4()))
            inside.set()
            await asyncio.sleep(60)

    for _ in range(12):  # more often than there are connections
        inside.clear()
        task = asyncio.create_task(work())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(5):
        assert await facts(publisher) == set()
        async with publisher.transaction() as session:
            await session.execute(insert(FACTS).values(id=uuid4()))


async def test_work_cancelled_inside_a_statement_leaves_the_door_open(publisher: Database) -> None:
    async def work() -> None:
        async with publisher.transaction() as session:
            for _ in range(200):
                await session.execute(insert(FACTS).values(id=uuid4()))

    for moment in range(12):
        task = asyncio.create_task(work())
        await asyncio.sleep(0.002 * moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(10):
        assert await facts(publisher) == set()
        async with publisher.transaction() as session:
            await session.execute(insert(FACTS).values(id=uuid4()))
        await publisher.close()


# --- small promises


async def test_insert_ignore_says_how_many_were_new(publisher: Database) -> None:
    known, fresh = uuid4(), uuid4()
    async with publisher.transaction() as session:
        assert await insert_ignore(session, FACTS, [], ["id"]) == 0
        assert await insert_ignore(session, FACTS, [{"id": known}], ["id"]) == 1
        assert await insert_ignore(session, FACTS, [{"id": known}, {"id": fresh}], ["id"]) == 1
        assert await insert_ignore(session, FACTS, [{"id": uuid4()} for _ in range(500)], ["id"]) == 500


async def test_times_come_back_aware_and_in_utc_and_naive_ones_do_not_go_in(publisher: Database) -> None:
    times = Table("times", MetaData(), Column("id", Integer, primary_key=True), Column("at", UTCDateTime))
    async with publisher.engine.begin() as connection:
        await connection.run_sync(times.create)
    almaty = datetime(2026, 10, 23, 15, 0, tzinfo=timezone(timedelta(hours=5)))
    async with publisher.transaction() as session:
        await session.execute(insert(times).values(id=1, at=almaty))
    async with publisher.reading() as session:
        at = await session.scalar(select(times.c.at))
    assert at == almaty
    assert at.tzinfo is UTC or at.utcoffset() == timedelta(0)
    with pytest.raises(Exception, match=r"(?i)naive|aware|tz"):
        async with publisher.transaction() as session:
            await session.execute(insert(times).values(id=2, at=datetime(2026, 10, 23, 15, 0)))  # noqa: DTZ001  # the mistake under test


async def test_values_are_not_in_the_texts_of_database_errors(publisher: Database) -> None:
    canary = uuid4()
    with pytest.raises(Exception) as caught:  # noqa: PT011  # the text is what is looked at
        async with publisher.transaction() as session:
            await session.execute(text("INSERT INTO nowhere VALUES (:it)"), {"it": str(canary)})
    assert str(canary) not in str(caught.value)


# --- migrations

MIGRATION = """
import sqlalchemy as sa
from alembic import op
revision = "0001_pre_initial"
down_revision = None
def upgrade():
    op.create_table("things", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO things VALUES (1)")
"""
BROKEN = """
import sqlalchemy as sa
from alembic import op
revision = "0002_pre_broken"
down_revision = "0001_pre_initial"
def upgrade():
    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
    raise RuntimeError("half-way")
"""


DROPPING = """
from alembic import op
revision = "0002_post_drop"
down_revision = "0001_pre_initial"
def upgrade():
    op.drop_table("things")
"""


@pytest.fixture
def migrations(tmp_path: Any) -> Any:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(
        "from sqlalchemy import MetaData\nfrom common.migrating import run_env\nrun_env(MetaData())\n"
    )
    (folder / "versions" / "0001_pre_initial.py").write_text(MIGRATION)
    return folder


async def test_processes_that_migrate_side_by_side_do_it_once(db_url: DatabaseUrls, migrations: Any) -> None:
    url = db_url()
    code = (
        "import asyncio, sys; from pathlib import Path; from common.db import Database;"
        "from common.migrating import upgrade;"
        "asyncio.run(upgrade(Database(sys.argv[1]), Path(sys.argv[2])))"
    )
    runs = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            url,
            str(migrations),
            env={"PYTHONPATH": LIBS},
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    ends = await asyncio.gather(*(run.communicate() for run in runs))
    assert [run.returncode for run in runs] == [0, 0], ends
    db = Database(url)
    await upgrade(db, migrations)  # and once more, when there is nothing to do
    async with db.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM things"))).scalar() == 1
    await db.close()


async def test_a_migration_that_breaks_half_way_leaves_nothing(db_url: DatabaseUrls, migrations: Any) -> None:
    db = Database(db_url())
    await upgrade(db, migrations)
    (migrations / "versions" / "0002_pre_broken.py").write_text(BROKEN)
    with pytest.raises(RuntimeError, match="half-way"):
        await upgrade(db, migrations)
    (migrations / "versions" / "0002_pre_broken.py").unlink()
    await upgrade(db, migrations)
    with pytest.raises(Exception, match="half"):
        async with db.reading() as session:
            await session.execute(text("SELECT * FROM half"))
    await db.close()


async def stamp(db: Database, revision: str) -> None:
    async with db.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


async def test_the_version_before_bears_what_a_newer_one_added(db_url: DatabaseUrls, migrations: Any) -> None:
    db = Database(db_url())
    await upgrade(db, migrations)
    await stamp(db, "0007_pre_of_the_future")
    await upgrade(db, migrations)
    await upgrade(db, migrations, is_whole=True)
    async with db.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM things"))).scalar() == 1
        found = await session.execute(text("SELECT version_num FROM alembic_version"))
        assert found.scalar() == "0007_pre_of_the_future"  # the newer one goes on from there
    await db.close()


@pytest.mark.parametrize("revision", ["0007_post_of_the_future", "0001_pre_another", "0000_pre_older"])
async def test_a_schema_that_lacks_something_or_is_not_ours_is_refused(
    db_url: DatabaseUrls, migrations: Any, revision: str
) -> None:
    db = Database(db_url())
    await upgrade(db, migrations)
    await stamp(db, revision)
    with pytest.raises(SchemaNotOurs, match=revision):
        await upgrade(db, migrations)
    await db.close()


async def test_what_old_processes_do_not_bear_waits_until_it_is_asked_for(
    db_url: DatabaseUrls, migrations: Any
) -> None:
    db = Database(db_url())
    await upgrade(db, migrations)
    (migrations / "versions" / "0002_post_drop.py").write_text(DROPPING)
    await upgrade(db, migrations)
    async with db.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM things"))).scalar() == 1
    await upgrade(db, migrations, is_whole=True)
    with pytest.raises(Exception, match="things"):
        async with db.reading() as session:
            await session.execute(text("SELECT * FROM things"))
    await db.close()


# --- whose time it is


@pytest.mark.real
async def test_a_server_that_vanishes_without_a_word_is_noticed_by_the_kernel(
    publisher: Database, db_kind: str
) -> None:
    """Nothing else would end a statement that nobody will answer: neither driver nor loop has a limit."""
    if db_kind != "postgres":
        pytest.skip("a file has no connection that could fall silent")
    async with publisher.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        number = raw.driver_connection._transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(number)) as same:
            if same.family == socket.AF_UNIX:
                pytest.fail("this server is reached without TCP: the test says nothing")
            assert same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            asked = [same.getsockopt(socket.IPPROTO_TCP, one) for one in (
                socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT
            )]  # fmt: skip
        assert asked == [5, 5, 3, SILENT_SECONDS * 1000]


async def test_on_postgresql_it_is_the_servers_time(
    own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine an hour wrong decides nothing by its own clock; a server with another time is followed."""
    db = Database(own_postgres.url_for())
    with pytest.raises(ClockUnknown):
        db.now()
    await db.learn_time()
    wrong = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("common.timing.utc_now", lambda: wrong)
    assert abs(db.now() - datetime.now(UTC)) < timedelta(seconds=2)
    # The offset goes wrong behind our back: the next use of a connection finds it after ten seconds at most.
    clock = db.now
    assert isinstance(clock, StoreClock)
    clock._said = wrong
    clock._measured_at -= MEASURED_EVERY + 1
    async with db.reading():
        assert abs(db.now() - datetime.now(UTC)) < timedelta(seconds=2)
    await db.close()


# --- the server goes


@pytest.mark.kill
@pytest.mark.real
async def test_while_the_server_is_away_and_while_it_starts_the_answer_is_503(
    own_postgres: Postgres, keys: KeyRing, now: FrozenNow
) -> None:
    router = APIRouter()

    @router.get("/facts")
    async def list_facts(session: Reading) -> int:
        return len((await session.execute(select(FACTS))).all())

    @router.post("/facts", status_code=201)
    async def state_fact(session: Tx) -> str:
        fact = uuid4()
        await session.execute(insert(FACTS).values(id=fact))
        return str(fact)

    db = Database(own_postgres.url_for())
    async with db.engine.begin() as connection:
        await connection.run_sync(FACTS.metadata.create_all)
    stored = 0
    statuses: list[int] = []
    async with a_client(db, keys, router) as client:

        async def ask() -> None:
            nonlocal stored
            for call in (client.post("/facts"), client.get("/facts")):
                status = (await call).status_code
                statuses.append(status)
                stored += status == 201

        await asyncio.gather(*(ask() for _ in range(5)))  # several connections in the pool
        own_postgres.kill()
        await asyncio.gather(*(ask() for _ in range(5)))
        starting = asyncio.create_task(asyncio.to_thread(own_postgres.start))
        while not starting.done():
            await ask()
            await asyncio.sleep(0.01)
        await starting
        await ask()
        assert set(statuses) == {200, 201, 503}
        assert statuses[-2:] == [201, 200]
        ready = await client.get("/readyz")
        assert ready.status_code == 200
    assert len(await facts(db)) == stored
    await db.close()
