"""The breaker and the bucket: what opens them, what passes, and how long anything is ever held back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.breaker import NOT_THEIRS, Breaker, Bucket, Candidate, Rules, hold_until
from notifier.domain.delivery import Outcome
from notifier.domain.schedule import TIERS, Urgency, longest_wait

NOW = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FAILURES = sorted(
    set(Outcome) - NOT_THEIRS - {Outcome.ACCEPTED, Outcome.PULLED}, key=lambda outcome: outcome.value
)


def opened(rules: Rules | None = None) -> Breaker:
    breaker = Breaker(rules or Rules())
    for _ in range(breaker.rules.consecutive):
        breaker.learn(Outcome.UNREACHABLE, at=NOW)
    assert breaker.is_open
    return breaker


def held(breaker: Breaker, now: datetime, **values: object) -> datetime | None:
    fields: dict[str, object] = {
        "urgency": Urgency.ROUTINE, "attempts": 3, "deadline": None, "held_since": None,
    }  # fmt: skip
    candidate = Candidate(**(fields | values))  # type: ignore[arg-type]  # fields of mixed types, on purpose
    return hold_until(breaker, candidate, tier=TIERS[candidate.urgency], now=now, probes_next=True)


@pytest.mark.parametrize("outcome", FAILURES)
def test_five_failures_in_a_row_open_it_and_four_do_not(outcome: Outcome) -> None:
    breaker = Breaker()
    for number in range(1, 6):
        assert not breaker.is_open
        breaker.learn(outcome, at=NOW + number * SECOND)
    assert breaker.is_open


@pytest.mark.parametrize("outcome", sorted(NOT_THEIRS))
def test_what_is_our_own_fault_opens_nothing(outcome: Outcome) -> None:
    breaker = Breaker()
    for _ in range(50):
        breaker.learn(outcome, at=NOW)
    assert not breaker.is_open


def test_more_than_half_of_ten_within_a_minute_open_it() -> None:
    breaker = Breaker()
    for number in range(10):
        assert not breaker.is_open
        outcome = Outcome.ACCEPTED if number in (0, 3, 6, 8) else Outcome.FAILED
        breaker.learn(outcome, at=NOW + number * SECOND)
    assert breaker.is_open


def test_half_of_many_and_old_failures_leave_it_closed() -> None:
    half = Breaker()
    for number in range(40):
        half.learn(Outcome.FAILED if number % 2 else Outcome.ACCEPTED, at=NOW + number * SECOND / 10)
    assert not half.is_open
    old = Breaker()
    for number in range(12):
        outcome = Outcome.ACCEPTED if number % 4 == 0 else Outcome.FAILED
        old.learn(outcome, at=NOW + number * timedelta(seconds=20))
    assert not old.is_open


def test_open_for_thirty_seconds_then_one_probe_at_a_time() -> None:
    breaker = opened()
    assert held(breaker, NOW + 10 * SECOND) == NOW + 30 * SECOND
    assert held(breaker, NOW + 30 * SECOND) is None
    breaker.probes = 1
    assert held(breaker, NOW + 31 * SECOND) is not None


def test_a_probe_that_fails_opens_it_anew_and_one_that_gets_through_closes_it() -> None:
    breaker = opened()
    assert not breaker.learn(Outcome.NO_ANSWER, at=NOW + 31 * SECOND)
    assert held(breaker, NOW + 60 * SECOND) == NOW + 61 * SECOND
    assert breaker.learn(Outcome.ACCEPTED, at=NOW + 62 * SECOND)
    assert not breaker.is_open
    assert held(breaker, NOW + 62 * SECOND) is None
    # The failures before do not count any more.
    breaker.learn(Outcome.FAILED, at=NOW + 63 * SECOND)
    assert not breaker.is_open


@pytest.mark.parametrize("urgency", [Urgency.IMMEDIATE, Urgency.URGENT])
@pytest.mark.parametrize("attempts", [0, 1, 7])
def test_what_is_immediate_or_urgent_pierces_it(urgency: Urgency, attempts: int) -> None:
    breaker = opened()
    breaker.probes = 1
    assert held(breaker, NOW, urgency=urgency, attempts=attempts) is None
    assert held(breaker, NOW, urgency=Urgency.ROUTINE, attempts=attempts) is not None


@given(
    urgency=st.sampled_from(Urgency),
    attempts=st.integers(min_value=0, max_value=1000),
    left=st.timedeltas(min_value=timedelta(days=-40), max_value=timedelta(days=40)),
    steps=st.lists(st.booleans(), min_size=1, max_size=60),
)
def test_however_often_it_fails_nothing_is_held_beyond_a_sixth_of_the_legal_time(
    urgency: Urgency, attempts: int, left: timedelta, steps: list[bool]
) -> None:
    """The breaker never closes, its probe is always taken; the row comes back at each of its wake-ups."""
    tier, deadline = TIERS[urgency], NOW + left
    longest = longest_wait(tier=tier, now=NOW, deadline=deadline)
    assert longest is not None
    breaker = opened()
    breaker.probes = 1
    now, since = NOW, None
    for probes_next in steps:
        candidate = Candidate(urgency, attempts, deadline, since)
        until = hold_until(breaker, candidate, tier=tier, now=now, probes_next=probes_next)
        if until is None:
            break
        assert until > now
        assert until - NOW <= longest
        since, now = since or now, until
        breaker.learn(Outcome.NO_ANSWER, at=now)
    assert now - NOW <= longest


@given(st.lists(st.timedeltas(min_value=timedelta(0), max_value=timedelta(seconds=20)), max_size=50))
def test_a_bucket_gives_no_more_than_its_rate_and_one_second_of_it(passing: list[timedelta]) -> None:
    bucket, now, spent = Bucket(7.0), NOW, 0
    for step in passing:
        now += step
        free = bucket.available(now)
        bucket.take(free)
        spent += free
    assert spent <= 7 + (now - NOW).total_seconds() * 7 + 1e-6


def test_an_empty_bucket_says_when_the_next_token_is_there() -> None:
    bucket = Bucket(10.0)
    assert bucket.available(NOW) == 10
    bucket.take(10)
    assert bucket.available(NOW) == 0
    assert bucket.available(NOW + bucket.wait()) == 1
    bucket.take(21)  # a debt is paid by time
    assert bucket.available(NOW + timedelta(seconds=1)) == 0
