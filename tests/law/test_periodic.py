"""Duties that come with the calendar: their worked examples, ten years with jumps, and planted changes."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, get_args

import pytest
import yaml

from notifier.domain.calendar import WorkingCalendar, local_day
from notifier.domain.periodic import DueBy, Every, Period, PeriodicDuty, periods
from notifier.lawbook import LAW
from tests.factories.law import local, the_lawbook

DUTIES = {duty.id: duty for edition in the_lawbook().editions for duty in edition.periodic}
EARLY, LATE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)


def written_examples() -> dict[str, list[dict[str, Any]]]:
    found = {}
    for path in sorted(LAW.glob("*/*.yaml")):
        for duty in yaml.safe_load(path.read_text(encoding="utf-8")).get("periodic", []):
            found[duty["rule"]] = duty["examples"]
    return found


EXAMPLES = written_examples()


def every_period(duty: PeriodicDuty, calendar: WorkingCalendar | None = None) -> dict[str, Period]:
    found = list(periods(duty, EARLY, LATE, calendar or the_lawbook().calendar))
    assert len({period.key for period in found}) == len(found)
    return {period.key: period for period in found}


def failures(duty: PeriodicDuty, examples: list[dict[str, Any]]) -> Iterator[str]:
    found = every_period(duty)
    for example in examples:
        period = found.get(example["key"])
        if (period is not None) != example.get("owed", True):
            yield f"{example['key']}: owed or not"
        if period is None:
            continue
        if "due" in example and period.due_at != local(example["due"]):
            yield f"{example['key']}: due {period.due_at}"
        breach = example.get("breach", ...)
        if breach is not ... and period.breach_at != (breach and local(breach)):
            yield f"{example['key']}: breach {period.breach_at}"
        if example.get("provisional", period.provisional) != period.provisional:
            yield f"{example['key']}: provisional {period.provisional}"


@pytest.mark.parametrize("duty", DUTIES.values(), ids=DUTIES)
def test_its_examples_hold(duty: PeriodicDuty) -> None:
    assert list(failures(duty, EXAMPLES[duty.id])) == []


@pytest.mark.parametrize("duty", DUTIES.values(), ids=DUTIES)
@pytest.mark.parametrize("seed", range(20))
def test_in_ten_years_with_jumps_no_period_is_missed_and_none_comes_twice(
    duty: PeriodicDuty, seed: int
) -> None:
    """The clock stands still, crawls, leaps over weeks and over more than a year."""
    duty = replace(duty, first=None, last=None)
    random, calendar = Random(seed), the_lawbook().calendar
    start = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=5)  # midnight in Almaty
    end = start.replace(year=start.year + 10)
    seen: list[str] = []
    now = start - timedelta(microseconds=1)
    while now < end:
        leap = random.choice([0.0, 1e-6, 60.0, 3600.0, 86400.0, 30 * 86400.0, 500 * 86400.0])
        later = min(now + timedelta(seconds=leap * random.random()), end)
        seen += [period.key for period in periods(duty, now, later, calendar)]
        now = later if later > now else now + timedelta(seconds=1)
        if now > later:
            seen += [period.key for period in periods(duty, later, min(now, end), calendar)]
    years = range(2026, 2036)
    expected = {
        "month": [f"{year}-{month:02}" for year in years for month in range(1, 13)],
        "quarter": [f"{year}-Q{number}" for year in years for number in range(1, 5)],
        "half_year": [f"{year}-H{number}" for year in years for number in (1, 2)],
        "school_year": [f"{year}/{year + 1}" for year in years],
    }[duty.every]
    opens_at_the_very_end = [key for key in seen if key.startswith("2036")]
    assert [key for key in seen if key not in opens_at_the_very_end] == expected


def test_two_callers_that_ask_for_the_same_time_get_the_same_periods() -> None:
    for duty in DUTIES.values():
        assert every_period(duty) == every_period(duty)


@pytest.mark.parametrize("duty", DUTIES.values(), ids=DUTIES)
def test_every_limit_is_in_order_and_rings_on_a_working_day(duty: PeriodicDuty) -> None:
    calendar = the_lawbook().calendar
    for period in every_period(replace(duty, first=None, last=None)).values():
        assert period.opens_at < period.due_at
        assert calendar.is_working(local_day(period.due_at))
        assert period.breach_at is None or period.due_at <= period.breach_at
        assert period.first_day <= period.last_day


def test_the_plan_has_ten_quarterly_and_five_half_yearly_cycles() -> None:
    quarterly, half_yearly = (every_period(DUTIES[rule]) for rule in ("P748-2.2", "P748-3"))
    assert (len(quarterly), len(half_yearly)) == (10, 5)
    for key, summary in half_yearly.items():
        last_input = quarterly[key.replace("H1", "Q2").replace("H2", "Q4")]
        assert last_input.due_at < summary.due_at


def test_a_school_quarter_that_ends_before_the_calendar_quarter_decides() -> None:
    calendar = WorkingCalendar(school_quarter_ends=frozenset({date(2026, 11, 1), date(2026, 12, 25)}))
    found = every_period(DUTIES["R264-21a.quarter"], calendar)
    assert found["2026-Q4"].due_at == local("2026-12-25 23:59:59")
    assert found["2026-Q3"].due_at == local("2026-09-30 23:59:59")
    halves = every_period(DUTIES["R264-21a.half_year"], calendar)
    assert halves["2026-H2"].due_at == local("2026-12-31 23:59:59")


def test_the_school_year_begins_when_its_act_says_so_and_is_provisional_until_then() -> None:
    calendar = WorkingCalendar(confirmed_years=frozenset({2026}), school_year_starts={2026: date(2026, 9, 3)})
    plan = every_period(DUTIES["R264-23a"], calendar)["2026/2027"]
    assert (plan.first_day, plan.provisional) == (date(2026, 9, 3), False)
    assert plan.due_at == plan.breach_at == local("2026-09-02 23:59:59")


def test_times_without_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        list(periods(DUTIES["R264-22a"], EARLY.replace(tzinfo=None), LATE, the_lawbook().calendar))


def _planted(duty: PeriodicDuty) -> Iterator[tuple[str, PeriodicDuty]]:
    due = duty.due
    for every in get_args(Every):
        if every != duty.every:
            yield f"every {every}", replace(duty, every=every)
    for by in get_args(DueBy):
        if by != due.by:
            yield f"by {by}", replace(duty, due=replace(due, by=by, day=10))
    yield "binding", replace(duty, due=replace(due, binding=not due.binding))
    if due.by == "day_after":
        yield "day", replace(duty, due=replace(due, day=due.day + 1))
        yield "inclusive", replace(duty, due=replace(due, inclusive=not due.inclusive))
    if due.cut_off:
        yield "no cut-off", replace(duty, due=replace(due, cut_off=0))
        yield "another cut-off", replace(duty, due=replace(due, cut_off=due.cut_off + 1))
        for number in (1, 2, 3, 4):
            numbers = tuple(sorted(set(due.cut_off_in) ^ {number}))
            yield f"cut-off ± {number}", replace(duty, due=replace(due, cut_off_in=numbers))
    if duty.first and duty.last:
        half = timedelta(days=200)
        for change in (None, duty.first + half, duty.first - half):
            yield f"first {change}", replace(duty, first=change)
        for change in (None, duty.last + half, duty.last - half):
            yield f"last {change}", replace(duty, last=change)


@pytest.mark.parametrize("duty", DUTIES.values(), ids=DUTIES)
def test_a_change_planted_in_it_makes_one_of_its_examples_fail(duty: PeriodicDuty) -> None:
    unseen = [change for change, wrong in _planted(duty) if not any(failures(wrong, EXAMPLES[duty.id]))]
    assert unseen == []
