"""What may be published of many alerts: counts by region and concern, never so few that they name a child.

Nothing published changes: a span counts what the ledger knew when it was closed, with the facts as they
stood then. What was in conflict when a month ended is left out of it for good, whatever becomes of the
conflict later: a changed figure would tell that an alert exists (anchors/trust.md §4.5).

A yearly figure adds to the sum of its months what those left out (few alerts, conflicts, what was learned
later) only where that is no small number. Otherwise it is the sum of its months: a withheld figure would
tell that there is something to withhold.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import combinations

from notifier.domain.calendar import start_of
from notifier.domain.edition import CONCERNS

SMALLEST = 10
"""A cell below it is not published; nor is a total from which such a cell could be worked out."""
SETTLED = timedelta(hours=1)
"""By then what was begun before a span was closed is stored, or given up."""
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
        return self.closed_at + SETTLED

    @property
    def closed_at(self) -> datetime:
        """What the ledger learns from then on is not counted."""
        return self.ends_at if self.month else start_of(date(self.year + 1, *YEAR_PUBLISHED)) - SETTLED

    @property
    def months(self) -> tuple["Span", ...]:
        """The months of the year; none for a month."""
        return () if self.month else tuple(Span(self.year, month) for month in range(1, 13))


@dataclass(frozen=True, slots=True)
class RegionCount:
    """One region; ``None`` stands for a count that is not published."""

    region: str
    total: int | None
    concerns: dict[str, int | None]

    @property
    def sum(self) -> int:
        """Of the concerns that are shown."""
        return sum(number or 0 for number in self.concerns.values())

    @property
    def hidden(self) -> frozenset[str]:
        """The concerns that are not shown."""
        return frozenset(concern for concern, number in self.concerns.items() if number is None)

    @property
    def rest(self) -> int:
        """What a published total tells beyond the shown concerns."""
        return 0 if self.total is None else self.total - self.sum


def count_by_region(alerts: Iterable[tuple[str, Iterable[str]]]) -> tuple[RegionCount, ...]:
    """Counts of alerts given as (region, concerns), by region code; an alert counts once for each concern.

    Every region that has a published count is named, and no other: an empty row and a withheld one must
    not differ.
    """
    totals, cells = _counted(alerts)
    return _named(_row(region, totals[region], cells[region]) for region in totals)


def count_year(
    alerts: Iterable[tuple[str, Iterable[str]]], months: Iterable[Sequence[RegionCount]]
) -> tuple[RegionCount, ...]:
    """Counts of a year whose months are published: no difference between the two is a small number."""
    totals, cells = _counted(alerts)
    published: dict[str, list[RegionCount]] = defaultdict(list)
    for rows in months:
        for row in rows:
            published[row.region].append(row)
    return _named(
        _year_row(region, totals[region], cells[region], published[region])
        for region in totals.keys() | published.keys()
    )


def _counted(
    alerts: Iterable[tuple[str, Iterable[str]]],
) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    totals: dict[str, int] = defaultdict(int)
    cells: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for region, concerns in alerts:
        totals[region] += 1
        for concern in set(concerns):
            cells[region][concern] += 1
    return totals, cells


def _named(rows: Iterable[RegionCount]) -> tuple[RegionCount, ...]:
    shown = (row for row in rows if row.total is not None or any(row.concerns.values()))
    return tuple(sorted(shown, key=lambda row: row.region))


def _row(region: str, total: int, found: dict[str, int]) -> RegionCount:
    shown = {
        concern: number if (number := found.get(concern, 0)) >= SMALLEST else None for concern in CONCERNS
    }
    return _with_total(RegionCount(region, None, shown), total)


def _with_total(row: RegionCount, total: int) -> RegionCount:
    """With its total, where nothing that it tells beyond or beside the shown cells is a small number."""
    whole = replace(row, total=total)
    if row.hidden:
        is_safe = whole.rest >= SMALLEST
    else:
        # An alert counts for each of its concerns: so few have several, or so few have not this one.
        beside = [-whole.rest, *(total - number for number in row.concerns.values() if number is not None)]
        is_safe = all(number == 0 or number >= SMALLEST for number in beside)
    return whole if is_safe and total >= SMALLEST else row


def _year_row(region: str, total: int, found: dict[str, int], months: Sequence[RegionCount]) -> RegionCount:
    told = {concern: sum(month.concerns[concern] or 0 for month in months) for concern in CONCERNS}
    gains = {concern: found.get(concern, 0) - told[concern] for concern in CONCERNS}
    news = {concern: gain for concern, gain in gains.items() if gain >= SMALLEST}
    # Who knows that there was none at all of some concern is to learn nothing by it.
    hidden = [(month.rest, month.hidden & found.keys()) for month in months if month.hidden]
    while not _is_apart(news, hidden):
        del news[min(news, key=lambda concern: news[concern])]
    shown = {concern: (number + news.get(concern, 0)) or None for concern, number in told.items()}
    row = RegionCount(region, None, shown)
    totals = sum(month.total or 0 for month in months)
    if total - totals < SMALLEST:
        return _with_total(row, totals)
    return _with_total(row, total) if _is_apart(news | {_OTHERS: total - row.sum}, hidden) else row


_OTHERS = "others"
"""The concerns of which a year tells no more than its months, together: its total tells of them."""


def _is_apart(news: dict[str, int], months: Sequence[tuple[int, frozenset[str]]]) -> bool:
    """Whether what a year tells beyond its months gives no small number away.

    Of some concerns together that is so many alerts. A month with a total says how many of its own are among
    them, where it hides no other concern: those can be taken away, of one such month or of several.

    Args:
        news: so many alerts, by concern.
        months: so many alerts of hidden concerns, and which those are.
    """
    rests = [(rest, {name if name in news else _OTHERS for name in hidden}) for rest, hidden in months]
    for number in range(1, len(news) + 1):
        for some in combinations(news, number):
            own = sum(rest for rest, hidden in rests if hidden <= set(some))
            left = sum(news[concern] for concern in some) - own
            if left != 0 and left < SMALLEST:
                return False
    return True
