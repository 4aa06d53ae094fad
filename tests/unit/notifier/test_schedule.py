"""The next attempt: properties that hold for every urgency, attempt, deadline and wish."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.schedule import (
    BY_ORDER,
    JITTER,
    ORDER,
    TIERS,
    Urgency,
    next_alarm,
    next_attempt,
    urgency_of,
)

NOW = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)

urgencies = st.sampled_from(Urgency)
attempts = st.integers(min_value=1, max_value=10_000)
lefts = st.one_of(st.none(), st.timedeltas(min_value=timedelta(days=-40), max_value=timedelta(days=40)))
wishes = st.one_of(st.none(), st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=400)))
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(urgencies, attempts, lefts, chances)
def test_jitter_is_never_later_and_never_more_than_its_part(
    urgency: Urgency, attempt: int, left: timedelta | None, chance: float
) -> None:
    deadline = None if left is None else NOW + left
    tier = TIERS[urgency]
    plain = next_attempt(tier=tier, attempt=attempt, now=NOW, deadline=deadline, chance=0)
    shaken = next_attempt(tier=tier, attempt=attempt, now=NOW, deadline=deadline, chance=chance)
    assert NOW < shaken <= plain
    assert shaken - NOW >= (plain - NOW) * (1 - JITTER) - timedelta(microseconds=1)


@given(urgencies, attempts, lefts, wishes, chances)
def test_an_attempt_is_always_ahead_and_within_the_legal_sixth(
    urgency: Urgency, attempt: int, left: timedelta | None, wish: timedelta | None, chance: float
) -> None:
    tier = TIERS[urgency]
    deadline = None if left is None else NOW + left
    at = next_attempt(tier=tier, attempt=attempt, now=NOW, deadline=deadline, chance=chance, retry_after=wish)
    assert at > NOW
    if left is not None and left > timedelta(0):
        assert at - NOW <= max(tier.floor, left / 6)
    elif left is not None:
        assert at - NOW <= max(tier.overdue, tier.floor)
    else:
        assert at - NOW <= tier.delays[-1]


@given(urgencies, attempts, st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=40)))
def test_less_legal_time_never_means_a_longer_wait(urgency: Urgency, attempt: int, left: timedelta) -> None:
    tier = TIERS[urgency]

    def wait(remaining: timedelta) -> timedelta:
        return next_attempt(tier=tier, attempt=attempt, now=NOW, deadline=NOW + remaining, chance=0) - NOW

    assert wait(left / 2) <= wait(left)


@given(urgencies, attempts, wishes)
def test_a_wish_is_never_answered_earlier_than_the_plan(
    urgency: Urgency, attempt: int, wish: timedelta | None
) -> None:
    tier = TIERS[urgency]
    plain = next_attempt(tier=tier, attempt=attempt, now=NOW, deadline=None, chance=0.5)
    asked = next_attempt(tier=tier, attempt=attempt, now=NOW, deadline=None, chance=0.5, retry_after=wish)
    assert asked >= plain


@pytest.mark.parametrize("urgency", list(Urgency))
@pytest.mark.parametrize("window", [timedelta(minutes=15), timedelta(hours=1), timedelta(days=3)])
def test_at_least_four_attempts_fall_inside_any_window(urgency: Urgency, window: timedelta) -> None:
    at, made = NOW, 1
    while at < NOW + window and made < 50:
        at = next_attempt(tier=TIERS[urgency], attempt=made, now=at, deadline=NOW + window, chance=0)
        made += at < NOW + window
    assert made >= 4


@pytest.mark.parametrize("urgency", list(Urgency))
def test_a_passed_deadline_stops_nothing(urgency: Urgency) -> None:
    tier = TIERS[urgency]
    at = next_attempt(tier=tier, attempt=9_999, now=NOW, deadline=NOW - timedelta(days=300), chance=0)
    assert at == NOW + tier.overdue


def test_their_wish_is_not_jittered_away() -> None:
    wish = timedelta(seconds=20)
    at = next_attempt(
        tier=TIERS[Urgency.IMMEDIATE], attempt=1, now=NOW, deadline=None, chance=0.99, retry_after=wish
    )
    assert at == NOW + wish


@pytest.mark.parametrize("seconds", [9.0, 10.0])
def test_a_wish_that_is_about_as_long_as_our_own_wait_is_not_jittered_away_either(seconds: float) -> None:
    """The simulation found it: asked for 10 s, where the plan said 10 s as well, we came after 8."""
    tier, wish = TIERS[Urgency.ROUTINE], timedelta(seconds=seconds)
    assert tier.delays[0] == timedelta(seconds=10)
    at = next_attempt(tier=tier, attempt=1, now=NOW, deadline=None, chance=0.99, retry_after=wish)
    assert at >= NOW + wish


def test_a_lease_outlives_the_attempt_threefold() -> None:
    for tier in TIERS.values():
        assert tier.lease >= 3 * tier.timeout


def test_an_alarm_is_always_ahead() -> None:
    for tier in TIERS.values():
        assert next_alarm(tier=tier, now=NOW) > NOW


@pytest.mark.parametrize(
    ("remaining", "urgency"),
    [
        (timedelta(minutes=15), Urgency.IMMEDIATE),
        (timedelta(hours=1), Urgency.IMMEDIATE),
        (timedelta(hours=-3), Urgency.IMMEDIATE),
        (timedelta(hours=9), Urgency.URGENT),
        (timedelta(days=3), Urgency.ROUTINE),
        (None, Urgency.ROUTINE),
    ],
)
def test_the_legal_time_left_makes_the_urgency(remaining: timedelta | None, urgency: Urgency) -> None:
    assert urgency_of(remaining) is urgency


def test_the_stored_rank_names_the_urgency() -> None:
    assert {BY_ORDER[ORDER[urgency]] for urgency in Urgency} == set(Urgency)
    assert ORDER[Urgency.IMMEDIATE] < ORDER[Urgency.URGENT] < ORDER[Urgency.ROUTINE]
