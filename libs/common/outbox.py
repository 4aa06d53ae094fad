"""The outbox: a fact and the event that reports it commit together; the relay brings it away.

A row rests only when the bus confirmed it or every reader's own door took it (architecture §2.3, §7).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from opentelemetry.trace import SpanKind
from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from common.bulk import Rows, insert_later
from common.bus import Bus, Exchange, Message
from common.bus.topology import event_queue, readers_of
from common.contracts import REGISTRY, Event
from common.db import Database, Session, lock_due
from common.envelope import Envelope, encode
from common.ids import new_id
from common.inbox import INBOX
from common.missing import COMPARED, MISSING
from common.telemetry import Telemetry, current_traceparent, log
from common.timing import Now

KEPT = timedelta(days=35)
"""Confirmed rows stay so long, so that any event can be published again."""

BATCH = 200
LEASE = timedelta(seconds=30)
CONFIRM_SECONDS = 2.0
IDLE_SECONDS = 0.45
"""Less than the pool lets a connection rest before it asks whether it is still there (``common.db``)."""
BUSY_SECONDS = 0.05
GATHER_SECONDS = 0.01
"""A relay that moved something within the last ``BUSY_SECONDS`` lets a little more gather before it goes
again: a pass costs three transactions however much it carries. One that rested goes at once."""

STUCK_AFTER_TRIES = 10
LONGEST_PAUSE = timedelta(seconds=15)
UNREADABLE_PAUSE = timedelta(minutes=5)

OUTBOX = Table(
    "outbox",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("type", String(80), nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("data", Text, nullable=False),
    Column("traceparent", String(55)),
    Column("created_at", UTCDateTime, nullable=False),
    Column("published_at", UTCDateTime),
    Column("claim_token", Uuid),
    Column("claimed_until", UTCDateTime),
    Column("tries", Integer, nullable=False, default=0),
)
Index(
    "ix_outbox_waiting",
    OUTBOX.c.created_at,
    sqlite_where=OUTBOX.c.published_at.is_(None),
    postgresql_where=OUTBOX.c.published_at.is_(None),
)

Index("ix_outbox_created_at", OUTBOX.c.created_at)
Index("ix_outbox_published_at", OUTBOX.c.published_at)

_NOW = bindparam("now", type_=UTCDateTime)
_UNTIL = bindparam("until", type_=UTCDateTime)
_TOKEN = bindparam("token", type_=Uuid)
_WAITING = select(OUTBOX.c.id).where(
    OUTBOX.c.published_at.is_(None), or_(OUTBOX.c.claimed_until.is_(None), OUTBOX.c.claimed_until < _NOW)
)
_ANY_DUE = _WAITING.limit(1)
_WANTED = Rows("wanted", OUTBOX.c.id)


class Turn(StrEnum):
    """Whose turn a pass is. All but the first read all that waits: they are for when something fails."""

    OLDEST = "oldest"
    UNTRIED = "untried"
    LONGEST_DUE = "longest_due"


_DUE_SINCE = func.coalesce(OUTBOX.c.claimed_until, OUTBOX.c.created_at)
_ORDER: dict[Turn, tuple[ColumnElement[Any], ...]] = {
    Turn.OLDEST: (OUTBOX.c.created_at,),
    Turn.UNTRIED: (OUTBOX.c.claimed_until.is_not(None), _DUE_SINCE),
    Turn.LONGEST_DUE: (_DUE_SINCE,),
}


@cache
def _take(turn: Turn) -> Executable:
    """Claim in one statement, one round trip; a relay does it twice a second even when nothing waits."""
    most = bindparam("most", type_=Integer)
    # Materialised: a plan that looked for due rows once a joined row would lock more than it takes.
    picked = lock_due(_WAITING.order_by(*_ORDER[turn]).limit(most))
    due = picked.cte("due").prefix_with("MATERIALIZED", dialect="postgresql")
    return (
        update(OUTBOX)
        .where(OUTBOX.c.id.in_(select(due.c.id)))
        .values(claim_token=_TOKEN, claimed_until=_UNTIL, tries=OUTBOX.c.tries + 1)
        .returning(
            OUTBOX.c.id,
            OUTBOX.c.type,
            OUTBOX.c.subject,
            OUTBOX.c.data,
            OUTBOX.c.traceparent,
            OUTBOX.c.created_at,
            OUTBOX.c.tries,
        )
    )


@cache
def _lay_to_rest(dialect: str) -> Executable:
    return (
        update(OUTBOX)
        .where(OUTBOX.c.id.in_(select(_WANTED.table(dialect).c.id)), OUTBOX.c.claim_token == _TOKEN)
        .values(published_at=_NOW, claim_token=None, claimed_until=None)
    )


@cache
def _put_off(dialect: str) -> Executable:
    return (
        update(OUTBOX)
        .where(OUTBOX.c.id.in_(select(_WANTED.table(dialect).c.id)), OUTBOX.c.claim_token == _TOKEN)
        .values(claim_token=None, claimed_until=_UNTIL)
    )


Door = Callable[[bytes], Awaitable[bool]]
"""Hands one event to one reader's internal door; ``True`` when it took effect or had before."""

