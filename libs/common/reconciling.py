"""Compares what was published with what the readers took: a confirmed message can still vanish.

A broker may lose a queue after it confirmed (measured on 3.10: killed half a second after a declaration), or
somebody deletes one. The publisher therefore asks each reader's own door which of its confirmed events it has
not seen, and sends those again under the same id; the inbox makes the repeat harmless.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from common.bus.topology import readers_of
from common.db import Database, Session
from common.inbox import INBOX
from common.outbox import OUTBOX, Ask
from common.telemetry import log
from common.timing import Now

SETTLED_AFTER = timedelta(minutes=2)
"""Time that an event has to leave and to be taken, before its readers are asked."""
EVERY = timedelta(minutes=5)
AT_FIRST = timedelta(hours=24)
"""How far back the first pass looks; each later one begins a little before where the last one ended."""
OVERLAP = timedelta(minutes=1)
"""Clocks of several publishers differ, and commits come later than the times they carry."""
PAGE = 500
MOST_TIMES = 12
"""So often one event goes again (an hour) before it is left to the person who looks at ``parked``."""


async def list_missing(session: Session, consumer: str, ids: list[UUID]) -> list[UUID]:
    """Those of ``ids`` that this reader never took, in their sequence."""
    taken = await session.scalars(
        select(INBOX.c.event_id).where(INBOX.c.consumer == consumer, INBOX.c.event_id.in_(ids))
    )
    known = set(taken.all())
    return [one for one in ids if one not in known]


class Reconciler:
    """Finds confirmed events that a reader never took, and lets the relay send them again.

    Args:
        service: whose outbox.
        readers: how to ask each reader; one that is not named is not asked.
    """

    def __init__(self, service: str, db: Database, readers: Mapping[str, Ask], now: Now) -> None:
        self.service = service
        self._db = db
        self._readers = readers
        self._now = now
        self._done_until: datetime | None = None
        self._sent_again: dict[UUID, tuple[str, int]] = {}

    async def pass_once(self) -> int:
        """Look at what was written and confirmed since the last pass; returns how many events go again.

        Whoever does not answer is asked about the same time in the next pass. What went again is asked
        about again, some times: a reader that always refuses it has parked it, and a person looks.
        """
        until = self._now() - SETTLED_AFTER
        since = until - AT_FIRST if self._done_until is None else self._done_until - OVERLAP
        again = [(event_id, event_type) for event_id, (event_type, _) in self._sent_again.items()]
        missing, everybody_answered = await self._ask(again)
        last: tuple[datetime, UUID] | None = None
        while page := await self._page(since, until, last):
            found, answered = await self._ask([(row[0], row[1]) for row in page])
            missing |= found
            everybody_answered &= answered
            last = (page[-1][2], page[-1][0])
        if everybody_answered:
            self._done_until = until
        if missing:
            log.error("events_missing", service=self.service, count=len(missing))
            await self._send_again(set(missing))
        self._sent_again = {
            event_id: (event_type, times)
            for event_id, event_type in missing.items()
            if (times := self._sent_again.get(event_id, ("", 0))[1] + 1) < MOST_TIMES
        }
        return len(missing)

    async def _page(
        self, since: datetime, until: datetime, last: tuple[datetime, UUID] | None
    ) -> list[tuple[UUID, str, datetime]]:
        query = (
            select(OUTBOX.c.id, OUTBOX.c.type, OUTBOX.c.created_at)
            .where(
                OUTBOX.c.created_at >= since, OUTBOX.c.created_at <= until, OUTBOX.c.published_at.is_not(None)
            )
            .order_by(OUTBOX.c.created_at, OUTBOX.c.id)
            .limit(PAGE)
        )
        if last is not None:
            at, after = last
            query = query.where(
                (OUTBOX.c.created_at > at) | ((OUTBOX.c.created_at == at) & (OUTBOX.c.id > after))
            )
        async with self._db.reading() as session:
            return [(row[0], row[1], row[2]) for row in (await session.execute(query)).all()]

    async def _ask(self, events: list[tuple[UUID, str]]) -> tuple[dict[UUID, str], bool]:
        ids: dict[str, dict[UUID, str]] = defaultdict(dict)
        for event_id, event_type in events:
            for reader in readers_of(event_type):
                if reader in self._readers:
                    ids[reader][event_id] = event_type
        missing: dict[UUID, str] = {}
        answered = True
        for reader, asked in ids.items():
            told = await self._readers[reader](list(asked))
            answered &= told is not None
            missing |= {one: asked[one] for one in told or () if one in asked}
        return missing, answered

    async def _send_again(self, ids: set[UUID]) -> None:
        async with self._db.transaction() as session:
            await session.execute(
                update(OUTBOX)
                .where(OUTBOX.c.id.in_(ids))
                .values(published_at=None, claim_token=None, claimed_until=None, tries=0)
            )
            session.info["outbox_written"] = True
