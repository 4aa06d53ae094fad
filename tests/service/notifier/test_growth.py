"""Old rows must not slow a claim: how PostgreSQL reads a grown table; and two processes claim at once."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, text

from common.db import Database
from common.timing import utc_now
from notifier.domain.delivery import Outcome, State
from notifier.domain.schedule import Urgency
from notifier.repository import claims, held, inbox
from notifier.repository.claims import Claimed, Result
from tests.conftest import DatabaseUrls
from tests.service.notifier.claiming import LEASE

FINISHED, OPEN, DUE = 30_000, 3_000, 60
GROWN = {"deliveries", "attempts", "notices"}
"""Tables that grow with every alert. The directory's are small and may be read whole."""
ROOT = Path(__file__).parents[3]

_ENDPOINT = "INSERT INTO endpoints (id, agency_id, version) VALUES ('{endpoint}', '{agency}', 1)"
_VERSION = """
INSERT INTO endpoint_versions (agency_id, endpoint_id, version, kind, url, concurrency)
VALUES ('{agency}', '{endpoint}', 1, 'webhook', 'https://x.example', 8)
"""
_DELIVERIES = """
INSERT INTO deliveries (id, agency_id, role, bodies, notice_no, rung, generation, urgency, planned_at,
  endpoint_id, endpoint_version, escalation_level, is_test, state, reason, next_wakeup_at, attempt_no,
  transmitted_at)
SELECT gen_random_uuid(), '{agency}', 'internal_affairs', '[]', 1, 0, 1, n % 3, now(),
  '{endpoint}', 1, 0, true, {values} FROM generate_series(1, {number}) n
"""
OLD = "'acknowledged', NULL, NULL, 1, now()"
LATER = "'waiting', 'retry', now() + interval '1 day', 1, NULL"
NOW = "'waiting', 'new', now(), 0, NULL"


@pytest.fixture
async def grown(db_kind: str, db_url: DatabaseUrls) -> AsyncIterator[Database]:
    """A ledger of years, with a little that is due now."""
    if db_kind != "postgres":
        pytest.skip(
            "SQLite has one writer and no planner to be misled; PostgreSQL runs beside it in `make test`"
        )
    db = Database(db_url("notifier"))
    agency, endpoint = uuid4(), uuid4()
    known = {"agency": agency, "endpoint": endpoint}
    async with db.engine.begin() as connection:
        for statement in (
            _ENDPOINT.format(**known),
            _VERSION.format(**known),
            _DELIVERIES.format(**known, values=OLD, number=FINISHED),
            _DELIVERIES.format(**known, values=LATER, number=OPEN),
            _DELIVERIES.format(**known, values=NOW, number=DUE),
            "INSERT INTO notices (delivery_id, body, digest, rendered_at)"
            " SELECT id, 'x', '', now() FROM deliveries",
            "INSERT INTO attempts (delivery_id, no, claim_token, started_at, ended_at, outcome)"
            " SELECT id, 1, gen_random_uuid(), now(), now(), 'accepted' FROM deliveries WHERE attempt_no = 1",
            *(f"ANALYZE {table}" for table in sorted(GROWN)),
        ):
            await connection.execute(text(statement))
    yield db
    await db.close()


