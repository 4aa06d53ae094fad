"""Working days of Kazakhstan."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.calendar import LOCAL, WorkingCalendar, end_of, local_day, start_of

CALENDAR = WorkingCalendar()


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (date(2024, 5, 4), True),  # a Saturday worked for 8 May
        (date(2024, 5, 8), False),
        (date(2025, 1, 3), False),
        (date(2026, 1, 7), False),  # Orthodox Christmas is never moved
        (date(2026, 3, 9), False),  # for Sunday 8 March
        (date(2026, 3, 25), False),
        (date(2026, 5, 27), False),  # Kurban Ait
        (date(2026, 10, 26), False),  # for Sunday 25 October
        (date(2026, 12, 16), False),
        (date(2026, 12, 17), True),
        (date(2027, 1, 4), False),
        (date(2027, 3, 15), False),  # Constitution Day, from 2027
    ],
)
def test_days_the_library_knows(day: date, *, worked: bool) -> None:
    assert CALENDAR.is_working(day) is worked


def test_an_override_beats_the_library() -> None:
    calendar = WorkingCalendar({date(2026, 10, 26): True, date(2026, 10, 27): False}, frozenset({2026}))
    assert calendar.is_working(date(2026, 10, 26))
    assert not calendar.is_working(date(2026, 10, 27))


def test_the_day_itself_never_counts_after_it() -> None:
    assert CALENDAR.after(date(2026, 10, 23), 1) == date(2026, 10, 27)
    assert CALENDAR.after(date(2026, 10, 23), 0) == date(2026, 10, 23)
    assert CALENDAR.first_working(date(2026, 10, 24)) == date(2026, 10, 27)
    assert CALENDAR.first_working(date(2026, 10, 27)) == date(2026, 10, 27)


def test_days_off_are_listed_with_both_ends() -> None:
    assert list(CALENDAR.days_off(date(2026, 10, 23), date(2026, 10, 27))) == [
        date(2026, 10, 24),
        date(2026, 10, 25),
        date(2026, 10, 26),
    ]


def test_a_year_without_a_file_is_provisional() -> None:
    calendar = WorkingCalendar(confirmed_years=frozenset({2026}))
    assert not calendar.is_provisional(date(2026, 1, 1), date(2026, 12, 31))
    assert calendar.is_provisional(date(2026, 12, 31), date(2027, 1, 5))


def test_the_years_that_need_a_file_are_named_before_they_begin() -> None:
    calendar = WorkingCalendar(confirmed_years=frozenset({2026}))
    assert calendar.unconfirmed_years(date(2026, 6, 1)) == ()
    assert calendar.unconfirmed_years(date(2026, 11, 21)) == (2027,)
    assert calendar.unconfirmed_years(date(2027, 1, 5)) == (2027,)
    assert calendar.unconfirmed_years(date(2025, 12, 15)) == (2025,)


DAYS = st.dates(date(2024, 1, 1), date(2040, 12, 31))
MOVED = st.dictionaries(DAYS, st.booleans(), max_size=40)


@settings(deadline=None)
@given(day=DAYS, moved=MOVED, count=st.integers(0, 30))
def test_counting_holds_whatever_days_are_moved(day: date, moved: dict[date, bool], count: int) -> None:
    calendar = WorkingCalendar(moved)
    assert all(calendar.is_working(each) is worked for each, worked in moved.items())
    first, last = calendar.first_working(day), calendar.last_working(day)
    assert calendar.is_working(first)
    assert calendar.is_working(last)
    assert last <= day <= first
    assert (first == day) == (last == day) == calendar.is_working(day)
    end = calendar.after(day, count)
    between = [day + timedelta(days=number) for number in range(1, (end - day).days + 1)]
    assert sum(map(calendar.is_working, between)) == count
    assert set(calendar.days_off(day, end)) == {
        each for each in [day, *between] if not calendar.is_working(each)
    }
    assert calendar.after(calendar.after(day, count), 1) == calendar.after(day, count + 1)


@settings(deadline=None)
@given(day=DAYS, later=st.integers(0, 400), count=st.integers(0, 30))
def test_who_starts_later_never_ends_earlier(day: date, later: int, count: int) -> None:
    assert CALENDAR.after(day, count) <= CALENDAR.after(day + timedelta(days=later), count)


@settings(deadline=None)
@given(day=DAYS)
def test_saturdays_and_sundays_are_worked_only_where_an_act_moved_them(day: date) -> None:
    """From 2026 on the library knows no moved day, so nothing but a year file can make one."""
    if day.weekday() >= 5 and day.year >= 2026:
        assert not CALENDAR.is_working(day)
        assert WorkingCalendar({day: True}).is_working(day)


def test_the_country_is_five_hours_ahead_since_march_2024() -> None:
    assert datetime(2026, 1, 1, tzinfo=LOCAL).utcoffset() == timedelta(hours=5)
    assert local_day(datetime(2026, 10, 22, 19, 0, tzinfo=UTC)) == date(2026, 10, 23)
    assert start_of(date(2026, 10, 23)) == datetime(2026, 10, 22, 19, 0, tzinfo=UTC)
    assert end_of(date(2026, 10, 23)) == datetime(2026, 10, 23, 18, 59, 59, tzinfo=UTC)
