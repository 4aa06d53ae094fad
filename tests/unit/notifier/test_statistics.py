"""Published counts point at nobody: small cells are withheld, also where a total would give them away."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.edition import CONCERNS
from notifier.domain.statistics import SMALLEST, Span, count_by_region

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


@pytest.mark.parametrize(
    ("span", "starts", "ends", "published"),
    [
        (Span(2026, 10), "2026-09-30T19:00", "2026-10-31T19:00", "2026-10-31T19:00"),
        (Span(2026, 12), "2026-11-30T19:00", "2026-12-31T19:00", "2026-12-31T19:00"),
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