Ask = Callable[[list[UUID]], Awaitable[list[UUID] | None]]
"""Asks one reader which of these events it never took; ``None`` when it does not answer."""


def add_tables(metadata: MetaData) -> None:
    """Give a service its outbox and inbox."""
    for table in (OUTBOX, INBOX, MISSING, COMPARED):
        table.to_metadata(metadata)


async def add(session: Session, event: Event, *, subject: UUID, now: Now) -> UUID:
    """Report ``event`` if, and only if, this transaction commits; returns the event's id."""
    [event_id] = await add_many(session, [(event, subject, current_traceparent())], now=now)
    return event_id


async def add_many(
    session: Session, events: Sequence[tuple[Event, UUID, str | None]], *, now: Now
) -> list[UUID]:
    """Report several events at once, each with its subject and the trace it belongs to."""
    moment = now()
    rows = [
        {
            "id": new_id(),
            "type": event.type,
            "subject": subject,
            "data": event.model_dump_json(),
            "traceparent": traceparent,
            "created_at": moment,
            "tries": 0,
        }
        for event, subject, traceparent in events
    ]
    insert_later(session, OUTBOX, rows)
    if rows:
        session.info["outbox_written"] = True
    return [UUID(str(row["id"])) for row in rows]


@dataclass(frozen=True)
class _Claimed:
    id: UUID
    type: str
    subject: UUID
    data: str
    traceparent: str | None
    created_at: Any
    tries: int


def pause_after(tries: int) -> timedelta:
    """How long a row waits that nobody confirmed.

    A second at first, so that an outage ends quickly; longer for one that is refused again and again,
    so that it does not take the others' turn.
    """
    return min(timedelta(seconds=2 ** min(max(0, tries - 5), 10)), LONGEST_PAUSE)


def turn_after(refused: int) -> Turn:
    """Whose turn it is after so many passes in a row of which something was refused.

    With the broker away and a reader that hangs a pass takes as long as the longest pause: all that was
    refused before is due again when it ends, and what is new would come after it for ever. So what is new
    goes first, and every fourth pass what is due the longest, so that nothing is put off for ever.
    """
    if refused == 0:
        return Turn.OLDEST
    return Turn.UNTRIED if refused % 4 else Turn.LONGEST_DUE


