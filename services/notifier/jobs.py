"""Door 3: time. A job looks first whether there is work: an idle second takes no writer's lock."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from common.contracts import Event
from common.db import Database
from common.parts import Job
from common.telemetry import log
from common.timing import Now
from notifier.domain.bounce import ReturnPath
from notifier.domain.conservation import Balance
from notifier.errors import RegistryAway
from notifier.service import (
    bounces,
    changes,
    clocks,
    conservation,
    escalation,
    facts,
    overdue,
    periods,
    rebuilding,
    redrives,
    succession,
)
from notifier.service.clocks import Look, Pass
from notifier.service.desk import Desk

EVERY_SECOND = timedelta(seconds=1)
EVERY_HALF_MINUTE = timedelta(seconds=30)
EVERY_MINUTE = timedelta(minutes=1)
EVERY_HOUR = timedelta(hours=1)
ALARMS_DAYS = (3, 14, 30)
"""How long before the end of our certificate somebody is told, each time louder."""

Show = Callable[[Balance], None]
"""Puts a balance where operators look: metrics and log."""

ListFacts = Callable[[], Awaitable[list[Event]]]


def jobs(db: Database, desk: Desk, now: Now, *, list_facts: ListFacts | None = None) -> Sequence[Job]:
    """What is done by time.

    Args:
        list_facts: asks the registry for everything it says now.
    """

    async def repeat(look: Look, work: Pass, rows: int) -> None:
        while True:
            async with db.reading() as session:
                if not await look(session, now=now()):
                    return
            async with db.transaction() as session:
                if await work(session, desk, now=now()) < rows:
                    return

    passes: dict[str, tuple[Look, Pass, int]] = {
        "look_at_overdue": (overdue.anything_overdue, overdue.look_at_overdue, overdue.ROWS),
        "climb_ladders": (escalation.anything_silent, escalation.climb_silent, escalation.ROWS),
        "turn_clocks": (clocks.anything_due, clocks.turn_clocks, clocks.ROWS),
        "settle_facts": (facts.anything_waits, facts.settle_waiting, facts.ROWS),
        "settle_changes": (changes.anything_waits, changes.settle_waiting, changes.ROWS),
        "pass_duties": (succession.anything_to_pass, succession.pass_duties, succession.ROWS),
        "turn_periods": (periods.anything_due, periods.turn_periods, periods.ROWS),
    }

    async def open_periods() -> None:
        async with db.reading() as session:
            if not await periods.anything_opens(session, desk, now=now()):
                return
        async with db.transaction() as session:
            await periods.open_periods(session, desk, now=now())

    async def fill_directory() -> None:
        """A copy that is empty was lost, or nobody ever told us: ask, so that no alert lacks its route."""
        if list_facts is None:
            return
        async with db.reading() as session:
            if not await rebuilding.is_empty(session):
                return
        try:
            facts = await list_facts()
        except RegistryAway:
            return  # asked again by time
        async with db.transaction() as session:
            if await rebuilding.is_empty(session):
                await rebuilding.rebuild(session, desk, facts, now=now())

    return [
        *(Job(name, EVERY_SECOND, partial(repeat, *work)) for name, work in passes.items()),
        driving(db, desk, now),
        Job("open_periods", EVERY_MINUTE, open_periods),
        Job("fill_directory", EVERY_MINUTE, fill_directory),
    ]


def reading_bounces(db: Database, desk: Desk, now: Now, mailbox: ReturnPath) -> Job:
    """Mail that came back is taken in; put aside only when that is committed."""

    async def read_bounces() -> None:
        try:
            found = await asyncio.to_thread(mailbox.list_returned)
        except OSError as error:
            log.warning("bounces_not_read", error_type=type(error).__name__)
            return
        for returned in found:
            if returned.delivery_id is not None and returned.bounce is not None:
                async with db.transaction() as session:
                    await bounces.take_bounce(session, desk, returned.delivery_id, returned.bounce, now=now())
            await asyncio.to_thread(mailbox.put_aside, returned)

    return Job("read_bounces", EVERY_HALF_MINUTE, read_bounces)


def watching_certificate(ends_at: Callable[[datetime], datetime | None], now: Now) -> Job:
    """Say in time that our certificate ends; without it endpoints that ask for one get nothing.

    Args:
        ends_at: when it ends; ``None`` when it cannot be used now.
    """

    async def watch_certificate() -> None:
        moment = now()
        end = await asyncio.to_thread(ends_at, moment)
        if end is None:
            log.error("certificate_unusable")
            return
        days = next((days for days in ALARMS_DAYS if end - moment <= timedelta(days=days)), None)
        if days is not None:
            tell = log.error if days == ALARMS_DAYS[0] else log.warning
            tell("certificate_ends_soon", days=days, ends_at=end.isoformat())

    return Job("watch_certificate", EVERY_HOUR, watch_certificate)


def weighing(db: Database, now: Now, show: Show) -> Job:
    """The ledger is weighed each minute, the last two days of it."""

    async def weigh_ledger() -> None:
        async with db.reading() as session:
            moment = now()
            balance = await conservation.weigh(session, now=moment, since=moment - conservation.RECENT)
        show(balance)

    return Job("weigh_ledger", EVERY_MINUTE, weigh_ledger)


def driving(db: Database, desk: Desk, now: Now) -> Job:
    """One batch of a redrive a second, not one after the other: whoever comes back is not run over."""

    async def drive_redrives() -> None:
        async with db.reading() as session:
            if not await redrives.anything_running(session):
                return
        async with db.transaction() as session:
            await redrives.drive(session, desk, now=now())

    return Job("drive_redrives", EVERY_SECOND, drive_redrives)
