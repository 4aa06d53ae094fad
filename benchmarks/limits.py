"""Raw limits in the same run, and what a claim costs when the table has grown."""

import asyncio
import statistics
import time
from typing import Any
from uuid import uuid4

import aio_pika
import asyncpg

from common.db import Database
from notifier.domain.schedule import Urgency
from notifier.models import METADATA
from notifier.repository import claims
from tests.parts import postgres

FINISHED, OPEN = 1_000_000, 100_000


async def measure(postgres_url: str, rabbit_url: str) -> dict[str, float]:
    """Rows inserted a second, one a commit; messages confirmed a second, 200 outstanding."""
    url = postgres.create_database(postgres_url, "limits").replace("+asyncpg", "")
    pool = await asyncpg.create_pool(url, min_size=8, max_size=8)
    await pool.execute("CREATE TABLE one (id uuid PRIMARY KEY, body text)")

    async def some(count: int) -> None:
        async with pool.acquire() as connection:
            for _ in range(count):
                await connection.execute("INSERT INTO one VALUES ($1, $2)", uuid4(), "x" * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(some(500) for _ in range(8)))
    inserts = 4000 / (time.perf_counter() - began)
    await pool.close()
    connection = await aio_pika.connect(rabbit_url)
    channel = await connection.channel(publisher_confirms=True)
    queue = await channel.declare_queue("limit", durable=True, arguments={"x-queue-type": "quorum"})
    message = aio_pika.Message(b"x" * 200, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    began = time.perf_counter()
    for _ in range(10):
        await asyncio.gather(
            *(channel.default_exchange.publish(message, routing_key=queue.name) for _ in range(200))
        )
    confirmed = 2000 / (time.perf_counter() - began)
    await connection.close()
    return {"postgres_inserts": inserts, "rabbit_confirms": confirmed}


_FILL = """
INSERT INTO deliveries (id, alert_id, agency_id, role, bodies, notice_no, rung, generation, state, reason,
  urgency, planned_at, next_wakeup_at, attempt_no, escalation_level, is_test, transmitted_at, acknowledged_at)
SELECT gen_random_uuid(), NULL, gen_random_uuid(), 'police', '[]', 1, 0, 1, $2::text,
  CASE WHEN $2 = 'waiting' THEN 'pull' END, 2, now(), CASE WHEN $2 = 'waiting' THEN now() + interval '1 day' END,
  1, 0, true, CASE WHEN $2 = 'acknowledged' THEN now() END, CASE WHEN $2 = 'acknowledged' THEN now() END
FROM generate_series(1, $1::int)
"""


async def growth(postgres_url: str) -> dict[str, float]:
    """Looking for due rows and claiming 100 of them: with an empty table, and with a year's heap beside."""
    url = postgres.create_database(postgres_url, "growth")
    db = Database(url)
    async with db.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    plain = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        empty = await _claim_ms(db, plain)
        await plain.execute(_FILL, FINISHED, "acknowledged")
        await plain.execute(_FILL, OPEN, "waiting")
        await plain.execute("ANALYZE")
        full = await _claim_ms(db, plain)
    finally:
        await plain.close()
        await db.close()
    return {"finished": FINISHED, "open": OPEN, "empty_ms": empty, "full_ms": full, "ratio": full / empty}


async def _claim_ms(db: Database, plain: Any) -> float:
    """Median of look and claim, in ms; what was claimed is given back each time."""
    from datetime import UTC, datetime, timedelta

    agency, endpoint = uuid4(), uuid4()
    await plain.execute(
        "INSERT INTO endpoint_versions (agency_id, endpoint_id, version, kind, url, concurrency)"
        " VALUES ($1, $2, 1, 'webhook', 'https://x.example', 8)", agency, endpoint,
    )  # fmt: skip
    await plain.execute(
        "INSERT INTO deliveries (id, agency_id, role, bodies, notice_no, rung, generation, state, reason, urgency,"
        " planned_at, next_wakeup_at, attempt_no, endpoint_id, endpoint_version, escalation_level, is_test)"
        " SELECT gen_random_uuid(), $1, 'police', '[]', n, 0, 1, 'waiting', 'new', 0, now(), now(), 0, $2, 1, 0, true"
        " FROM generate_series(1, 100) n", agency, endpoint,
    )  # fmt: skip
    times = []
    for _ in range(25):
        now = datetime.now(UTC)
        began = time.perf_counter()
        async with db.reading() as session:
            due = await claims.find_sendable(session, Urgency.IMMEDIATE, now=now, without=(), limit=100)
        async with db.transaction() as session:
            leases = dict.fromkeys(Urgency, now + timedelta(seconds=30))
            await claims.claim(session, [row[0] for row in due], uuid4(), now=now, leases=leases)
        times.append((time.perf_counter() - began) * 1000)
        await plain.execute("DELETE FROM attempts")
        await plain.execute(
            "UPDATE deliveries SET state = 'waiting', reason = 'new', claim_token = NULL, next_wakeup_at = now()"
            " WHERE endpoint_id = $1", endpoint,
        )  # fmt: skip
    await plain.execute("DELETE FROM deliveries WHERE endpoint_id = $1", endpoint)
    return statistics.median(times[5:])
