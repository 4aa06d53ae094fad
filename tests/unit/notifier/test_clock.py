"""Clocks: the worked figures of the architecture, and what holds for every start."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.calendar import LOCAL, WorkingCalendar, local_day
from notifier.domain.clock import Clock
from tests.factories.law import local, the_lawbook

MOMENT_1 = Clock("working_days", 1, "from_moment")
DAY_3 = Clock("working_days", 3, "from_day")
DAY_10 = Clock("working_days", 10, "from_day")
CLOCKS = [
    Clock("immediately"),
    Clock("hours", 1),
    Clock("same_day"),
    MOMENT_1,
    Clock("working_days", 2, "from_moment"),
    Clock("working_days", 2, "from_day"),
    DAY_3,
    DAY_10,
    Clock("none"),
]
STARTS = st.timedeltas(timedelta(0), timedelta(days=12 * 365)).map(
    lambda since: datetime(2024, 3, 2, tzinfo=UTC) + since
)


@pytest.mark.parametrize(
    ("received", "clock", "due", "breach"),
    [
        ("2026-10-23 15:00:00", MOMENT_1, "2026-10-27 15:00:00", "2026-10-27 23:59:59"),
        ("2026-10-23 15:00:00", DAY_3, "2026-10-28 23:59:59", "2026-10-29 23:59:59"),
        ("2026-10-23 15:00:00", DAY_10, "2026-11-06 23:59:59", "2026-11-09 23:59:59"),
        ("2026-09-12 11:00:00", MOMENT_1, "2026-09-14 23:59:59", "2026-09-14 23:59:59"),
        ("2026-09-12 11:00:00", DAY_3, "2026-09-16 23:59:59", "2026-09-16 23:59:59"),
        ("2026-12-31 23:30:00", MOMENT_1, "2027-01-05 23:30:00", "2027-01-05 23:59:59"),
        ("2026-12-31 23:30:00", DAY_3, "2027-01-06 23:59:59", "2027-01-08 23:59:59"),
        ("2026-10-23 15:00:00", Clock("hours", 1), "2026-10-23 16:00:00", "2026-10-23 16:00:00"),
        ("2026-12-31 23:30:00", Clock("hours", 1), "2027-01-01 00:30:00", "2027-01-01 00:30:00"),
        ("2026-09-12 11:00:00", Clock("same_day"), "2026-09-12 23:59:59", "2026-09-12 23:59:59"),
        ("2026-09-12 11:00:00", Clock("immediately"), "2026-09-12 11:15:00", None),
        ("2026-09-12 11:00:00", Clock("none"), None, None),
    ],
)
def test_worked_figures(received: str, clock: Clock, due: str | None, breach: str | None) -> None:
    expected = (due and local(due), breach and local(breach))
    assert clock.times(local(received), the_lawbook().calendar) == expected


def test_the_day_is_the_local_day() -> None:
    late_evening_in_utc = datetime(2026, 10, 22, 19, 30, tzinfo=UTC)  # 00:30 on Friday in Almaty
    due_at, breach_at = DAY_3.times(late_evening_in_utc, the_lawbook().calendar)
    assert (due_at, breach_at) == (local("2026-10-28 23:59:59"), local("2026-10-29 23:59:59"))


def test_the_zone_of_the_sender_changes_nothing() -> None:
    calendar = the_lawbook().calendar
    here = local("2026-10-23 15:00:00")
    for clock in CLOCKS:
        assert clock.times(here, calendar) == clock.times(here.astimezone(UTC), calendar)


def test_a_start_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        DAY_3.times(local("2026-10-23 15:00:00").replace(tzinfo=None), the_lawbook().calendar)


def test_immediately_is_a_target_and_nothing_else_is() -> None:
    assert [clock.code for clock in CLOCKS if clock.is_target] == ["immediately"]


def test_codes_tell_all_clocks_apart() -> None:
    codes = [clock.code for clock in CLOCKS]
    assert len(set(codes)) == len(codes)
    assert {"immediately", "1h", "same_day", "3wd_from_day", "1wd_from_moment", "none"} <= set(codes)


@pytest.mark.parametrize("clock", CLOCKS, ids=lambda clock: clock.code)
@settings(deadline=None)
@given(starts_at=STARTS)
def test_no_limit_lies_before_its_start_and_none_is_due_after_its_breach(
    clock: Clock, starts_at: datetime
) -> None:
    due_at, breach_at = clock.times(starts_at, the_lawbook().calendar)
    assert due_at is None or due_at >= starts_at
    assert breach_at is None or (due_at is not None and due_at <= breach_at)
    assert all(moment is None or moment.tzinfo is UTC for moment in (due_at, breach_at))


@pytest.mark.parametrize("clock", [MOMENT_1, DAY_3, DAY_10], ids=lambda clock: clock.code)
@settings(deadline=None)
@given(starts_at=STARTS)
def test_working_days_end_on_a_working_day_after_exactly_that_many(clock: Clock, starts_at: datetime) -> None:
    calendar = the_lawbook().calendar
    due_at, breach_at = clock.times(starts_at, calendar)
    assert due_at is not None
    assert breach_at is not None
    received_on, breached_on = local_day(starts_at), local_day(breach_at)
    days = (received_on + timedelta(days=n) for n in range(1, (breached_on - received_on).days + 1))
    assert sum(calendar.is_working(day) for day in days) == clock.amount
    assert calendar.is_working(breached_on)
    assert calendar.is_working(local_day(due_at))


@pytest.mark.parametrize("clock", CLOCKS, ids=lambda clock: clock.code)
@settings(deadline=None)
@given(starts_at=STARTS, later=st.timedeltas(timedelta(0), timedelta(days=40)))
def test_who_hears_later_is_never_due_earlier(clock: Clock, starts_at: datetime, later: timedelta) -> None:
    calendar = the_lawbook().calendar
    first, second = clock.times(starts_at, calendar), clock.times(starts_at + later, calendar)
    for earlier, after in zip(first, second, strict=True):
        assert (earlier is None) == (after is None)
        assert earlier is None or after is None or earlier <= after


@settings(deadline=None)
@given(starts_at=STARTS)
def test_from_the_moment_keeps_the_time_of_day_of_a_working_day(starts_at: datetime) -> None:
    calendar = the_lawbook().calendar
    due_at, breach_at = MOMENT_1.times(starts_at, calendar)
    assert due_at is not None
    if calendar.is_working(local_day(starts_at)) and due_at != breach_at:
        assert due_at.astimezone(LOCAL).time() == starts_at.astimezone(LOCAL).time()


def test_a_moved_day_moves_the_limit() -> None:
    """A government act that makes Saturday 24 October 2026 a working day shortens every count over it."""
    moved = WorkingCalendar({date(2026, 10, 24): True, date(2026, 10, 30): False}, frozenset({2026}))
    friday = local("2026-10-23 15:00:00")
    assert MOMENT_1.times(friday, moved).due_at == local("2026-10-24 15:00:00")
    assert DAY_3.times(friday, moved).due_at == local("2026-10-27 23:59:59")


def test_a_count_into_an_unconfirmed_year_is_provisional_and_still_made() -> None:
    calendar = WorkingCalendar(confirmed_years=frozenset({2026}))
    assert not DAY_3.is_provisional(local("2026-10-23 15:00:00"), calendar)
    assert DAY_3.is_provisional(local("2026-12-31 23:30:00"), calendar)
    assert not Clock("hours", 1).is_provisional(local("2026-12-31 23:30:00"), calendar)
    assert DAY_3.times(local("2031-05-06 10:00:00"), WorkingCalendar()).due_at is not None
