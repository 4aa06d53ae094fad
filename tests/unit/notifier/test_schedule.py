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


WINDOWS = {
    Urgency.IMMEDIATE: (timedelta(minutes=15), timedelta(hours=1)),
    Urgency.URGENT: (timedelta(hours=1), timedelta(hours=24)),
    Urgency.ROUTINE: (timedelta(hours=24), timedelta(days=30)),
}
"""Legal time that a delivery of each urgency can have when it is planned."""


@given(st.data(), urgencies, wishes)
def test_at_least_four_attempts_begin_inside_any_legal_window(
    data: st.DataObject, urgency: Urgency, wish: timedelta | None
) -> None:
    """Each hangs until its timeout, and asks us to wait as long as it likes."""
    window = data.draw(st.timedeltas(*WINDOWS[urgency]))
    tier, at, made = TIERS[urgency], NOW, 1
    while at < NOW + window and made < 50:
        ended = at + tier.timeout
        at = next_attempt(
            tier=tier,
            attempt=made,
            now=ended,
            deadline=NOW + window,
            chance=data.draw(chances),
            retry_after=wish,
        )
        made += at < NOW + window
    assert made >= 4


@given(
    urgencies,
    attempts,
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40)),
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40)),
)
def test_a_passed_deadline_never_slows_anything_down(
    urgency: Urgency, attempt: int, past: timedelta, left: timedelta
) -> None:
    """Of the plan itself: only the clamp of the last moments, which ends with the legal time, is quicker."""
    tier = TIERS[urgency]
    late = next_attempt(tier=tier, attempt=attempt, now=NOW, deadline=NOW - past, chance=0)
    plan = next_attempt(tier=tier, attempt=attempt, now=NOW, deadline=None, chance=0)
    assert late <= plan
    assert tier.overdue <= tier.delays[-1]


LATEST = {
    Urgency.IMMEDIATE: (0, 2, 5, 10, 20, 30, 60, 90),
    Urgency.URGENT: (0, 10, 60, 300, 900, 1800, 5400, 9000),
    Urgency.ROUTINE: (0, 60, 600, 3600, 10800, 21600, 64800, 108000),
}
"""Seconds by which each attempt is made at the latest when all fail at once (delivery.md, tiers)."""


@pytest.mark.parametrize("urgency", list(Urgency))
def test_no_attempt_is_later_than_the_tiers_ask(urgency: Urgency) -> None:
    at = NOW
    for number, latest in enumerate(LATEST[urgency], start=1):
        assert at - NOW <= timedelta(seconds=latest), number
        at = next_attempt(tier=TIERS[urgency], attempt=number, now=at, deadline=None, chance=0)


@given(urgencies, attempts, lefts, chances, st.timedeltas(max_value=timedelta(0)))
def test_a_wish_in_the_past_changes_nothing(
    urgency: Urgency, attempt: int, left: timedelta | None, chance: float, wish: timedelta
) -> None:
    def wait(asked: timedelta | None) -> datetime:
        deadline = None if left is None else NOW + left
        return next_attempt(
            tier=TIERS[urgency], attempt=attempt, now=NOW, deadline=deadline, chance=chance, retry_after=asked
        )

    assert wait(wish) == wait(None)


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
