"""Working days of Kazakhstan, and the local day that the orders count in.

The ``holidays`` library knows the statutory days off and most moved days; one override file per year
(``law/calendar/<year>.yaml``, read by ``notifier.lawbook``) adds what a government act moved. A year
without a file still runs on the library's calendar, but every date that touches it is *provisional*
(architecture §3).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

_SINCE_MARCH_2024 = timedelta(hours=5)
_END_OF_DAY = time(23, 59, 59)
REMEMBERED = 4096


def _local_zone() -> tzinfo:
    """Asia/Almaty, or plain UTC+5 on a machine whose zone data predates the change of 1 March 2024."""
    try:
        zone = ZoneInfo("Asia/Almaty")
    except ZoneInfoNotFoundError:
        return timezone(_SINCE_MARCH_2024, "Asia/Almaty")
    if datetime(2024, 6, 1, tzinfo=zone).utcoffset() != _SINCE_MARCH_2024:
        return timezone(_SINCE_MARCH_2024, "Asia/Almaty")
    return zone


LOCAL = _local_zone()
"""Time zone of every day count; the whole country since 2024-03-01."""


def local_day(moment: datetime) -> date:
    """The calendar day of an aware instant in Kazakhstan."""
    return moment.astimezone(LOCAL).date()


def start_of(day: date) -> datetime:
    """00:00:00 local of the day, in UTC."""
    return datetime.combine(day, time.min, tzinfo=LOCAL).astimezone(UTC)


def end_of(day: date) -> datetime:
    """23:59:59 local of the day, in UTC."""
    return datetime.combine(day, _END_OF_DAY, tzinfo=LOCAL).astimezone(UTC)


@lru_cache(maxsize=8192)
def _library_says_working(day: date) -> bool:
    return bool(_kazakhstan().is_working_day(day))


@lru_cache(maxsize=1)
def _kazakhstan() -> holidays.HolidayBase:
    return holidays.country_holidays("KZ")


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """Which days are worked.

    Attributes:
        overrides: day → is it worked; beats the library. Each comes from an act named in its year's file.
        confirmed_years: years with a file; a date of any other year is provisional.
        school_year_starts: year → first day of the school year that begins in it, where an act names it.
        school_quarter_ends: last days of school quarters, where an act names them.
    """

    overrides: Mapping[date, bool] = field(default_factory=dict)
    confirmed_years: frozenset[int] = frozenset()
    school_year_starts: Mapping[int, date] = field(default_factory=dict)
    school_quarter_ends: frozenset[date] = frozenset()
    _counted: dict[tuple[date, int], date] = field(default_factory=dict, repr=False, compare=False)

    def is_working(self, day: date) -> bool:
        """True when the day is worked, moved days included."""
        moved = self.overrides.get(day)
        return _library_says_working(day) if moved is None else moved

    def first_working(self, day: date) -> date:
        """The day itself when it is worked, else the next one that is."""
        while not self.is_working(day):
            day += timedelta(days=1)
        return day

    def last_working(self, day: date) -> date:
        """The day itself when it is worked, else the last one before it that is."""
        while not self.is_working(day):
            day -= timedelta(days=1)
        return day

    def after(self, day: date, count: int) -> date:
        """The ``count``-th working day after ``day``; the day itself never counts."""
        known = self._counted.get((day, count))
        if known is None:
            known = day
            for _ in range(count):
                known = self.first_working(known + timedelta(days=1))
            if len(self._counted) > REMEMBERED:
                self._counted.clear()
            # Every duty of every alert of a day asks for the same few.
            self._counted[day, count] = known
        return known

    def is_provisional(self, first: date, last: date) -> bool:
        """True when a day of the span lies in a year without an override file."""
        return any(year not in self.confirmed_years for year in range(first.year, last.year + 1))

    def unconfirmed_years(self, today: date, ahead: timedelta = timedelta(days=60)) -> tuple[int, ...]:
        """Years without a file that clocks of today, or of the time ahead, may touch: one alarm each."""
        years = range(today.year, (today + ahead).year + 1)
        return tuple(year for year in years if year not in self.confirmed_years)

    def school_year_start(self, year: int) -> tuple[date, bool]:
        """First day of the school year that begins in ``year``, and whether an act names it.

        1 September until one does.
        """
        named = self.school_year_starts.get(year)
        return (named, True) if named else (date(year, 9, 1), False)

    def school_quarter_end(self, first: date, last: date) -> date:
        """The end that comes first: of the calendar quarter, or of the school quarter that ends last in it.

        Тоқсан means both (``law/discrepancies.md`` K15).
        """
        return max((day for day in self.school_quarter_ends if first <= day <= last), default=last)

    def days_off(self, first: date, last: date) -> Iterator[date]:
        """Every day of the span, both ends included, that is not worked."""
        day = first
        while day <= last:
            if not self.is_working(day):
                yield day
            day += timedelta(days=1)
