"""Weighs a service's own outbox: what did not leave, and what left and was never taken.

Each service weighs its own, in every role: with no worker somebody must still see it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from opentelemetry.metrics import Meter
from sqlalchemy import func, select

from common.bus.topology import readers_of
from common.contracts import REGISTRY
from common.db import Database, Session
from common.missing import MISSING
from common.outbox import OUTBOX
from common.parts import Job
from common.telemetry import log
from common.timing import Now

STUCK_AFTER = timedelta(minutes=1)
"""An event written longer ago should have left."""
EVERY = timedelta(minutes=1)
MOST = 1000


@dataclass(frozen=True, slots=True)
class OutboxBalance:
    """What a publisher's outbox holds that should not be there.

    Attributes:
        waiting: events that should have left (at most ``MOST`` are counted).
        oldest_at: when the oldest event that did not leave was written, however young.
        missing: by reader, events that left and that it never took.
    """

    service: str
    at: datetime
    waiting: int
    oldest_at: datetime | None
    missing: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether every event came to rest, and nobody lacks one."""
        return not self.waiting and not any(self.missing.values())


def is_publisher(service: str) -> bool:
    """Whether a service reports anything that another one reads."""
    return bool(readers_in(service))


def readers_in(service: str) -> list[str]:
    """Who reads a service's events."""
    kinds = [name for name, event in REGISTRY.items() if event.publisher == service]
    return sorted({reader for name in kinds for reader in readers_of(name)})


async def weigh_outbox(session: Session, service: str, *, now: datetime) -> OutboxBalance:
    """Reads only what is stored."""
    unsent = OUTBOX.c.published_at.is_(None)
    stuck = select(OUTBOX.c.id).where(unsent, OUTBOX.c.created_at < now - STUCK_AFTER).limit(MOST)
    waiting = await session.scalar(select(func.count()).select_from(stuck.subquery()))
    oldest = select(OUTBOX.c.created_at).where(unsent).order_by(OUTBOX.c.created_at).limit(1)
    counted = await session.execute(select(MISSING.c.reader, func.count()).group_by(MISSING.c.reader))
    missing = dict.fromkeys(readers_in(service), 0) | {row[0]: row[1] for row in counted.all()}
    return OutboxBalance(service, now, int(waiting or 0), await session.scalar(oldest), missing)


class OutboxBoard:
    """Keeps metrics on the newest balance, and on when that was."""

    def __init__(self, meter: Meter) -> None:
        self._oldest = meter.create_gauge(
            "dabyl.outbox.oldest", unit="s", description="age of the oldest event that did not leave"
        )
        self._missing = meter.create_gauge(
            "dabyl.outbox.missing", description="events that left and that a reader never took"
        )
        self._weighed = meter.create_gauge(
            "dabyl.outbox.weighed", unit="s", description="unix time of the last weighing"
        )

    def show(self, balance: OutboxBalance) -> None:
        """Every reader each time: what was taken falls to nothing and does not linger."""
        age = balance.at - balance.oldest_at if balance.oldest_at else timedelta()
        self._oldest.set(max(0.0, age.total_seconds()))
        for reader, count in balance.missing.items():
            self._missing.set(count, {"reader": reader})
        self._weighed.set(balance.at.timestamp())
        if balance.waiting:
            log.error("outbox_stuck", service=balance.service, count=balance.waiting)


def weighing_outbox(service: str, db: Database, now: Now, board: OutboxBoard) -> Job:
    """The outbox is weighed each minute."""

    async def weigh() -> None:
        async with db.reading() as session:
            balance = await weigh_outbox(session, service, now=now())
        board.show(balance)

    return Job("weigh_outbox", EVERY, weigh)
