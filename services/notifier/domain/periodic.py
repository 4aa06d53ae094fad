"""Duties that come with the calendar and not with an alert: exchange, studies, plans, reports.

Each period of a duty opens at one instant, and a caller asks for what opened between two instants. Intervals
that touch therefore give every period exactly once, however the caller's clock jumps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from notifier.domain.calendar import WorkingCalendar, end_of, local_day, start_of
from notifier.domain.edition import Force, Phrase

Every = Literal["month", "quarter", "half_year", "school_year"]
DueBy = Literal["period_end", "day_after", "school_year_start"]

_MONTHS: dict[Every, int] = {"month": 1, "quarter": 3, "half_year": 6, "school_year": 12}
_PLAN_OPENS = (6, 1)
"""A school year's plan is asked for from 1 June on; the day is ours, and is kept when the start moves."""


@dataclass(frozen=True, slots=True)
class DueRule:
    """When a period's duty is due.

    Attributes:
        by: ``period_end``, ``day_after`` (a day of the month that follows the period), or
            ``school_year_start``: before that day.
        day: for ``day_after``; ``inclusive`` is whether that day itself is still in time (the stricter
            reading decides ``due_at``, the later one ``breach_at``).
        cut_off: working days by which our alarm comes before the limit, in the periods of the year
            numbered in ``cut_off_in`` (1 is the first).
        binding: ``False`` for a reading that drives alarms and no breach.
    """

    by: DueBy
    day: int = 0
    inclusive: bool = True
    cut_off: int = 0
    cut_off_in: tuple[int, ...] = ()
    binding: bool = True


@dataclass(frozen=True, slots=True)
class PeriodicDuty:
    """One duty that returns; other attributes as in ``Rule``.

    Attributes:
        first, last: days between which a period must begin to be owed; open ends are ``None``.
    """

    id: str
    row: str
    act: str
    edition: str
    paragraph: str
    citation: Phrase
    force: Force
    text: Phrase
    reading: Phrase | None
    doubts: tuple[str, ...]
    obliged: tuple[str, ...]
    recipients: tuple[str, ...]
    every: Every
    due: DueRule
    evidence: tuple[str, ...]
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """One period of one duty.

    Attributes:
        rule: id of the duty.
        key: unique within it: ``2026-10``, ``2026-Q4``, ``2026-H2``, ``2026/2027``.
        first_day, last_day: the period reported on.
        opens_at, due_at, breach_at: UTC; ``breach_at`` is ``None`` for a reading that binds nobody.
        provisional: a day of it was counted over dates that nobody has confirmed.
    """

    rule: str
    key: str
    first_day: date
    last_day: date
    opens_at: datetime
    due_at: datetime
    breach_at: datetime | None
    provisional: bool


def periods(
    duty: PeriodicDuty, after: datetime, until: datetime, calendar: WorkingCalendar
) -> Iterator[Period]:
    """Every period that opens after ``after`` and not after ``until``, in sequence.

    Both must be aware (``ValueError``). Pure: the same interval always gives the same periods.
    """
    if after.tzinfo is None or until.tzinfo is None:
        raise ValueError("after and until must be aware")
    year = local_day(after).year - 1
    number = 1
    while True:
        first_day = _first_day(duty.every, year, number)
        opens_at = start_of(_opens_on(duty.every, first_day))
        if opens_at > until:
            return
        if opens_at > after and _is_owed(duty, first_day):
            yield _period(duty, year, number, first_day, opens_at.astimezone(UTC), calendar)
        number += 1
        if number > 12 // _MONTHS[duty.every]:
            year, number = year + 1, 1


def _is_owed(duty: PeriodicDuty, first_day: date) -> bool:
    return (duty.first is None or first_day >= duty.first) and (duty.last is None or first_day <= duty.last)


def _first_day(every: Every, year: int, number: int) -> date:
    if every == "school_year":
        return date(year, 9, 1)
    return date(year, (number - 1) * _MONTHS[every] + 1, 1)


def _opens_on(every: Every, first_day: date) -> date:
    return date(first_day.year, *_PLAN_OPENS) if every == "school_year" else first_day


def _period(
    duty: PeriodicDuty,
    year: int,
    number: int,
    first_day: date,
    opens_at: datetime,
    calendar: WorkingCalendar,
) -> Period:
    confirmed = True
    if duty.every == "school_year":
        first_day, confirmed = calendar.school_year_start(year)
    last_day = _month_after(_first_day(duty.every, year, number), _MONTHS[duty.every]) - timedelta(days=1)
    due_on, breach_on = _limits(duty, number, first_day, last_day, calendar)
    return Period(
        rule=duty.id,
        key=_key(duty.every, year, number),
        first_day=first_day,
        last_day=last_day,
        opens_at=opens_at,
        due_at=end_of(due_on),
        breach_at=end_of(breach_on) if duty.due.binding else None,
        provisional=not confirmed or calendar.is_provisional(due_on, breach_on),
    )


def _limits(
    duty: PeriodicDuty, number: int, first_day: date, last_day: date, calendar: WorkingCalendar
) -> tuple[date, date]:
    """The strict day, always a working day, and the last day by the later reading."""
    due = duty.due
    match due.by:
        case "school_year_start":
            strict = latest = first_day - timedelta(days=1)
        case "day_after":
            latest = last_day + timedelta(days=due.day)
            strict = latest if due.inclusive else latest - timedelta(days=1)
        case _:
            latest = last_day
            strict = calendar.school_quarter_end(first_day, last_day) if duty.every == "quarter" else last_day
    strict = calendar.last_working(strict)
    for _ in range(due.cut_off if number in due.cut_off_in else 0):
        strict = calendar.last_working(strict - timedelta(days=1))
    return strict, latest


def _month_after(day: date, count: int) -> date:
    months = day.year * 12 + day.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def _key(every: Every, year: int, number: int) -> str:
    match every:
        case "month":
            return f"{year}-{number:02}"
        case "quarter":
            return f"{year}-Q{number}"
        case "half_year":
            return f"{year}-H{number}"
        case _:
            return f"{year}/{year + 1}"
