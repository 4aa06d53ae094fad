"""What may be published of many alerts: counts by region and concern, never so few that they name a child.

A published month does not change. What was in conflict when the month ended is left out of it for good,
whatever becomes of the conflict later: a changed figure would tell that an alert exists
(anchors/trust.md §4.5). The yearly release counts every alert.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from notifier.domain.calendar import start_of
from notifier.domain.edition import CONCERNS

SMALLEST = 10
"""A cell below it is not published; nor is a total from which such a cell could be worked out."""
YEAR_PUBLISHED = (2, 1)
"""The yearly release: 1 February of the year after."""


@dataclass(frozen=True, slots=True)
class Span:
    """A month, or a whole year, in local days."""

    year: int
    month: int | None

    @property
    def starts_at(self) -> datetime:
        """First instant, UTC."""
        return start_of(date(self.year, self.month or 1, 1))

    @property
    def ends_at(self) -> datetime:
        """First instant after it, UTC."""
        if self.month is None or self.month == 12:
            return start_of(date(self.year + 1, 1, 1))
        return start_of(date(self.year, self.month + 1, 1))

    @property
    def published_at(self) -> datetime:
        """From when on it may be asked for."""
        return self.ends_at if self.month else start_of(date(self.year + 1, *YEAR_PUBLISHED))


@dataclass(frozen=True, slots=True)
class RegionCount:
    """One region; ``None`` stands for a count that is not published."""

    region: str
    total: int | None
    concerns: dict[str, int | None]


def count_by_region(alerts: Iterable[tuple[str, Iterable[str]]]) -> tuple[RegionCount, ...]:
    """Counts of alerts given as (region, concerns), by region code; an alert counts once for each concern.

    Every region that has a published count is named, and no other: an empty row and a withheld one must
    not differ.
    """
    totals: dict[str, int] = defaultdict(int)
    cells: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for region, concerns in alerts:
        totals[region] += 1
        for concern in set(concerns):
            cells[region][concern] += 1
    rows = (_row(region, totals[region], cells[region]) for region in sorted(totals))
    return tuple(row for row in rows if row.total is not None or any(row.concerns.values()))


def _row(region: str, total: int, found: dict[str, int]) -> RegionCount:
    shown = {
        concern: number if (number := found.get(concern, 0)) >= SMALLEST else None for concern in CONCERNS
    }
    # What the total would tell beyond the shown cells must itself be no small number.
    beyond = total - sum(number for number in shown.values() if number is not None)
    hides_something = any(number is None for number in shown.values())
    is_safe = total >= SMALLEST and not (hides_something and beyond < SMALLEST)
    return RegionCount(region, total if is_safe else None, shown)
