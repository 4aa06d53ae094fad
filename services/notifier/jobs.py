"""Door 3: time. A job looks first whether there is work: an idle second takes no writer's lock."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import Event
from common.db import Database, is_away, is_beaten
from common.parts import Job
from common.telemetry import log
from common.timing import Now
from notifier.domain.bounce import ReturnPath
from notifier.domain.chain import Witness
from notifier.domain.channel import Channel
from notifier.domain.conservation import Balance
from notifier.domain.drill import Standing
from notifier.domain.sealed import Head, IsOurs, Sign
from notifier.errors import RegistryAway
from notifier.repository.among import Among
from notifier.service import (
    bounces,
    changes,
    clocks,
    conservation,
    drills,
    escalation,
    facts,
    overdue,
    periods,
    rebuilding,
    redrives,
    sealing,
    succession,
    verifying,
)
from notifier.service.desk import Desk
from notifier.service.passes import Pass

ASIDE = timedelta(minutes=1)
"""So long a row that fails alone is left out."""

EVERY_SECOND = timedelta(seconds=1)
EVERY_HALF_MINUTE = timedelta(seconds=30)
EVERY_MINUTE = timedelta(minutes=1)
EVERY_HOUR = timedelta(hours=1)
ALARMS_DAYS = (3, 14, 30)
"""How long before the end of our certificate somebody is told, each time louder."""

TOLD_EVERY = timedelta(minutes=1)
"""How often a witness hears of a new head, at most."""

PASSES = 20
"""So many at a time: a heap is sealed soon, and a worker that is asked to stop is not held up by it."""

Show = Callable[[Balance], None]
"""Puts a balance where operators look: metrics and log."""

ShowStandings = Callable[[Mapping[Standing, int]], None]

ListFacts = Callable[[], Awaitable[list[Event]]]


def jobs(db: Database, desk: Desk, now: Now, *, list_facts: ListFacts | None = None) -> Sequence[Job]:
    """What is done by time.

    Args:
        list_facts: asks the registry for everything it says now.
    """
    passes = {
        "reap_leases": Pass(overdue.find_lost, overdue.reap_leases, overdue.LEASES, "delivery_id"),
        "look_at_overdue": Pass(overdue.find_overdue, overdue.look_at_overdue, overdue.ROWS, "delivery_id"),
        "climb_ladders": Pass(
            escalation.find_silent, escalation.climb_silent, escalation.ROWS, "delivery_id"
        ),
        "turn_clocks": Pass(clocks.find_due, clocks.turn_clocks, clocks.ROWS, "alert_id"),
        "settle_facts": Pass(facts.find_waiting, facts.settle_waiting, facts.ROWS, "alert_id"),
        "settle_changes": Pass(changes.find_waiting, changes.settle_waiting, changes.ROWS, "alert_id"),
        "pass_duties": Pass(succession.find_retired, succession.pass_duties, succession.ROWS, "agency_id"),
        "turn_periods": Pass(periods.find_due, periods.turn_periods, periods.ROWS, "period_id"),
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
            known = await rebuilding.what_is_known(session)
        try:
            facts = await list_facts()
        except RegistryAway:
            return  # asked again by time
        async with db.transaction() as session:
            if await rebuilding.is_empty(session):
                await rebuilding.rebuild(session, desk, facts, known=known, now=now())

    return [
        *(
            Job(name, EVERY_SECOND, _Repeating(name, work, db, desk, now).run)
            for name, work in passes.items()
        ),
        driving(db, desk, now),
        Job("open_periods", EVERY_MINUTE, open_periods),
        Job("fill_directory", EVERY_MINUTE, fill_directory),
    ]


class _Repeating:
    """A pass, repeated until nothing is due. What fails alone is left out for a while and spoils nothing.

    It is left out in memory, not in the table: there the row stays overdue, so the balance of the ledger
    shows it to the operator (``asleep``, ``clock_asleep``), and another process or a restart tries it anew.
    """

    def __init__(self, name: str, one: Pass, db: Database, desk: Desk, now: Now) -> None:
        self._name = name
        self._pass = one
        self._db = db
        self._desk = desk
        self._now = now
        self._aside: dict[UUID, datetime] = {}

    async def run(self) -> None:
        while True:
            moment = self._now()
            self._aside = {row: until for row, until in self._aside.items() if until > moment}
            among = Among(but=frozenset(self._aside))
            async with self._db.glancing() as session:
                if not await self._pass.find(session, now=moment, among=among, limit=1):
                    return
            try:
                seen = await self._work(among)
            except Exception as error:
                if is_away(error) and not is_beaten(error):
                    raise
                await self._one_by_one(among, error)
                return  # the rest a second later: the others are not to wait for this pass
            if seen < self._pass.rows:
                return

    async def _work(self, among: Among) -> int:
        async with self._db.transaction() as session:
            return await self._pass.work(session, self._desk, now=self._now(), among=among)

    async def _one_by_one(self, among: Among, failure: Exception) -> None:
        """The rows of a transaction that failed, each in one of its own."""
        log.warning("pass_failed", job=self._name, error_type=type(failure).__name__)
        async with self._db.reading() as session:
            rows = await self._pass.find(session, now=self._now(), among=among, limit=self._pass.rows)
        for row in rows:
            try:
                await self._work(Among(only=(row,)))
            except Exception as error:
                if is_beaten(error):
                    continue  # whoever has it goes on; it is looked at again in a second
                if is_away(error):
                    raise
                self._aside[row] = self._now() + ASIDE
                named = {self._pass.of: str(row)}
                log.error("row_set_aside", job=self._name, error_type=type(error).__name__, **named)


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
    """The ledger is weighed each minute, the last two days of it and what is overdue."""

    async def weigh_ledger() -> None:
        async with db.reading() as session:
            moment = now()
            since = moment - conservation.RECENT
            balance = await conservation.weigh(session, now=moment, since=since, rest=conservation.GENTLY)
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


def testing_endpoints(db: Database, desk: Desk, now: Now, channel: Channel) -> Job:
    """Every endpoint is tested by time, a few in a pass: one that hangs takes no place of a delivery."""

    async def test_endpoints() -> None:
        await drills.run_due(db, desk, channel, now=now)

    return Job("test_endpoints", EVERY_HALF_MINUTE, test_endpoints)


def watching_endpoints(db: Database, desk: Desk, now: Now, show: ShowStandings) -> Job:
    """How many endpoints are proven to work, fail, or were not tested when they should have been."""

    async def watch_endpoints() -> None:
        async with db.reading() as session:
            show(await drills.count_standings(session, desk, now=now()))

    return Job("watch_endpoints", EVERY_MINUTE, watch_endpoints)


class Sealing:
    """The audit record is sealed each second, and the newest head told to the witness each minute.

    Args:
        tell: appends a head to the witness's file; nothing: the log is the only witness.
    """

    def __init__(self, db: Database, sign: Sign, now: Now, tell: Callable[[Head], None] | None) -> None:
        self._db = db
        self._sign = sign
        self._now = now
        self._tell = tell
        self._untold: Head | None = None
        self._told_at: datetime | None = None

    def job(self) -> Job:
        """What the worker runs."""
        return Job("seal_audit", EVERY_SECOND, self.run)

    async def run(self) -> None:
        """Seal what is there."""
        if self._told_at is None:
            # What the process before us sealed last, it may not have told.
            async with self._db.reading() as session:
                self._untold = await sealing.find_head(session)
        for _ in range(PASSES):
            if not await self._is_anything_due():
                break
            async with self._db.transaction() as session:
                made = await sealing.seal(session, self._sign, now=self._now())
            if made is None:
                break  # another worker is at it
            self._untold = made.head()
        await self._witness()

    async def _is_anything_due(self) -> bool:
        async with self._db.reading() as session:
            is_due = await sealing.is_anything_due(session, now=self._now())
            is_unnumbered = await sealing.is_unnumbered(session)
        if is_unnumbered:
            async with self._db.transaction() as session:
                await sealing.number_rows(session)
        return is_due or is_unnumbered

    async def _witness(self) -> None:
        now = self._now()
        head = self._untold
        if head is None or (self._told_at is not None and now - self._told_at < TOLD_EVERY):
            return
        self._told_at = now
        log.info("audit_sealed", **head.values())
        if self._tell is not None:
            try:
                await asyncio.to_thread(self._tell, head)
            except OSError as error:
                log.error("witness_not_written", error_type=type(error).__name__)
                return  # told again in a minute
        self._untold = None


def weighing_audit(db: Database, now: Now, show: Callable[[timedelta], None]) -> Job:
    """For how long an act is not sealed is looked at each minute."""

    async def weigh_audit() -> None:
        async with db.reading() as session:
            lag = await sealing.measure_lag(session, now=now())
        show(lag)

    return Job("weigh_audit", EVERY_MINUTE, weigh_audit)


def verifying_audit(
    db: Database,
    now: Now,
    is_ours: IsOurs,
    witnessed: Callable[[], list[str]] | None,
    show: Callable[[verifying.Report, datetime], None],
) -> Job:
    """The newest seals are verified at the start and each hour; nothing stops when they do not hold.

    Args:
        witnessed: the newest lines of the witness's file.
    """

    async def verify_audit() -> None:
        witness = Witness(is_ours)
        if witnessed is not None:
            try:
                # Before the look at the table: what it has by now is there then.
                lines = await asyncio.to_thread(witnessed)
            except OSError as error:
                log.error("witness_not_read", error_type=type(error).__name__)
                lines = []
            if found := witness.read(lines):
                show(verifying.Report(found, 0, 0, 0, witness.count), now())
                return
        async with db.reading() as session:
            report = await verifying.verify_newest(session, is_ours, witness)
        show(report, now())

    return Job("verify_audit", EVERY_HOUR, verify_audit)