@contextmanager
def listening_to(db: Database) -> Iterator[list[tuple[str, Any]]]:
    """Every statement as the driver gets it, with its values."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        seen.append((statement, values))

    event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine.sync_engine, "before_cursor_execute", note)


async def plans(db: Database, seen: list[tuple[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """How PostgreSQL carries the statements out: each with the nodes of its plan."""
    found = []
    async with db.engine.connect() as connection:
        for statement, values in seen:
            if statement.split(None, 1)[0] not in ("SELECT", "UPDATE", "WITH"):
                continue
            explained = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values)
            [document] = explained.scalars().all()
            whole = json.loads(document) if isinstance(document, str) else document
            found.append((statement, list(_nodes(whole[0]["Plan"]))))
        await connection.rollback()
    return found


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def accepted(one: Claimed) -> Result:
    now = utc_now()
    until = now + timedelta(minutes=2)
    return Result(
        one.delivery_id, one.token, one.attempt, now, Outcome.ACCEPTED, 200, State.TRANSMITTED, None, until
    )


async def test_claims_and_results_read_a_grown_table_by_its_partial_indexes(grown: Database) -> None:
    now = utc_now()
    with listening_to(grown) as seen:
        for urgency in Urgency:
            async with grown.reading() as session:
                due = await held.find_sendable(session, urgency, now=now, without=[uuid4()], limit=500)
            assert len(due) == DUE // 3
            async with grown.transaction() as session:
                leases = dict.fromkeys(Urgency, now + LEASE)
                claimed = await claims.claim(
                    session, [one for one, _ in due], uuid4(), now=now, leases=leases
                )
            assert len(claimed) == len(due)
            async with grown.transaction() as session:
                moved, _ = await claims.write_results(session, [accepted(one) for one in claimed])
            assert len(moved) == len(due)
    explained = await plans(grown, seen)
    looks = 0
    for statement, nodes in explained:
        whole = [node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWN]
        assert not whole, f"read from end to end: {statement}"
        if "ORDER BY deliveries.next_wakeup_at" in statement:
            looks += 1
            assert "ix_deliveries_sendable" in {node.get("Index Name") for node in nodes}, statement
    assert looks == len(Urgency)


async def test_a_look_into_an_inbox_does_not_read_what_was_answered(grown: Database) -> None:
    async with grown.engine.begin() as connection:
        await connection.execute(text("UPDATE deliveries SET handed_at = now() WHERE state = 'waiting'"))
        await connection.execute(text("ANALYZE deliveries"))
        agency = (await connection.execute(text("SELECT agency_id FROM deliveries LIMIT 1"))).scalar_one()
    place = utc_now() + timedelta(seconds=1)
    with listening_to(grown) as seen:
        async with grown.reading() as session:
            assert await inbox.list_inbox(session, agency, after=place, limit=1) == []
    [(statement, nodes)] = await plans(grown, seen)
    read = [node.get("Index Name") for node in nodes if node.get("Relation Name") == "deliveries"]
    read += [node["Index Name"] for node in nodes if node["Node Type"] == "Bitmap Index Scan"]
    assert {one for one in read if one} == {"ix_deliveries_readable"}, statement


# Two processes


async def _claimer(db: Database, *words: str) -> asyncio.subprocess.Process:
    url = db.engine.url.render_as_string(hide_password=False)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.service.notifier.claiming", url, *words,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def _line(process: asyncio.subprocess.Process) -> list[UUID]:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return [UUID(one) for one in json.loads(await process.stdout.readline())]


async def test_a_worker_that_sits_on_its_claim_holds_up_nobody_else(grown: Database) -> None:
    sitting = await _claimer(grown, "20", "sit")
    try:
        sat_on = await _line(sitting)
        assert len(sat_on) == 20
        began = time.monotonic()
        leases = dict.fromkeys(Urgency, utc_now() + LEASE)
        async with grown.reading() as session:
            due = [
                one
                for urgency in Urgency
                for one, _ in await held.find_sendable(session, urgency, now=utc_now(), without=(), limit=500)
            ]
        assert set(sat_on) <= set(due), "its transaction is still open: the rows look due to everybody else"
        async with asyncio.timeout(5), grown.transaction() as session:
            mine = await claims.claim(session, due, uuid4(), now=utc_now(), leases=leases)
        waited = time.monotonic() - began
        assert {one.delivery_id for one in mine} == set(due) - set(sat_on)
        assert waited < 2, f"the claim waited {waited:.1f} s for another worker's transaction"
    finally:
        await sitting.communicate(b"\n")
    assert sitting.returncode == 0


async def test_two_workers_that_claim_at_once_share_everything_and_nothing_twice(grown: Database) -> None:
    both = await asyncio.gather(_claimer(grown, "3"), _claimer(grown, "3"))
    for one in both:
        assert await _line(one) == [], "ready"
    for one in both:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        await one.stdin.drain()
    taken = await asyncio.gather(*(_line(one) for one in both))
    await asyncio.gather(*(one.wait() for one in both))
    assert len(taken[0]) + len(taken[1]) == DUE
    assert len({*taken[0], *taken[1]}) == DUE
