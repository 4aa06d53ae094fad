"""When a delivery is tried next: pure arithmetic of urgency, attempt number and legal time left.

Trying speeds up as the legal time runs out and never stops because a deadline passed
(architecture §2.5). Jitter only ever makes an attempt earlier.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Urgency(StrEnum):
    """Claim order and pace; the strictest duty that a delivery carries decides."""

    IMMEDIATE = "immediate"
    URGENT = "urgent"
    ROUTINE = "routine"


ORDER: dict[Urgency, int] = {Urgency.IMMEDIATE: 0, Urgency.URGENT: 1, Urgency.ROUTINE: 2}
"""Stored rank: lower is claimed first."""

BY_ORDER: dict[int, Urgency] = {rank: urgency for urgency, rank in ORDER.items()}


@dataclass(frozen=True, slots=True)
class Tier:
    """How one urgency is paced.

    Attributes:
        delays: wait after the first, second, … failed attempt; the last one repeats.
        floor: never closer together than this.
        overdue: wait between attempts once the legal time is over; never longer than the last planned
            step, so that a passed deadline slows nothing down.
        timeout: the longest one attempt may take.
        acknowledge_within: from transmission until a person is alarmed, and again after that.
    """

    delays: tuple[timedelta, ...]
    floor: timedelta
    overdue: timedelta
    timeout: timedelta
    acknowledge_within: timedelta

    @property
    def lease(self) -> timedelta:
        """Three times the timeout: a slow worker keeps its claim, a dead one loses it."""
        return 3 * self.timeout


def _seconds(*values: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=value) for value in values)


TIERS: dict[Urgency, Tier] = {
    Urgency.IMMEDIATE: Tier(
        delays=_seconds(2, 3, 5, 10, 10, 30),
        floor=timedelta(seconds=1),
        overdue=timedelta(seconds=30),
        timeout=timedelta(seconds=10),
        acknowledge_within=timedelta(minutes=2),
    ),
    Urgency.URGENT: Tier(
        delays=_seconds(2, 5, 15, 60, 300, 900),
        floor=timedelta(seconds=1),
        overdue=timedelta(minutes=15),
        timeout=timedelta(seconds=20),
        acknowledge_within=timedelta(minutes=30),
    ),
    Urgency.ROUTINE: Tier(
        delays=_seconds(10, 60, 600, 3600, 10800, 21600),
        floor=timedelta(seconds=10),
        overdue=timedelta(hours=1),
        timeout=timedelta(seconds=30),
        acknowledge_within=timedelta(hours=24),
    ),
}

JITTER = 0.2
"""Largest part of a wait that chance may take away: endpoints that fell together do not rise together."""


def urgency_of(remaining: timedelta | None) -> Urgency:
    """The urgency of a duty that is due ``remaining`` after its planning; no due time is routine."""
    if remaining is None:
        return Urgency.ROUTINE
    if remaining <= timedelta(hours=1):
        return Urgency.IMMEDIATE
    return Urgency.URGENT if remaining <= timedelta(hours=24) else Urgency.ROUTINE


def next_attempt(
    *,
    tier: Tier,
    attempt: int,
    now: datetime,
    deadline: datetime | None,
    chance: float,
    retry_after: timedelta | None = None,
) -> datetime:
    """When to try again after attempt ``attempt`` (counted from 1) failed at ``now``.

    Args:
        tier: pace of the delivery's urgency.
        attempt: how many attempts were made.
        now: end of the last attempt.
        deadline: the strictest legal time that the delivery serves, if any.
        chance: uniform in [0, 1): how much jitter to take.
        retry_after: what the endpoint asked for. Honoured as far as the legal time allows: never
            more than a sixth of what is left, and after the deadline never more than ``tier.overdue``.

    Returns:
        A time after ``now``, never later than without jitter.
    """
    delay = tier.delays[min(attempt, len(tier.delays)) - 1]
    ceiling = longest_wait(tier=tier, now=now, deadline=deadline)
    if ceiling is not None:
        delay = min(delay, ceiling)
    wait = max(delay, tier.floor) * (1 - JITTER * chance)
    if retry_after is not None:
        # Their wish is not jittered away, also where it is about as long as ours: they said not before.
        wait = max(wait, min(retry_after, tier.delays[-1] if ceiling is None else ceiling))
    return now + wait


def longest_wait(*, tier: Tier, now: datetime, deadline: datetime | None) -> timedelta | None:
    """The longest that anything may hold a delivery back from ``now`` on; ``None`` without a legal time.

    A sixth of the legal time that is left, so that several attempts always fit in; after the deadline the
    pace of the overdue. Retry-After and an open breaker are held to it alike.
    """
    if deadline is None:
        return None
    remaining = deadline - now
    return max(tier.floor, remaining / 6) if remaining > timedelta(0) else max(tier.floor, tier.overdue)


def next_alarm(*, tier: Tier, now: datetime) -> datetime:
    """When silence climbs again; it never ends by itself."""
    return now + tier.acknowledge_within
