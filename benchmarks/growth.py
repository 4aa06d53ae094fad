"""What a claim and a fan-out cost when the tables have grown: 1,000,000 finished and 100,000 open deliveries.

A real house sends a burst; its notifier's database is then filled with copies of what that burst left, as years
would fill it, and the same burst is sent again. Beside it the claim alone is timed, round by round in turn with
a second database that is empty.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg

import notifier
from benchmarks.running import at, measure_burst
from common.db import Database
from common.migrating import upgrade
from notifier.domain.delivery import Outcome, State
from notifier.domain.schedule import Urgency
from notifier.repository import claims, held
from notifier.repository.claims import Claimed, Result
from tests.parts import postgres

if TYPE_CHECKING:
    from benchmarks.run import Run

FINISHED, OPEN = 1_000_000, 100_000
ROUNDS = 40
BATCH = 100
MIGRATIONS = Path(notifier.__file__).parent / "migrations"


async def measure(run: "Run", *, scale: float = 1.0) -> dict[str, Any]:
    """Fan-out through a whole house, then the claim alone, each with empty and with full tables."""
    house = run.spread("growth")
    alerts = run.alerts // 2
    await measure_burst(house, run.sink, run.servers, 30)
    before = await measure_burst(house, run.sink, run.servers, alerts)
    began = time.monotonic()
    plain = await asyncpg.connect(house.database)
    finished, opened = int(FINISHED * scale) // 8 * 8, int(OPEN * scale) // 8 * 8
    try:
        await fill(plain, finished=finished, opened=opened)
    finally:
        await plain.close()
    print(f"filled in {time.monotonic() - began:.0f} s,", end=" ", flush=True)
    read = await _read_whole(house.database)
    after = await measure_burst(house, run.sink, run.servers, alerts)
    run.leave(house)
    read = {table: number - read[table] for table, number in (await _read_whole(house.database)).items()}
    empty_url = postgres.create_database(run.postgres.url_for(), "growth_empty")
    full_url = house.database.replace("postgresql://", "postgresql+asyncpg://")
    claim = await compare(empty_url, full_url)
    return {
        "finished": finished, "open": opened, **claim,
        "burst": {"empty": before.plain(), "full": after.plain(), "rows_read_whole": read},
    }  # fmt: skip


async def _read_whole(url: str) -> dict[str, int]:
    """Rows that were read by reading the grown tables from end to end, by table, since the database began."""
    plain = await asyncpg.connect(url)
    try:
        rows = await plain.fetch(
            "SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE relname = ANY($1)", list(_COPIES)
        )
    finally:
        await plain.close()
    return {str(row[0]): int(row[1]) for row in rows}


# Filling

_IDS = (
    "CREATE TEMP TABLE copies AS SELECT n, gen_random_uuid() AS alert,"
    " now() - interval '1 day' - n * interval '4 minutes' AS at, n > $1::int AS open, n % 2 = 0 AS even"
    " FROM generate_series(1, $2::int) n",
    "CREATE TEMP TABLE told AS SELECT c.*, t.id AS old, gen_random_uuid() AS new"
    " FROM copies c CROSS JOIN (SELECT id FROM deliveries WHERE alert_id = $1 LIMIT 8) t",
)

_OPEN_UNTIL = "now() + interval '1 day'"
_COPIES: dict[str, tuple[str, dict[str, str]]] = {
    "alerts": (
        "alerts t JOIN copies c ON t.id = $1",
        {"id": "c.alert", "received_at": "c.at", "planned_at": "c.at"},
    ),
    "deliveries": (
        "deliveries t JOIN told c ON t.id = c.old AND $1::uuid IS NOT NULL",
        {
            "id": "c.new", "alert_id": "c.alert", "planned_at": "c.at",
            # Finished ones were answered; of the open ones half wait for a body that is away, half for an answer.
            "state": "CASE WHEN NOT c.open THEN 'acknowledged' WHEN c.even THEN 'waiting' ELSE 'transmitted' END",
            "reason": "CASE WHEN c.open AND c.even THEN 'retry' END",
            "next_wakeup_at": f"CASE WHEN c.open THEN {_OPEN_UNTIL} END",
            "climb_at": f"CASE WHEN c.open THEN {_OPEN_UNTIL} END",
            "transmitted_at": "CASE WHEN NOT (c.open AND c.even) THEN c.at END",
            "acknowledged_at": "CASE WHEN NOT c.open THEN c.at END",
            "claim_token": "NULL", "escalation_level": "0", "silent_since": "NULL",
        },
    ),
    "attempts": (
        "attempts t JOIN told c ON t.delivery_id = c.old AND t.no = 1 AND $1::uuid IS NOT NULL",
        {"delivery_id": "c.new", "started_at": "c.at", "ended_at": "c.at", "outcome": "'accepted'", "status": "200"},
    ),
    "notices": (
        "notices t JOIN told c ON t.delivery_id = c.old AND $1::uuid IS NOT NULL",
        {"delivery_id": "c.new", "body": "'x'::bytea", "rendered_at": "c.at"},
    ),
    "obligations": (
        "obligations t JOIN copies c ON t.alert_id = $1 AND c.open",
        {
            "id": "gen_random_uuid()", "alert_id": "c.alert",
            "delivery_id": "(SELECT d.new FROM told d WHERE d.alert = c.alert AND d.old = t.delivery_id)",
            "next_check_at": f"CASE WHEN t.next_check_at IS NOT NULL THEN {_OPEN_UNTIL} END",
        },
    ),
}  # fmt: skip
"""Per table: where copies come from, and what differs in a copy. Bodies of notices are short: they are never
read again, and a gigabyte more says nothing about claims."""


async def fill(plain: asyncpg.Connection, *, finished: int, opened: int) -> None:
    """Copy one alert that was sent, so often that there are so many deliveries; indexes are built anew."""
    template = await plain.fetchval(
        "SELECT alert_id FROM deliveries WHERE state = 'transmitted' AND alert_id IS NOT NULL"
        " GROUP BY alert_id HAVING count(*) >= 8 LIMIT 1"
    )
    indexes = await plain.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY($1)"
        " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname)", list(_COPIES),
    )  # fmt: skip
    async with plain.transaction():
        # Copies of rows that hold: their keys need no second look.
        await plain.execute("SET LOCAL session_replication_role = replica")
        await plain.execute("SET LOCAL maintenance_work_mem = '256MB'")
        await plain.execute(_IDS[0], finished // 8, (finished + opened) // 8)
        await plain.execute(_IDS[1], template)
        await plain.execute("CREATE INDEX ON told (alert); ANALYZE told; ANALYZE copies")
        for one in indexes:
            await plain.execute(f'DROP INDEX "{one["indexname"]}"')
        for table, (source, differs) in _COPIES.items():
            await plain.execute(await _copying(plain, table, source, differs), template)
        for one in indexes:
            await plain.execute(one["indexdef"])
    for table in _COPIES:
        await plain.execute(f"VACUUM ANALYZE {table}")


async def _copying(plain: asyncpg.Connection, table: str, source: str, differs: Mapping[str, str]) -> str:
    columns = [
        row[0]
        for row in await plain.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1",
            table,
        )
    ]
    values = [differs.get(name, f't."{name}"') for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {source}"


# The claim alone


class _Side:
    """One database with 100 deliveries that are due to one endpoint."""

    def __init__(self, url: str) -> None:
        self.db = Database(url)
        self.url = url.replace("+asyncpg", "")
        self.endpoint = uuid4()
        self.times: dict[str, list[float]] = {"look": [], "claim": [], "results": []}

    async def prepare(self) -> None:
        await upgrade(self.db, MIGRATIONS)
        self.plain = await asyncpg.connect(self.url)
        agency = uuid4()
        await self.plain.execute(
            "INSERT INTO endpoints (id, agency_id, version) VALUES ($1, $2, 1)", self.endpoint, agency
        )
        await self.plain.execute(
            "INSERT INTO endpoint_versions (agency_id, endpoint_id, version, kind, url, concurrency)"
            " VALUES ($1, $2, 1, 'webhook', 'https://x.example', 8)", agency, self.endpoint,
        )  # fmt: skip
        await self.plain.execute(
            "INSERT INTO deliveries (id, agency_id, role, bodies, notice_no, rung, generation, state, reason,"
            " urgency, planned_at, next_wakeup_at, attempt_no, endpoint_id, endpoint_version, escalation_level,"
            " is_test) SELECT gen_random_uuid(), $1, 'internal_affairs', '[]', n, 0, 1, 'waiting', 'new', 0,"
            " now(), now(), 0, $2, 1, 0, true FROM generate_series(1, $3::int) n", agency, self.endpoint, BATCH,
        )  # fmt: skip
        await self.plain.execute(
            "INSERT INTO notices (delivery_id, body, digest, rendered_at)"
            " SELECT id, convert_to(repeat('x', 1500), 'UTF8'), '', now() FROM deliveries WHERE endpoint_id = $1",
            self.endpoint,
        )
        await self.plain.execute("ANALYZE deliveries")

    async def round(self) -> None:
        """Look for what is due, claim it, write results: as a worker does, each with its commit."""
        now = datetime.now(UTC)
        began = time.perf_counter()
        async with self.db.reading() as session:
            due = await held.find_sendable(session, Urgency.IMMEDIATE, now=now, without=(), limit=BATCH)
        looked = time.perf_counter()
        leases = dict.fromkeys(Urgency, now + timedelta(seconds=30))
        async with self.db.transaction() as session:
            claimed = await claims.claim(session, [row[0] for row in due], uuid4(), now=now, leases=leases)
        ended = time.perf_counter()
        if len(claimed) != BATCH:
            raise RuntimeError(f"{len(claimed)} of {BATCH} were claimed")
        async with self.db.transaction() as session:
            await claims.write_results(session, [_result(one, now) for one in claimed])
        for name, seconds in zip(
            self.times, (looked - began, ended - looked, time.perf_counter() - ended), strict=True
        ):
            self.times[name].append(seconds * 1000)
        ids = [one.delivery_id for one in claimed]
        await self.plain.execute("DELETE FROM attempts WHERE delivery_id = ANY($1)", ids)
        await self.plain.execute(
            "UPDATE deliveries SET state = 'waiting', reason = 'new', claim_token = NULL, next_wakeup_at = now(),"
            " attempt_no = 0 WHERE id = ANY($1)", ids,
        )  # fmt: skip

    async def reads(self) -> dict[str, int]:
        """How often deliveries were read from end to end, and through the index of what waits."""
        row = await self.plain.fetchrow(
            "SELECT t.seq_scan, i.idx_scan FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid)"
            " WHERE t.relname = 'deliveries' AND i.indexrelname = 'ix_deliveries_sendable'"
        )
        return {"whole": int(row[0]), "by_index": int(row[1])}

    async def close(self) -> None:
        await self.plain.close()
        await self.db.close()


def _result(one: Claimed, now: datetime) -> Result:
    until = now + timedelta(minutes=2)
    return Result(
        one.delivery_id, one.token, one.attempt, now, Outcome.ACCEPTED, 200, State.TRANSMITTED, None, until
    )


async def compare(empty_url: str, full_url: str, *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Rounds in turn on both databases: p50 and p99 in ms of look and claim, and of writing results."""
    sides = {"empty": _Side(empty_url), "full": _Side(full_url)}
    try:
        for side in sides.values():
            await side.prepare()
        before = await sides["full"].reads()
        for _ in range(rounds + 5):
            for side in sides.values():
                await side.round()
        for side in sides.values():
            await side.db.close()  # a backend that ends hands its statistics in
        reads = await sides["full"].reads()
        while reads["by_index"] < before["by_index"] + rounds:
            await asyncio.sleep(0.1)
            reads = await sides["full"].reads()
    finally:
        for side in sides.values():
            await side.close()
    found: dict[str, Any] = {name: _figures(side.times) for name, side in sides.items()}
    found["ratio"] = found["full"]["claim_p50"] / found["empty"]["claim_p50"]
    found["ratio_p99"] = found["full"]["claim_p99"] / found["empty"]["claim_p99"]
    found["scans"] = {name: reads[name] - before[name] for name in reads}
    return found


def _figures(times: Mapping[str, list[float]]) -> dict[str, float]:
    both = [look + claim for look, claim in zip(times["look"], times["claim"], strict=True)][5:]
    return {
        "claim_p50": statistics.median(both), "claim_p99": at(both, 99),
        "results_p50": statistics.median(times["results"][5:]), "results_p99": at(times["results"][5:], 99),
    }  # fmt: skip
