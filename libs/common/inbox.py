"""The inbox: every event takes effect once, however often and by whichever way it arrives."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from opentelemetry.trace import SpanKind
from sqlalchemy import Column, MetaData, String, Table, Uuid, delete
from sqlmodel.sql.sqltypes import UTCDateTime

from common.bulk import insert_new
from common.bus import Message, Transient
from common.contracts import Event
from common.db import Database, Session, is_away
from common.envelope import Envelope, decode
from common.telemetry import Telemetry
from common.timing import Now

KEPT = timedelta(days=40)
"""Longer than the outbox keeps its rows (35 days), so that a replay finds its traces."""

BATCH = 64
"""Events that share a transaction, at most."""

BUSY_SECONDS = 0.05
GATHER_SECONDS = 0.005
"""An inbox that worked within the last ``BUSY_SECONDS`` lets a little more gather; a rested one does not."""

Effect = Callable[..., Awaitable[None]]
"""``async def receive_x(session, event, *, now)`` inside the transaction that also marks the inbox."""


@dataclass(frozen=True)
class Together:
    """An effect that takes many events at once: ``async def receive_xs(session, received, *, now)``.

    Whatever it does must not depend on how the events are grouped.

    Attributes:
        patience: seconds that more may gather under load, where nobody waits for the effect.
    """

    effect: Callable[..., Awaitable[None]]
    patience: float = 0.0


@dataclass(frozen=True)
class Received:
    """One of many events, and the traceparent of the span under which it is taken."""

    event: Any
    traceparent: str | None


INBOX = Table(
    "inbox",
    MetaData(),
    Column("consumer", String(40), primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("received_at", UTCDateTime, nullable=False),
)


async def first_of(session: Session, consumer: str, event_ids: Sequence[UUID], *, now: Now) -> set[UUID]:
    """Mark the events as taken; those that were not before. Holds only if the transaction commits."""
    moment = now()
    rows: list[dict[str, Any]] = [
        # One order for all: two processes that were given the same events do not wait for each other.
        {"consumer": consumer, "event_id": event_id, "received_at": moment}
        for event_id in sorted(set(event_ids))
    ]
    return {row.event_id for row in await insert_new(session, INBOX, rows, ["consumer", "event_id"])}


@dataclass(eq=False)
class _Waiting:
    envelope: Envelope
    taken: asyncio.Future[bool]
    patience: float


class Inbox:
    """Where both ways of an event end: the bus and the internal door.

    What arrives while a transaction is being written shares the next one. When that fails, each of them
    gets one of its own, so that a bad event spoils nothing for the others.
    """

    def __init__(
        self,
        service: str,
        db: Database,
        effects: Mapping[type[Event], Effect | Together],
        telemetry: Telemetry,
        now: Now,
    ) -> None:
        self.service = service
        self._db = db
        self._effects = effects
        self._telemetry = telemetry
        self._now = now
        self._waiting: list[_Waiting] = []
        self._working: asyncio.Task[None] | None = None
        self._worked_at = 0.0
        self._hurry = asyncio.Event()

    async def take(self, body: bytes, *, is_waited_for: bool = True) -> bool:
        """Let the event take effect, once; returns when that is committed.

        Args:
            is_waited_for: ``False``: it may gather others, as far as its effect has patience.

        Returns:
            ``False`` when it had done so before.

        Raises:
            UnreadableEvent: nothing of ours.
            Transient: the database is away.
        """
        envelope = decode(body)
        effect = self._effects.get(type(envelope.event))
        if effect is None:
            return False
        patience = 0.0 if is_waited_for or not isinstance(effect, Together) else effect.patience
        one = _Waiting(envelope, asyncio.get_running_loop().create_future(), patience)
        self._waiting.append(one)
        if not patience or len(self._waiting) >= BATCH:
            self._hurry.set()
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await one.taken

    async def consume(self, message: Message) -> None:
        """The bus's way in, where the publisher waits."""
        await self.take(message.body)

    async def consume_at_leisure(self, message: Message) -> None:
        """The way in of a bus that keeps the message meanwhile: its publisher has gone on long ago."""
        await self.take(message.body, is_waited_for=False)

    async def forget_old(self) -> None:
        """Drop marks older than ``KEPT``."""
        async with self._db.transaction() as session:
            await session.execute(delete(INBOX).where(INBOX.c.received_at < self._now() - KEPT))

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        # Who arrives in the same round comes along; under load, who arrives a moment later does too.
        is_busy = loop.time() - self._worked_at < BUSY_SECONDS
        await asyncio.sleep(GATHER_SECONDS if is_busy else 0)
        while self._waiting:
            if is_busy:
                await self._gather()
            is_busy = True
            self._hurry.clear()
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if len(batch) > 1 and await self._settle(batch, is_last_try=False):
                continue
            for one in batch:
                await self._settle([one], is_last_try=True)
        self._worked_at = loop.time()

    async def _gather(self) -> None:
        """Let more come as long as nobody waits for anything that is here."""
        patience = min(one.patience for one in self._waiting)
        if patience and len(self._waiting) < BATCH:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._hurry.wait()

    async def _settle(self, batch: Sequence[_Waiting], *, is_last_try: bool) -> bool:
        """Take a batch in one transaction and tell those who wait; ``False``: to be tried one by one."""
        try:
            fresh = await self._take(batch)
        except asyncio.CancelledError:
            for one in batch:
                one.taken.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # whatever an effect raises belongs to whoever brought the event
            if not is_last_try and not is_away(error):
                return False
            failure: Exception = error
            if is_away(error):
                failure = Transient()
                failure.__cause__ = error
            for one in batch:
                if not one.taken.done():
                    one.taken.set_exception(failure)
            return True
        for one in batch:
            is_first = one.envelope.id in fresh
            fresh.discard(one.envelope.id)
            if not one.taken.done():  # whoever asked may have gone away
                one.taken.set_result(is_first)
        return True

    async def _take(self, batch: Sequence[_Waiting]) -> set[UUID]:
        async with self._db.transaction() as session:
            ids = [one.envelope.id for one in batch]
            fresh = await first_of(session, self.service, ids, now=self._now)
            by_kind: dict[type[Event], dict[UUID, Envelope]] = {}
            for one in batch:
                if one.envelope.id in fresh:
                    by_kind.setdefault(type(one.envelope.event), {})[one.envelope.id] = one.envelope
            for kind, envelopes in by_kind.items():
                await self._apply(session, kind, list(envelopes.values()))
        return fresh

    async def _apply(self, session: Session, kind: type[Event], envelopes: Sequence[Envelope]) -> None:
        effect = self._effects[kind]
        noun, verb = kind.type.split(".")[2:4]
        name = f"{self.service}.receive_{noun}_{verb}"
        if not isinstance(effect, Together):
            for envelope in envelopes:
                attributes = _attributes(envelope)
                with self._telemetry.span(
                    name, parent=envelope.traceparent, kind=SpanKind.CONSUMER, attributes=attributes
                ):
                    await effect(session, envelope.event, now=self._now)
            return
        with self._telemetry.spans(
            name, [(one.traceparent, _attributes(one)) for one in envelopes], kind=SpanKind.CONSUMER
        ) as parents:
            received = [Received(one.event, parent) for one, parent in zip(envelopes, parents, strict=True)]
            await effect.effect(session, received, now=self._now)


def _attributes(envelope: Envelope) -> dict[str, Any]:
    return {"messaging.message.id": str(envelope.id), "dabyl.event_type": type(envelope.event).type}
