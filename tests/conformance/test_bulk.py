"""Many rows in one statement: what is read back is what was handed in, on both dialects."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    Column,
    Executable,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
    event,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlmodel.sql.sqltypes import UTCDateTime

from common.bulk import Rows, insert_later, insert_new, insert_rows
from common.db import Database, Json

T0 = datetime(2026, 11, 28, 6, 0, 0, 123456, tzinfo=UTC)
METADATA = MetaData()
THINGS = Table(
    "bulk_things",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("at", UTCDateTime),
    Column("text", String(40)),
    Column("number", Integer),
    Column("sealed", LargeBinary),
    Column("document", Json),
)
MARKS = Table(
    "bulk_marks",
    METADATA,
    Column("thing", ForeignKey(THINGS.c.id), primary_key=True),
    Column("no", Integer, primary_key=True),
)
CHANGES = Rows("changes", THINGS.c.id, THINGS.c.at, THINGS.c.text, THINGS.c.number)


def a_thing(place: int, **changes: Any) -> dict[str, Any]:
    documents: list[Any] = [["one"], [], ["two", "three"], {"ә": ["x", None]}, "text", [[1, 2], [3]]]
    thing = {
        "id": uuid4(),
        "at": T0 + timedelta(seconds=place) if place % 2 else None,
        "text": None if place % 3 == 0 else f"сөз {place} '\"{{}}\\",
        "number": place or None,
        "sealed": bytes([place, 0, 255]),
        "document": documents[place % len(documents)],
    }
    return thing | changes


@pytest.fixture
async def things(reader: Database) -> Database:
    async with reader.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    return reader


async def stored(db: Database) -> dict[UUID, dict[str, Any]]:
    async with db.reading() as session:
        return {row.id: dict(row._mapping) for row in (await session.execute(select(THINGS))).all()}


@pytest.mark.parametrize("count", [1, 2, 12])
async def test_what_was_inserted_is_what_is_read(things: Database, count: int) -> None:
    rows = [a_thing(place) for place in range(count)]
    async with things.transaction() as session:
        await insert_rows(session, THINGS, rows)
    assert await stored(things) == {row["id"]: row for row in rows}


async def test_rows_that_are_there_stay_as_they_are(things: Database) -> None:
    first, second, third = (a_thing(place) for place in range(3))
    async with things.transaction() as session:
        assert {row.id for row in await insert_new(session, THINGS, [first, second], ["id"])} == {
            first["id"],
            second["id"],
        }
    other = a_thing(5, id=first["id"])
    async with things.transaction() as session:
        new = await insert_new(session, THINGS, [other, third, a_thing(4, id=third["id"])], ["id"])
    assert [row.id for row in new] == [third["id"]]
    assert await stored(things) == {row["id"]: row for row in (first, second, third)}


@cache
def _change(dialect: str) -> Executable:
    changes = CHANGES.table(dialect)
    return (
        update(THINGS)
        .where(THINGS.c.id == changes.c.id)
        .values(at=changes.c.at, text=changes.c.text, number=changes.c.number)
        .returning(THINGS.c.id)
    )


@pytest.mark.parametrize("count", [1, 3])
async def test_many_rows_change_in_one_statement(things: Database, count: int) -> None:
    rows = [a_thing(place) for place in range(4)]
    async with things.transaction() as session:
        await insert_rows(session, THINGS, rows)
    changed = [(row["id"], T0 + timedelta(days=1), None, 7) for row in rows[:count]]
    async with things.transaction() as session:
        done = await CHANGES.execute(session, _change, [*changed, (uuid4(), None, "nobody", 1)])
        assert {row.id for row in done.all()} == {row[0] for row in changed}
    found = await stored(things)
    for row in rows[:count]:
        row |= {"at": T0 + timedelta(days=1), "text": None, "number": 7}
    assert found == {row["id"]: row for row in rows}


# --- later, and all at once


def a_mark(thing: dict[str, Any], no: int = 1) -> dict[str, Any]:
    return {"thing": thing["id"], "no": no}


async def marks(db: Database) -> set[tuple[UUID, int]]:
    async with db.reading() as session:
        return {(row.thing, row.no) for row in (await session.execute(select(MARKS))).all()}


@pytest.mark.parametrize("count", [1, 12])
async def test_what_is_inserted_later_is_there_with_the_commit(things: Database, count: int) -> None:
    rows = [a_thing(place) for place in range(count)]
    async with things.transaction() as session:
        for row in rows:
            insert_later(session, THINGS, [row])
            insert_later(session, MARKS, [a_mark(row)])
    assert await stored(things) == {row["id"]: row for row in rows}
    assert await marks(things) == {(row["id"], 1) for row in rows}


async def test_on_postgresql_it_is_one_statement_however_many_tables(things: Database) -> None:
    inserts: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        inserts.append(statement)

    rows = [a_thing(place) for place in range(5)]
    async with things.transaction() as session:
        insert_later(session, THINGS, rows[:2])
        insert_later(session, MARKS, [a_mark(row) for row in rows])
        insert_later(session, THINGS, rows[2:])
        event.listen(things.engine.sync_engine, "before_cursor_execute", note)
    assert len([each for each in inserts if "INSERT" in each]) == (2 if things.is_sqlite else 1)
    assert len(await stored(things)) == len(await marks(things)) == 5


@pytest.mark.parametrize("ask", ["execute", "scalar", "scalars", "connection"])
async def test_nothing_reads_past_what_is_inserted_later(things: Database, ask: str) -> None:
    row, wanted = a_thing(1), select(THINGS.c.id)
    async with things.transaction() as session:
        insert_later(session, THINGS, [row])
        insert_later(session, MARKS, [a_mark(row)])
        match ask:
            case "execute":
                found = (await session.execute(wanted)).scalar_one_or_none()
            case "scalar":
                found = await session.scalar(wanted)
            case "scalars":
                found = (await session.scalars(wanted)).one_or_none()
            case _:
                found = (await (await session.connection()).execute(wanted)).scalar_one_or_none()
        assert found == row["id"]
        await insert_rows(session, MARKS, [a_mark(row, 2)])  # it refers to what was to come later
        insert_later(session, MARKS, [a_mark(row, 3)])
    assert await marks(things) == {(row["id"], no) for no in (1, 2, 3)}


async def test_what_was_there_stays_when_only_new_rows_are_asked_for(things: Database) -> None:
    first, second = a_thing(1), a_thing(2)
    async with things.transaction() as session:
        insert_later(session, THINGS, [first])
        insert_later(session, MARKS, [a_mark(first)])
    async with things.transaction() as session:
        insert_later(session, THINGS, [first | {"text": "another"}, second], new_by=["id"])
        insert_later(session, MARKS, [a_mark(first), a_mark(second)], new_by=["thing", "no"])
    assert await stored(things) == {row["id"]: row for row in (first, second)}
    assert await marks(things) == {(first["id"], 1), (second["id"], 1)}


async def test_a_row_that_may_not_be_there_takes_everything_back(things: Database) -> None:
    row = a_thing(1)
    with pytest.raises(IntegrityError):
        async with things.transaction() as session:
            await insert_rows(session, THINGS, [row])
            insert_later(session, MARKS, [a_mark(a_thing(2))])
    assert await stored(things) == {}
    with pytest.raises(KeyError):
        async with things.transaction() as session:
            insert_later(session, THINGS, [row])
            raise KeyError
    async with things.transaction() as session:
        insert_later(session, THINGS, [a_thing(3)])
    assert len(await stored(things)) == 1
