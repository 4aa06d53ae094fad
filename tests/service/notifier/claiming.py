"""A worker of its own process that only claims.

``python -m tests.service.notifier.claiming URL BATCH [sit]``. With ``sit`` it claims once, prints the ids and
keeps its transaction open until a line comes. Without, it prints an empty list when it is ready, waits for a
line, claims until nothing is due and prints all ids.
"""

import asyncio
import json
import sys
from datetime import timedelta
from uuid import UUID, uuid4

from common.db import Database
from common.timing import utc_now
from notifier.domain.schedule import Urgency
from notifier.repository import claims, held

LEASE = timedelta(minutes=5)


async def _claim(db: Database, batch: int, *, sit: bool) -> list[UUID]:
    now = utc_now()
    async with db.reading() as session:
        due = [
            one
            for urgency in Urgency
            for one, _ in await held.find_sendable(session, urgency, now=now, without=(), limit=batch)
        ][:batch]
    async with db.transaction() as session:
        leases = dict.fromkeys(Urgency, now + LEASE)
        claimed = [
            one.delivery_id for one in await claims.claim(session, due, uuid4(), now=now, leases=leases)
        ]
        if sit:
            _say(claimed)
            await asyncio.to_thread(sys.stdin.readline)
    return claimed if due else []


def _say(ids: list[UUID]) -> None:
    sys.stdout.write(json.dumps([str(one) for one in ids]) + "\n")
    sys.stdout.flush()


async def _main(url: str, batch: int, *, sit: bool) -> None:
    db = Database(url)
    try:
        if sit:
            await _claim(db, batch, sit=True)
            return
        _say([])
        await asyncio.to_thread(sys.stdin.readline)
        taken: list[UUID] = []
        empty = 0
        while empty < 3:  # a batch that the other one took first is no end
            fresh = await _claim(db, batch, sit=False)
            taken += fresh
            empty = 0 if fresh else empty + 1
        _say(taken)
    finally:
        await db.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), sit="sit" in sys.argv))
