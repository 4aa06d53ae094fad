"""Published counts point at nobody: small cells are withheld, also where a total would give them away."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.domain.edition import CONCERNS
from notifier.domain.statistics import SMALLEST, Span, count_by_region, count_year

REGIONS = st.sampled_from(["KZ-75", "KZ-71", "KZ-10"])
ONE = st.sampled_from(CONCERNS).map(lambda one: [one])
MANY = st.lists(st.sampled_from(CONCERNS), min_size=1, max_size=3)


@given(st.lists(st.tuples(REGIONS, ONE | MANY), max_size=120))
def test_no_published_number_is_small_and_none_can_be_subtracted_to_be(
    alerts: Sequence[tuple[str, list[str]]],
) -> None:
    for row in count_by_region(alerts):
        shown = [number for number in row.concerns.values() if number is not None]
        assert all(number >= SMALLEST for number in shown)
        if row.total is not None:
            assert row.total >= SMALLEST
            if len(shown) < len(CONCERNS):
                assert row.total - sum(shown) >= SMALLEST


@given(st.lists(st.tuples(REGIONS, MANY), max_size=9))
def test_a_region_with_few_alerts_looks_like_one_with_none(alerts: Sequence[tuple[str, list[str]]]) -> None:
    assert count_by_region(alerts) == ()


def test_what_is_enough_is_published() -> None:
    [row] = count_by_region([("KZ-75", ["violence"])] * 12 + [("KZ-75", ["bullying"])] * 3)
    assert row.concerns["violence"] == 12
    assert row.concerns["bullying"] is None
    assert row.total is None  # 15 would say that three are hidden


USED = CONCERNS[:3]
NUMBER = st.integers(0, 25) | st.sampled_from((0, 1, 3, 8, 9, 10, 11, 12, 20))
MONTH = st.tuples(NUMBER, NUMBER, NUMBER)
Cell = tuple[int, str]


def alerts_of(month: Sequence[int]) -> list[tuple[str, list[str]]]:
    """So many alerts of each concern, all in one region."""
    return [("KZ-75", [concern]) for concern, number in zip(USED, month, strict=True) for _ in range(number)]


def told_by(months: Sequence[Sequence[int]], left_out: Sequence[int]) -> list[tuple[int, frozenset[Cell]]]:
    """Each published figure, and the cells that it counts: the last month is what is left out.

    A yearly figure that is no more than its months counts what they count.
    """
    figures: list[tuple[int, frozenset[Cell]]] = []
    shown = [count_by_region(alerts_of(month)) for month in months]
    for place, rows in enumerate(shown):
        for row in rows:
            figures += [
                (number, frozenset({(place, concern)})) for concern, number in row.concerns.items() if number
            ]
            if row.total:
                figures.append((row.total, frozenset((place, concern) for concern in USED)))
    every = [alert for month in (*months, left_out) for alert in alerts_of(month)]
    for row in count_year(every, shown):
        for concern, number in row.concerns.items():
            monthly = sum(each.concerns[concern] or 0 for rows in shown for each in rows)
            if number and number != monthly:
                cells = frozenset((place, concern) for place in range(len(months) + 1))
                figures.append((number, cells))
        monthly = sum(each.total or 0 for rows in shown for each in rows)
        if row.total and row.total != monthly:
            cells = frozenset((place, concern) for place in range(len(months) + 1) for concern in USED)
            figures.append((row.total, cells))
    return figures


def smallest_told(figures: Sequence[tuple[int, frozenset[Cell]]]) -> int | None:
    """The smallest number of alerts above none that any sums and differences of the figures give away."""
    single = {next(iter(cells)): number for number, cells in figures if len(cells) == 1}
    rests = [
        (
            number - sum(single[cell] for cell in cells if cell in single),
            frozenset(cell for cell in cells if cell not in single),
        )
        for number, cells in figures
        if len(cells) > 1
    ]
    places = sorted({cell for _, cells in rests for cell in cells})
    rows = [(number, [cell in cells for cell in places]) for number, cells in rests]
    found = list(single.values())
    for signs in itertools.product((-1, 0, 1), repeat=len(rows)):
        used = [(sign, number, row) for sign, (number, row) in zip(signs, rows, strict=True) if sign]
        number = sum(sign * number for sign, number, _ in used)
        counted = (sum(sign * row[at] for sign, _, row in used) for at in range(len(places)))
        if number > 0 and all(0 <= each <= 1 for each in counted):
            found.append(number)
    return min(found, default=None)


@given(st.lists(MONTH, min_size=1, max_size=3), MONTH)
@example([(12, 9, 1)] * 3, (0, 0, 0))  # three totals less two yearly cells would be three
@example([(12, 11, 14)] * 2, (1, 0, 2))
@example([(20, 9, 9), (20, 5, 0)], (0, 0, 3))
@example([(9, 12, 10), (11, 9, 5)], (8, 2, 5))  # two yearly gains less one monthly rest would be seven
@example([(9, 8, 13), (5, 5, 10), (10, 13, 0)], (3, 3, 10))
def test_no_difference_of_months_and_year_is_a_small_number(
    months: Sequence[Sequence[int]], left_out: Sequence[int]
) -> None:
    """``left_out``: conflicts and what came late, which the year alone counts."""
    smallest = smallest_told(told_by(months, left_out))
    assert smallest is None or smallest >= SMALLEST


@given(st.lists(MONTH, min_size=1, max_size=4), st.integers(0, 9))
def test_a_few_conflicts_change_no_figure_of_a_year_whose_months_are_shown(
    months: Sequence[Sequence[int]], conflicts: int
) -> None:
    full = [[number + SMALLEST for number in month] for month in months]
    shown = [count_by_region(alerts_of(month)) for month in full]
    every = [alert for month in full for alert in alerts_of(month)]
    with_conflicts = [*every, *alerts_of([conflicts, 0, 0])]
    assert count_year(with_conflicts, shown) == count_year(every, shown)
    [row] = count_year(with_conflicts, shown)
    assert [row.concerns[concern] for concern in USED] == [sum(each) for each in zip(*full, strict=True)]


def test_what_the_months_leave_out_is_published_where_it_is_many() -> None:
    shown = [count_by_region(alerts_of((12, 9, 0))) for _ in range(12)]
    every = [alert for _ in range(12) for alert in alerts_of((12, 9, 0))]
    [row] = count_year(every, shown)
    assert [row.concerns[concern] for concern in USED] == [144, 108, None]
    assert row.total is None


@pytest.mark.parametrize(
    ("span", "starts", "ends", "published"),
    [
        (Span(2026, 10), "2026-09-30T19:00", "2026-10-31T19:00", "2026-10-31T20:00"),
        (Span(2026, 12), "2026-11-30T19:00", "2026-12-31T19:00", "2026-12-31T20:00"),
        (Span(2026, None), "2025-12-31T19:00", "2026-12-31T19:00", "2027-01-31T19:00"),
    ],
)
def test_a_month_ends_by_local_midnight_and_a_year_is_released_in_february(
    span: Span, starts: str, ends: str, published: str
) -> None:
    found = (span.starts_at, span.ends_at, span.published_at)
    assert found == tuple(
        datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (starts, ends, published)
    )
