"""A small publisher and a small reader: a fact and its event here, one row per effect there.

``effects`` has no unique index on purpose: an effect that happened twice must be seen, not prevented.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Column, Integer, MetaData, Table, Uuid, func, insert, select

from common import outbox
from common.bus import Bus, Message, Probe
from common.contracts import Event
from common.contracts.intake import ContentOpened
from common.db import NAMING, Database, Session
from common.inbox import Inbox
from common.outbox import OUTBOX, Relay
from common.telemetry import Telemetry
from common.timing import Now

METADATA = MetaData(naming_convention=NAMING)
FACTS = Table("facts", METADATA, Column("id", Uuid, primary_key=True))
EFFECTS = Table(
    "effects",
    METADATA,
    Column("no", Integer, primary_key=True, autoincrement=True),
    Column("fact", Uuid, nullable=False),
)
COUNTERS = Table(
    "counters", METADATA, Column("id", Integer, primary_key=True), Column("value", Integer, nullable=False)
)
outbox.add_tables(METADATA)


async def create_tables(db: Database) -> None:
    async with db.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)


def an_event(fact: UUID, at: datetime) -> ContentOpened:
    return ContentOpened(delivery_id=fact, opened_at=at, person="client-1")


async def state_fact(db: Database, now: Now, event: Event | None = None) -> UUID:
    """A fact and the event that reports it, in one transaction; the fact's id."""
    fact = uuid4()
    async with db.transaction() as session:
        await session.execute(insert(FACTS).values(id=fact))
        await outbox.add(session, event or an_event(fact, now()), subject=fact, now=now)
    return fact


async def receive_content_opened(session: Session, event: ContentOpened, *, now: Now) -> None:
    await session.execute(insert(EFFECTS).values(fact=event.delivery_id))


def inbox_of(db: Database, now: Now) -> Inbox:
    return Inbox("notifier", db, {ContentOpened: receive_content_opened}, Telemetry("notifier"), now)


def relay_of(
    db: Database,
    bus: Bus,
    now: Now,
    doors: dict[str, outbox.Door] | None = None,
    kind: type[Relay] = Relay,
) -> Relay:
    return kind("intake", db, bus, Telemetry("intake"), now, doors)


async def facts(db: Database) -> set[UUID]:
    async with db.reading() as session:
        return set((await session.scalars(select(FACTS.c.id))).all())


async def effects(db: Database) -> Counter[UUID]:
    async with db.reading() as session:
        return Counter((await session.scalars(select(EFFECTS.c.fact))).all())


async def waiting(db: Database) -> int:
    """Outbox rows that did not come to rest."""
    async with db.reading() as session:
        found = await session.scalar(
            select(func.count()).select_from(OUTBOX).where(OUTBOX.c.published_at.is_(None))
        )
        return int(found or 0)


class NotedBus:
    """A bus that notes what is published, answers as told, and hands events to inboxes."""

    is_connected = True

    def __init__(self, *inboxes: Inbox, confirms: bool = True) -> None:
        self.inboxes = inboxes
        self.confirms = confirms
        self.published: list[str] = []
        self.declared: set[str] = set()
        self.moved = asyncio.Event()

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def declare(self, queues: Sequence[Any]) -> None:
        self.declared |= {queue.name for queue in queues}

    async def subscribe(self, queue: Any, consumer: Any, *, prefetch: int = 16) -> Any:
        raise NotImplementedError

    async def probe(self, queue: Any, *, seconds: float = 5.0) -> Probe:
        return Probe.CONFIRMED if self.confirms else Probe.SILENT

    async def depth(self, queue: Any) -> int | None: ...

    async def rebuild(self, queue: Any) -> None: ...

    async def publish(self, messages: Sequence[Message], *, seconds: float = 2.0) -> list[bool]:
        self.published += [message.id for message in messages]
        for inbox in self.inboxes:
            for message in messages:
                await inbox.consume(message)
        self.moved.set()
        return [self.confirms] * len(messages)
