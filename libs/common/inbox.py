"""The inbox: every event takes effect once, however often and by whichever way it arrives."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from opentelemetry.trace import SpanKind
from sqlalchemy import Column, MetaData, String, Table, Uuid, delete
from sqlmodel.sql.sqltypes import UTCDateTime

from common.bus import Message, Transient
from common.contracts import Event
from common.db import Database, Session, insert_ignore, is_away
from common.envelope import decode
from common.telemetry import Telemetry
from common.timing import Now

KEPT = timedelta(days=40)
"""Longer than the outbox keeps its rows (35 days), so that a replay finds its traces."""

Effect = Callable[..., Awaitable[None]]
"""``async def receive_x(session, event, *, now)`` inside the transaction that also marks the inbox."""

INBOX = Table(
    "inbox",
    MetaData(),
    Column("consumer", String(40), primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("received_at", UTCDateTime, nullable=False),
)


async def first_time(session: Session, consumer: str, event_id: UUID, *, now: Now) -> bool:
    """Mark the event as taken; ``False`` when it already was. Holds only if the transaction commits."""
    row: dict[str, Any] = {"consumer": consumer, "event_id": event_id, "received_at": now()}
    return await insert_ignore(session, INBOX, [row], ["consumer", "event_id"]) == 1


class Inbox:
    """Where both ways of an event end: the bus and the internal door."""

    def __init__(
        self,
        service: str,
        db: Database,
        effects: Mapping[type[Event], Effect],
        telemetry: Telemetry,
        now: Now,
    ) -> None:
        self.service = service
        self._db = db
        self._effects = effects
        self._telemetry = telemetry
        self._now = now

    async def take(self, body: bytes) -> bool:
        """Let the event take effect in one transaction.

        Returns:
            ``False`` when it had done so before.

        Raises:
            UnreadableEvent: nothing of ours.
            Transient: the database is away.
        """
        envelope = decode(body)
        kind = type(envelope.event)
        effect = self._effects.get(kind)
        if effect is None:
            return False
        noun, verb = kind.type.split(".")[2:4]
        with self._telemetry.span(
            f"{self.service}.receive_{noun}_{verb}",
            parent=envelope.traceparent,
            kind=SpanKind.CONSUMER,
            attributes={"messaging.message.id": str(envelope.id), "dabyl.event_type": kind.type},
        ):
            try:
                async with self._db.transaction() as session:
                    if not await first_time(session, self.service, envelope.id, now=self._now):
                        return False
                    await effect(session, envelope.event, now=self._now)
            except Exception as error:
                if is_away(error):
                    raise Transient from error
                raise
        return True

    async def consume(self, message: Message) -> None:
        """The bus's way in."""
        await self.take(message.body)

    async def forget_old(self) -> None:
        """Drop marks older than ``KEPT``."""
        async with self._db.transaction() as session:
            await session.execute(delete(INBOX).where(INBOX.c.received_at < self._now() - KEPT))
