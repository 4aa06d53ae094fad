"""Compares what was published with what the readers took: a confirmed message can still vanish.

A broker may lose a queue after it confirmed (measured on 3.10: killed half a second after a declaration),
somebody deletes one, or a reader refuses an event until it is parked. The publisher therefore asks each
reader's own door which of the events that left its outbox it has not taken, and sends those again under the
same id until it has; the inbox makes the repeat harmless.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, delete, literal, select, update
from sqlmodel.sql.sqltypes import UTCDateTime

from common.bulk import insert_new
from common.bus.topology import readers_of
from common.contracts import REGISTRY
from common.db import Database, Session
from common.inbox import INBOX
from common.missing import COMPARED, MISSING
from common.outbox import KEPT, OUTBOX, Ask
from common.telemetry import log
from common.timing import Now

SETTLED_AFTER = timedelta(minutes=2)
"""Time that an event has to be taken after it left, before its readers are asked."""
EVERY = timedelta(minutes=5)
AT_FIRST = timedelta(hours=24)
"""How far back the first pass of a process looks at least, for a reader's database may have been restored.
Further where a reader was not asked for longer; each later one begins a little before the end of the last."""
LAST_TAKEN = 20
"""So many of the events before a pass's window are asked about again: a reader that has forgotten one was put
back to an older state, and is asked about everything."""
OVERLAP = timedelta(minutes=1)
"""Clocks of several publishers differ, and commits come later than the times they carry."""
PAGE = 500
OFTEN_TIMES = 12
"""So often one event goes again with each pass (an hour). Then seldom, with an error each time."""
SELDOM = timedelta(minutes=15)


async def list_missing(session: Session, consumer: str, ids: list[UUID]) -> list[UUID]:
    """Those of ``ids`` that this reader never took, in their sequence."""
    taken = await session.scalars(
        select(INBOX.c.event_id).where(INBOX.c.consumer == consumer, INBOX.c.event_id.in_(ids))
    )
    known = set(taken.all())
    return [one for one in ids if one not in known]


def _types_of(reader: str) -> list[str]:
    return [name for name in REGISTRY if reader in readers_of(name)]


class Reconciler:
    """Finds events that left the outbox and that a reader never took, and lets the relay send them again.

    What is missing is kept in a table: any number of processes may look, and a restart forgets nothing.

    Args:
        service: whose outbox.
        readers: how to ask each reader; one that is not named is not asked.
    """

    def __init__(self, service: str, db: Database, readers: Mapping[str, Ask], now: Now) -> None:
        self.service = service
        self._db = db
        self._readers = readers
        self._now = now
        self._done_until: dict[str, datetime] = {}

    async def pass_once(self) -> int:
        """Ask what was taken of all that left since the last pass; returns how many events go again.

        A reader that does not answer is asked about the same time in the next pass.
        """
        until = self._now() - SETTLED_AFTER
        for reader in self._readers:
            if await self._ask_again(reader) and await self._compare(reader, until):
                self._done_until[reader] = until
                await self._keep(reader, until)
        again = 0
        while sent := await self._send_again():
            again += sent
        if again:
            log.error("events_missing", service=self.service, count=again)
        return again

    async def _ask_again(self, reader: str) -> bool:
        """Forget what is missing no more; ``False`` when the reader does not answer."""
        after = UUID(int=0)
        while True:
            query = (
                select(MISSING.c.event_id)
                .where(MISSING.c.reader == reader, MISSING.c.event_id > after)
                .order_by(MISSING.c.event_id)
                .limit(PAGE)
            )
            async with self._db.reading() as session:
                ids = list((await session.scalars(query)).all())
            if not ids:
                return True
            told = await self._readers[reader](ids)
            if told is None:
                return False
            if taken := set(ids) - set(told):
                async with self._db.transaction() as session:
                    mine = (MISSING.c.reader == reader, MISSING.c.event_id.in_(taken))
                    await session.execute(delete(MISSING).where(*mine))
            after = ids[-1]

    async def _compare(self, reader: str, until: datetime) -> bool:
        """Ask about what left in this reader's window; ``False`` when it does not answer."""
        since = await self._since(reader, until)
        forgotten = await self._has_forgotten(reader, since)
        if forgotten is None:
            return False
        if forgotten:
            log.error("reader_put_back", service=self.service, consumer=reader)
            since = until - KEPT
        async for ids in self._pages(reader, since, until):
            told = await self._readers[reader](ids)
            if told is None:
                return False
            now = self._now()
            found = [
                {"event_id": one, "reader": reader, "found_at": now, "times": 0, "again_at": now}
                for one in sorted(set(told) & set(ids))
            ]
            if found:
                async with self._db.transaction() as session:
                    await insert_new(session, MISSING, found, ["event_id", "reader"])
        return True

    async def _since(self, reader: str, until: datetime) -> datetime:
        if reader in self._done_until:
            return self._done_until[reader] - OVERLAP
        async with self._db.reading() as session:
            kept = await session.scalar(select(COMPARED.c.until).where(COMPARED.c.reader == reader))
        return min(until - AT_FIRST, (kept or until) - OVERLAP)

    async def _has_forgotten(self, reader: str, since: datetime) -> bool | None:
        """Whether it no longer has the last of what it had taken before; ``None`` when it does not answer.

        Its database may be put back to a backup of any age, and nobody tells us.
        """
        missing = select(MISSING.c.event_id).where(MISSING.c.reader == reader)
        query = (
            select(OUTBOX.c.id)
            .where(
                OUTBOX.c.published_at < since,
                OUTBOX.c.published_at >= self._now() - KEPT,
                OUTBOX.c.type.in_(_types_of(reader)),
                OUTBOX.c.id.not_in(missing),
            )
            .order_by(OUTBOX.c.published_at.desc())
            .limit(LAST_TAKEN)
        )
        async with self._db.reading() as session:
            ids = list((await session.scalars(query)).all())
        if not ids:
            return False
        told = await self._readers[reader](ids)
        return None if told is None else bool(set(told) & set(ids))

    async def _keep(self, reader: str, until: datetime) -> None:
        async with self._db.transaction() as session:
            await insert_new(session, COMPARED, [{"reader": reader, "until": until}], ["reader"])
            mine = (COMPARED.c.reader == reader, COMPARED.c.until < until)
            await session.execute(update(COMPARED).where(*mine).values(until=until))

    async def _pages(self, reader: str, since: datetime, until: datetime) -> AsyncIterator[list[UUID]]:
        """By the time at which it left: what was held up for hours is not passed by meanwhile."""
        left = OUTBOX.c.published_at
        query = (
            select(OUTBOX.c.id, left)
            .where(left >= since, left <= until, OUTBOX.c.type.in_(_types_of(reader)))
            .order_by(left, OUTBOX.c.id)
            .limit(PAGE)
        )
        page = query
        while True:
            async with self._db.reading() as session:
                rows = (await session.execute(page)).all()
            if not rows:
                return
            yield [row[0] for row in rows]
            after, at = rows[-1]
            page = query.where((left > at) | ((left == at) & (OUTBOX.c.id > after)))

    async def _send_again(self) -> int:
        """Let what is due leave the outbox once more, at most a page; returns how many events.

        What is still on its way out is left alone. What is older than the outbox keeps its rows goes no
        more: the other readers' inboxes have forgotten it by then.
        """
        now = self._now()
        due = (
            select(MISSING.c.event_id)
            .join(OUTBOX, OUTBOX.c.id == MISSING.c.event_id)
            .where(
                MISSING.c.again_at <= now,
                OUTBOX.c.published_at.is_not(None),
                OUTBOX.c.created_at > now - KEPT,
            )
            .order_by(MISSING.c.again_at)
            .limit(PAGE)
        )
        soon, later = (literal(now + pause, UTCDateTime()) for pause in (EVERY, SELDOM))
        again_at = case((MISSING.c.times < OFTEN_TIMES, soon), else_=later)
        async with self._db.transaction() as session:
            ids = set((await session.scalars(due)).all())
            if not ids:
                return 0
            claimed = await session.execute(
                update(MISSING)
                .where(MISSING.c.event_id.in_(ids), MISSING.c.again_at <= now)
                .values(times=MISSING.c.times + 1, again_at=again_at)
                .returning(MISSING.c.event_id, MISSING.c.reader, MISSING.c.times)
            )
            rows = claimed.all()
            sent = await session.execute(
                update(OUTBOX)
                .where(OUTBOX.c.id.in_({row.event_id for row in rows}), OUTBOX.c.published_at.is_not(None))
                .values(published_at=None, claim_token=None, claimed_until=None, tries=0)
                .returning(OUTBOX.c.id)
            )
            count = len(sent.all())
            session.info["outbox_written"] = True
        for row in rows:
            if row.times > OFTEN_TIMES:
                log.error(
                    "event_never_taken",
                    service=self.service,
                    consumer=row.reader,
                    event_id=str(row.event_id),
                    count=row.times,
                )
        return count
