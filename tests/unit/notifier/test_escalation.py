"""The ladder: its order, its times, what an agency lacks, and clocks that jump."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.escalation import CLIMB, POLICIES, Climb, Policy, Rung, climb, first_look, paced
from notifier.domain.roster import is_on_duty
from notifier.domain.schedule import Urgency

T0 = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
FULL = (Rung.SECOND_ENDPOINT, Rung.DUTY_PHONE, Rung.SUPERIOR)

LADDERS = st.sets(st.sampled_from(FULL)).map(frozenset)
URGENCIES = st.sampled_from(list(Urgency))
DEADLINES = st.one_of(
    st.none(), st.integers(min_value=-3600, max_value=30 * 86400).map(lambda s: T0 + timedelta(seconds=s))
)
LEAPS = st.lists(st.integers(min_value=0, max_value=3 * 86400), min_size=1, max_size=30)


@dataclass
class Silent:
    """One silence, climbed as the ledger climbs it: only when its wake-up time has come."""

    policy: Policy
    deadline: datetime | None = None
    again_at: datetime = T0
    climbed: list[tuple[Rung, datetime]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.again_at = first_look(self.policy, since=T0, deadline=self.deadline)

    def look(self, now: datetime, ladder: Collection[Rung], *, at_once: bool = False) -> Climb | None:
        if now < self.again_at and not at_once:
            return None
        found = climb(
            self.policy,
            since=T0,
            deadline=self.deadline,
            climbed={rung for rung, _ in self.climbed},
            ladder=ladder,
            now=now,
            at_once=at_once,
        )
        self.climbed += [(rung, now) for rung in found.rungs]
        self.again_at = found.again_at
        return found

    @property
    def rungs(self) -> list[Rung]:
        return [rung for rung, _ in self.climbed]


def minutes(*values: float) -> list[datetime]:
    return [T0 + timedelta(minutes=value) for value in values]


def test_an_immediate_notice_climbs_after_2_5_10_and_15_minutes_and_then_calls_for_ever() -> None:
    silent = Silent(POLICIES[Urgency.IMMEDIATE], T0 + timedelta(hours=1))
    for second in range(31 * 60):
        silent.look(T0 + timedelta(seconds=second), FULL)
    assert silent.climbed == list(
        zip(
            [*CLIMB, Rung.OPERATOR, Rung.OPERATOR, Rung.OPERATOR],
            minutes(2, 5, 10, 15, 20, 25, 30),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("urgency", "hours", "expected"),
    [(Urgency.URGENT, 12, (3, 6, 9, 10.8)), (Urgency.ROUTINE, 100, (50, 80, 100, 100))],
)
def test_other_notices_climb_by_parts_of_their_time(
    urgency: Urgency, hours: int, expected: tuple[float, ...]
) -> None:
    silent = Silent(POLICIES[urgency], T0 + timedelta(hours=hours))
    while Rung.OPERATOR not in silent.rungs:
        silent.look(silent.again_at, FULL)
    assert [at for _, at in silent.climbed] == [T0 + timedelta(hours=each) for each in expected]
    assert silent.rungs == list(CLIMB)


def test_what_an_agency_lacks_is_never_waited_for() -> None:
    silent = Silent(POLICIES[Urgency.IMMEDIATE])
    silent.look(minutes(2)[0], ())
    assert silent.rungs == [Rung.OPERATOR]
    poor = Silent(POLICIES[Urgency.IMMEDIATE])
    poor.look(minutes(2)[0], [Rung.SUPERIOR])
    poor.look(minutes(5)[0], [Rung.SUPERIOR])
    assert poor.climbed == list(zip([Rung.SUPERIOR, Rung.OPERATOR], minutes(2, 5), strict=True))


def test_a_dead_way_climbs_at_once_and_the_rest_keeps_its_times() -> None:
    silent = Silent(POLICIES[Urgency.IMMEDIATE])
    silent.look(minutes(0.5)[0], FULL, at_once=True)
    assert silent.rungs == [Rung.SECOND_ENDPOINT]
    assert silent.again_at == minutes(5)[0]
    silent.look(minutes(1)[0], FULL, at_once=True)
    assert silent.rungs == [Rung.SECOND_ENDPOINT, Rung.DUTY_PHONE]
    assert silent.again_at == minutes(10)[0]


def test_who_comes_on_duty_later_is_called_beside_the_operator() -> None:
    silent = Silent(POLICIES[Urgency.URGENT], T0 + timedelta(hours=12))
    while Rung.OPERATOR not in silent.rungs:
        silent.look(silent.again_at, [])
    silent.look(silent.again_at, [Rung.DUTY_PHONE])
    silent.look(silent.again_at, [Rung.DUTY_PHONE])
    assert silent.rungs == [Rung.OPERATOR, Rung.DUTY_PHONE, Rung.OPERATOR, Rung.OPERATOR]


@given(URGENCIES, DEADLINES, LADDERS, LEAPS)
def test_however_the_clock_jumps_each_rung_is_climbed_once_in_its_order(
    urgency: Urgency, deadline: datetime | None, ladder: frozenset[Rung], leaps: list[int]
) -> None:
    jumping, crawling = (Silent(POLICIES[urgency], deadline) for _ in range(2))
    now = T0
    for leap in leaps:
        now += timedelta(seconds=leap)
        jumping.look(now, ladder)
        assert jumping.again_at > now
    while crawling.again_at <= now:
        crawling.look(crawling.again_at, ladder)
    people = [rung for rung in jumping.rungs if rung is not Rung.OPERATOR]
    assert people == sorted(set(people))
    assert set(people) <= ladder
    # What was climbed until now does not hang on how often somebody looked.
    assert set(jumping.rungs) == set(crawling.rungs)
    if Rung.OPERATOR in jumping.rungs:
        assert set(people) == ladder


@given(URGENCIES, DEADLINES, LADDERS, st.lists(st.booleans(), max_size=8))
def test_no_rung_is_later_than_its_place_and_the_operator_always_comes(
    urgency: Urgency, deadline: datetime | None, ladder: frozenset[Rung], deaths: list[bool]
) -> None:
    policy = POLICIES[urgency]
    silent = Silent(policy, deadline)
    for is_dead in deaths:
        silent.look(
            silent.again_at - timedelta(seconds=1) if is_dead else silent.again_at, ladder, at_once=is_dead
        )
    while Rung.OPERATOR not in silent.rungs:
        silent.look(silent.again_at, ladder)
    moments = policy.moments(T0, deadline)
    first = dict(reversed(silent.climbed))
    for rung, at in first.items():
        assert at <= moments[rung - 1]
    before = len(silent.climbed)
    for _ in range(3):
        silent.look(silent.again_at, ladder)
    assert silent.rungs[before:] == [Rung.OPERATOR] * 3


def test_an_installation_may_set_the_pace_and_all_of_it_follows() -> None:
    quick = paced(POLICIES[Urgency.IMMEDIATE], timedelta(seconds=20))
    assert quick.moments(T0, None) == tuple(T0 + timedelta(seconds=each) for each in (20, 50, 100, 150))
    assert quick.repeat == timedelta(seconds=50)
    assert paced(POLICIES[Urgency.URGENT], None) is POLICIES[Urgency.URGENT]


WEEK: dict[str, Any] = {
    "weekly": [
        *({"day": day, "opens": "09:00", "closes": "18:30"} for day in range(1, 6)),
        {"day": 5, "opens": "22:00", "closes": "24:00"},
        {"day": 6, "opens": "00:00", "closes": "06:00"},
    ],
    "exceptions": [
        {"on": "2026-10-26", "windows": []},
        {"on": "2026-10-25", "windows": [{"opens": "10:00", "closes": "12:00"}]},
    ],
}


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-10-23T08:59:59", False),
        ("2026-10-23T09:00:00", True),
        ("2026-10-23T18:29:59", True),
        ("2026-10-23T18:30:00", False),
        ("2026-10-23T23:59:59", True),
        ("2026-10-24T00:00:00", True),
        ("2026-10-24T06:00:00", False),
        ("2026-10-25T11:00:00", True),
        ("2026-10-25T12:00:00", False),
        ("2026-10-26T11:00:00", False),
        ("2026-10-27T11:00:00", True),
    ],
)
def test_duty_hours_are_local_and_exceptions_take_their_place(local: str, expected: bool) -> None:
    moment = datetime.fromisoformat(f"{local}+05:00").astimezone(UTC)
    assert is_on_duty(WEEK, moment) is expected
    assert is_on_duty(None, moment)
    assert not is_on_duty({}, moment)