class Relay:
    """Brings outbox rows to the bus, or through the readers' doors. Any number may run side by side.

    Args:
        service: whose outbox.
        doors: the second way, by service name; used when the bus gives no confirm.
    """

    def __init__(
        self,
        service: str,
        db: Database,
        bus: Bus,
        telemetry: Telemetry,
        now: Now,
        doors: Mapping[str, Door] | None = None,
    ) -> None:
        self.service = service
        self._db = db
        self._bus = bus
        self._telemetry = telemetry
        self._now = now
        self._doors = doors or {}
        self._woken = asyncio.Event()
        self._refused = 0
        db.outbox_written.append(self._woken.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Pass after pass until stopped: at once after a local commit, else every half second."""
        # An event is safe only when each reader's own queue holds it: they must be there before we publish,
        # also where the reader was never started.
        readers = {
            reader
            for event in REGISTRY.values()
            if event.publisher == self.service
            for reader in event.consumers
        }
        await self._bus.declare([event_queue(reader) for reader in sorted(readers)])
        loop = asyncio.get_running_loop()
        moved_at = 0.0
        while not stop.is_set():
            if loop.time() - moved_at < BUSY_SECONDS:
                await asyncio.sleep(GATHER_SECONDS)
            self._woken.clear()
            try:
                moved = await self.pass_once()
                moved_at = loop.time() if moved else moved_at
            except Exception as error:  # noqa: BLE001  # a relay that dies strands events; the rows are safe, so go on
                log.warning("relay_pass_failed", service=self.service, error_type=type(error).__name__)
                moved = 0
                await asyncio.sleep(IDLE_SECONDS)
            if moved < BATCH:
                try:
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._woken.wait()
                except TimeoutError:
                    pass

    async def pass_once(self) -> int:
        """Claim, publish outside any transaction, settle; returns how many rows came to rest."""
        token = new_id()
        rows, bodies = await self._readable(token, await self._claim(token))
        if not rows:
            return 0
        messages = [
            Message(str(row.id), Exchange.EVENTS, row.type, body)
            for row, body in zip(rows, bodies, strict=True)
        ]
        confirmed = await self._bus.publish(messages, seconds=CONFIRM_SECONDS)
        if not all(confirmed):
            confirmed = await self._through_doors(rows, bodies, confirmed)
        done = [row.id for row, ok in zip(rows, confirmed, strict=True) if ok]
        failed = [row for row, ok in zip(rows, confirmed, strict=True) if not ok]
        self._refused = self._refused + 1 if failed else 0
        await self._settle(token, done, {row.id: pause_after(row.tries) for row in failed})
        for row in failed:
            if row.tries >= STUCK_AFTER_TRIES:
                log.error("event_stuck", service=self.service, event_id=str(row.id), event_type=row.type)
        return len(done)

    async def forget_old(self) -> None:
        """Drop rows that came to rest longer than ``KEPT`` ago; not what a reader never took."""
        is_missing = exists().where(MISSING.c.event_id == OUTBOX.c.id)
        async with self._db.transaction() as session:
            old = OUTBOX.c.published_at < self._now() - KEPT
            await session.execute(delete(OUTBOX).where(old, ~is_missing))

    async def _claim(self, token: UUID) -> list[_Claimed]:
        now = self._now()
        if self._db.is_sqlite:
            async with self._db.reading() as session:
                if (await session.execute(_ANY_DUE, {"now": now})).first() is None:
                    return []  # spares the writers' lock while nothing waits
        async with self._db.at_once() as session:
            bound = {"now": now, "most": BATCH, "token": token, "until": now + LEASE}
            taken = await session.execute(_take(turn_after(self._refused)), bound)
            rows = [_Claimed(*row) for row in taken.all()]
        return sorted(rows, key=lambda row: (row.tries > 1, row.created_at))

    async def _readable(self, token: UUID, claimed: list[_Claimed]) -> tuple[list[_Claimed], list[bytes]]:
        """Set aside what this release can't read (a newer one wrote it), so that the rest goes on."""
        rows: list[_Claimed] = []
        bodies: list[bytes] = []
        aside: dict[UUID, timedelta] = {}
        for row in claimed:
            try:
                bodies.append(self._encode(row))
                rows.append(row)
            except (KeyError, ValueError):
                log.error("event_unreadable", service=self.service, event_id=str(row.id), event_type=row.type)
                aside[row.id] = UNREADABLE_PAUSE
        if aside:
            await self._settle(token, [], aside)
        return rows, bodies

    def _encode(self, row: _Claimed) -> bytes:
        event = REGISTRY[row.type].model_validate_json(row.data)
        with self._telemetry.span(
            f"send {row.type}",
            parent=row.traceparent,
            kind=SpanKind.PRODUCER,
            attributes={"messaging.message.id": str(row.id), "dabyl.event_type": row.type},
        ):
            return encode(
                Envelope(row.id, event, row.created_at, row.subject, current_traceparent() or row.traceparent)
            )

    async def _through_doors(
        self, rows: list[_Claimed], bodies: list[bytes], confirmed: list[bool]
    ) -> list[bool]:
        async def bring(row: _Claimed, body: bytes) -> bool:
            readers = readers_of(row.type)
            if not readers or any(reader not in self._doors for reader in readers):
                return False  # what only outside observers read waits for the broker
            return all(await asyncio.gather(*(self._doors[reader](body) for reader in readers)))

        waiting = [index for index, ok in enumerate(confirmed) if not ok]
        taken = await asyncio.gather(*(bring(rows[index], bodies[index]) for index in waiting))
        outcome = list(confirmed)
        for index, ok in zip(waiting, taken, strict=True):
            outcome[index] = ok
        counts: dict[str, int] = defaultdict(int)
        for index in waiting:
            counts["taken" if outcome[index] else "waiting"] += 1
        log.info("events_through_doors", service=self.service, confirmed=counts["taken"], count=len(waiting))
        return outcome

    async def _settle(self, token: UUID, done: list[UUID], failed: Mapping[UUID, timedelta]) -> None:
        now = self._now()
        by_pause: dict[timedelta, list[UUID]] = defaultdict(list)
        for row_id, pause in failed.items():
            by_pause[pause].append(row_id)
        if done:
            async with self._db.at_once() as session:
                ids = [(one,) for one in done]
                await _WANTED.execute(session, _lay_to_rest, ids, token=token, now=now)
        for pause, failing in by_pause.items():
            async with self._db.at_once() as session:
                ids = [(one,) for one in failing]
                await _WANTED.execute(session, _put_off, ids, token=token, until=now + pause)
