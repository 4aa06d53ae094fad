"""Many rows in one statement: what is read back is what was handed in, on both dialects."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, Executable, Integer, LargeBinary, MetaData, String, Table, Uuid, select, update
from sqlmodel.sql.sqltypes import UTCDateTime

from common.bulk import Rows, insert_new, insert_rows
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
