"""What an agency holds now, asked of registry: when a mandate or the agency itself ends, so does access."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from common.db import Database
from common.errors import Refusal
from common.telemetry import log
from common.timing import Now
from gateway import repository
from gateway.domain.identity import AgencyRecord, Bearer
from gateway.domain.ports import AgencyDirectory
from gateway.models import Client
from gateway.service import clients

FRESH = timedelta(seconds=30)
"""So long what registry said is taken for true."""

PAUSE = timedelta(seconds=5)
"""So long nobody asks again after registry gave no answer: calls must not wait for it one after the other."""

SECONDS = 2.0
"""So long a call waits for registry."""

REMEMBERED = 16_384


@dataclass(frozen=True, slots=True)
class _Known:
    record: AgencyRecord | None
    asked_at: datetime


class Standings:
    """Asks registry at most every ``FRESH`` for each agency that calls.

    Fails safe for the child: while registry is away, or where it does not know the agency, the last answer
    counts, and without one what the client, session or token says. Clients keep what was learned, so that
    is at most as old as the last look.
    """

    def __init__(self, db: Database, directory: AgencyDirectory, *, now: Now) -> None:
        self._db = db
        self._directory = directory
        self._now = now
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._asking: dict[UUID, asyncio.Task[AgencyRecord | None]] = {}
        self._away_until: datetime | None = None

    async def narrow(self, bearer: Bearer) -> Bearer | None:
        """What is left of a token's or a session's standing; ``None`` when its agency is retired."""
        if bearer.agency is None:
            return bearer
        record = await self.of(bearer.agency)
        if record is None:
            return bearer
        return None if record.is_retired(self._now()) else bearer.within(record)

    async def bearer_of(self, client: Client) -> Bearer | None:
        """The standing that a client's new tokens carry; ``None`` when its agency is retired."""
        bearer = clients.bearer_of(client)
        record = await self.of(bearer.agency) if bearer.agency is not None else None
        if record is None:
            return bearer
        if record.is_retired(self._now()):
            return None
        now_held = replace(
            bearer, bodies=record.bodies, territory=record.territory, names=record.names or bearer.names
        )
        if now_held != bearer:
            async with self._db.transaction() as session:
                await repository.save_standing(
                    session,
                    client.id,
                    bodies=list(now_held.bodies),
                    territory=now_held.territory,
                    names=dict(now_held.names),
                )
        return now_held

    async def look_at_all(self) -> int:
        """Learn what became of agencies that do not call; returns how many clients were looked at."""
        async with self._db.reading() as session:
            found = await repository.list_agency_clients(session)
        count = 0
        for client in found:
            await self.bearer_of(client)
            if self._is_away():
                break
            count += 1
        return count

    async def of(self, agency_id: UUID) -> AgencyRecord | None:
        """What registry says of the agency, or said when it last answered; ``None``: it does not know it."""
        known = self._known.get(agency_id)
        if known is not None and known.asked_at + FRESH > self._now():
            return known.record
        if self._is_away():
            return known.record if known is not None else None
        asking = self._asking.get(agency_id)
        if asking is None:
            asking = asyncio.create_task(self._ask(agency_id))
            self._asking[agency_id] = asking
            asking.add_done_callback(lambda _done: self._asking.pop(agency_id, None))
        # Others wait for the same answer: one who goes away must not take it from them.
        return await asyncio.shield(asking)

    def _is_away(self) -> bool:
        return self._away_until is not None and self._away_until > self._now()

    async def _ask(self, agency_id: UUID) -> AgencyRecord | None:
        before = self._known.get(agency_id)
        last = before.record if before is not None else None
        now = self._now()
        try:
            async with asyncio.timeout(SECONDS):
                record = await self._directory.look_up(agency_id)
        except (Refusal, TimeoutError) as error:
            self._away_until = self._now() + PAUSE
            log.warning("standing_unknown", error_type=type(error).__name__)
            return last
        # Entered ahead, it was seen before it held: what counts is whether it held when we asked last.
        was_retired = before is not None and last is not None and last.is_retired(before.asked_at)
        if record is not None and record.is_retired(now) and not was_retired:
            async with self._db.transaction() as session:
                await clients.retire_agency(session, agency_id, now=now)
            log.info("agency_retired")
        self._known[agency_id] = _Known(record, now)
        self._known.move_to_end(agency_id)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return record
