"""Whether an endpoint still works: a test notice finds out on a quiet day, not the first alert (decision 22).

Pure: which endpoints are to be tested at a moment, and how each of them stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from notifier.domain.calendar import WorkingCalendar, local_day, start_of
from notifier.domain.roster import is_on_duty

PEOPLE = frozenset({"smtp", "sms", "voice"})
"""Kinds that reach a person at once: whoever is rung for nothing each day does not answer one day."""

OPENS = timedelta(hours=9)
"""Local time of the first test of a working day: what fails must find somebody of the agency at work."""
SPREAD = timedelta(hours=7)
"""Over so long the tests of a day are spread, each endpoint at its own second."""
CLOSES = timedelta(hours=18)
"""No test begins later, not even the second try of one."""
RECEIPT_WITHIN = timedelta(minutes=10)
"""So long a system has to answer a test with its signed receipt; no person need look."""
AGAIN_AFTER = timedelta(minutes=20)
"""A test that failed is tried again: a restart on their side is no matter for a person."""
TRIES = 2
"""Failures in a row after which a person is told."""
NEW_FOR = timedelta(days=1)
"""Whoever is being connected is left alone; it is tested by hand."""
LATE = timedelta(hours=1)
"""A test that did not take place by then is missed."""
NO_RECEIPT = "no_receipt"
"""Cause: they took the test and did not answer it with a valid receipt. Other causes are outcomes."""
BOUNCED = "bounced"
"""Cause: a relay took the test and could not bring it."""

WEEK = timedelta(days=7)
_WORKING_WEEK = 5
_MOST_DAYS = 31
_MOST_WEEKS = 5


class Often(StrEnum):
    """How often an endpoint is tested."""

    DAILY = "daily"
    WEEKLY = "weekly"
    NEVER = "never"


PERIOD = {Often.DAILY: timedelta(days=1), Often.WEEKLY: WEEK}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the endpoints of systems and those of people are tested."""

    systems: Often = Often.DAILY
    people: Often = Often.WEEKLY

    def of(self, kind: str) -> Often:
        """For an endpoint of this kind."""
        return self.people if kind in PEOPLE else self.systems


class Standing(StrEnum):
    """How an endpoint stands."""

    FAILING = "failing"
    """Its tests fail: somebody must talk to the agency."""
    UNTESTED = "untested"
    """Its test did not take place: something is wrong with us, or it is busy all day."""
    AWAITED = "awaited"
    """A test is under way, or failed once and is tried again."""
    PROVEN = "proven"
    NEW = "new"
    """Not tested yet, and not to be."""
    PAUSED = "paused"
    OFF = "off"
    """Never tested by itself."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of an endpoint in force.

    Attributes:
        since: since when it is watched.
        hours: when somebody answers there; none is always.
        test_id: the last test by time, begun at ``tested_at``, judged at ``judged_at``.
        cause: why the last test failed; none when it did not.
        failures: tests that failed since the last proof.
        failing_since: when a person was first told; none when there is nothing to tell.
        proven_at: when it last took a notice and answered it as it must, by ``proof_id``.
    """

    endpoint_id: UUID
    agency_id: UUID
    kind: str
    rung: int
    is_paused: bool
    since: datetime
    hours: Mapping[str, Any] | None = field(default=None, repr=False)
    test_id: UUID | None = None
    tested_at: datetime | None = None
    judged_at: datetime | None = None
    cause: str | None = None
    failures: int = 0
    failing_since: datetime | None = None
    proven_at: datetime | None = None
    proof_id: UUID | None = None


def last_slot(endpoint_id: UUID, often: Often, calendar: WorkingCalendar, now: datetime) -> datetime | None:
    """The last moment, ``now`` or before, at which this endpoint's test was to begin.

    Daily on working days, or once a week: on the working day that its id says, or the next one that is.
    """
    place, second = divmod(endpoint_id.int, int(SPREAD.total_seconds()))
    at = OPENS + timedelta(seconds=second)
    today = local_day(now)
    days: Iterator[date]
    if often is Often.DAILY:
        days = (today - timedelta(days=back) for back in range(_MOST_DAYS))
        days = (day for day in days if calendar.is_working(day))
    elif often is Often.WEEKLY:
        first = today - timedelta(days=today.weekday() - place % _WORKING_WEEK)
        days = (calendar.first_working(first - back * WEEK) for back in range(_MOST_WEEKS))
    else:
        return None
    # The later the day, the later its slot: the first that has come is the last one.
    return next((slot for slot in (start_of(day) + at for day in days) if slot <= now), None)


def is_due(tested: Watched, pace: Pace, calendar: WorkingCalendar, *, now: datetime) -> bool:
    """Whether its test is to begin now."""
    often = pace.of(tested.kind)
    slot = last_slot(tested.endpoint_id, often, calendar, now)
    if slot is None or tested.is_paused or not _is_open(slot, now) or _is_new(tested, slot):
        return False
    if tested.kind in PEOPLE and not is_on_duty(tested.hours, now):
        return False
    if tested.tested_at is not None and tested.tested_at >= slot:
        return _is_tried_again(tested) and now >= tested.tested_at + AGAIN_AFTER
    return not _is_proven_by_work(tested, slot - PERIOD[often])


def proof_since(tested: Watched, pace: Pace, calendar: WorkingCalendar, *, now: datetime) -> datetime | None:
    """From when on an answered notice proves as much as the test that is due; none when none is due."""
    often = pace.of(tested.kind)
    slot = last_slot(tested.endpoint_id, often, calendar, now)
    if slot is None:
        return None
    since = slot - PERIOD[often]
    # What came before a test that failed proves nothing about what is wrong now.
    return since if tested.tested_at is None else max(since, tested.tested_at)


def standing(tested: Watched, pace: Pace, calendar: WorkingCalendar, *, now: datetime) -> Standing:
    """How it stands; what a person must do something about comes first."""
    often = pace.of(tested.kind)
    if tested.is_paused:
        return Standing.PAUSED
    if tested.failing_since is not None:
        return Standing.FAILING
    if often is Often.NEVER:
        return Standing.OFF
    if _is_missed(tested, often, last_slot(tested.endpoint_id, often, calendar, now), now):
        return Standing.UNTESTED
    if tested.tested_at is not None and (tested.judged_at is None or tested.cause is not None):
        return Standing.AWAITED
    return Standing.NEW if tested.proven_at is None else Standing.PROVEN


def _is_missed(tested: Watched, often: Often, slot: datetime | None, now: datetime) -> bool:
    if slot is None or _is_new(tested, slot) or now < slot + LATE:
        return False
    if tested.tested_at is not None and tested.tested_at >= slot:
        return False
    return not _is_proven_by_work(tested, slot - PERIOD[often])


def _is_open(slot: datetime, now: datetime) -> bool:
    return local_day(slot) == local_day(now) and now < start_of(local_day(now)) + CLOSES


def _is_new(tested: Watched, slot: datetime) -> bool:
    return slot < tested.since + NEW_FOR


def _is_tried_again(tested: Watched) -> bool:
    return tested.judged_at is not None and tested.cause is not None and 0 < tested.failures < TRIES


def _is_proven_by_work(tested: Watched, since: datetime) -> bool:
    """By a notice that belonged to an alert, or a test that a person sent."""
    if tested.proven_at is None or tested.cause is not None or tested.proof_id == tested.test_id:
        return False
    return tested.proven_at >= since
