"""How silence climbs: which rung of an agency's ladder is next, and when (architecture §2.8).

Silence begins when a notice is planned and ends with a person's answer, with nothing else: for the child
it is the same whether the line or the agency is silent. The ladder: second endpoint, duty phone or SMS,
superior body, operator. A rung that an agency does not have, or that is off duty, is never waited for:
its turn goes to the next one at once. The operator is always there, and is called again and again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from notifier.domain.schedule import Urgency


class Rung(IntEnum):
    """Steps of the ladder in their order; 0 is the first way."""

    FIRST = 0
    SECOND_ENDPOINT = 1
    DUTY_PHONE = 2
    SUPERIOR = 3
    OPERATOR = 4


OWN = (Rung.SECOND_ENDPOINT, Rung.DUTY_PHONE)
"""Further ways to the silent agency itself."""

CLIMB = (*OWN, Rung.SUPERIOR, Rung.OPERATOR)


@dataclass(frozen=True, slots=True)
class Policy:
    """How one urgency climbs; the figures are ours, not the law's (anchors/delivery.md §2.2).

    Attributes:
        window: what the shares are of, when the notice has no limit in law, and the longest otherwise.
        shares: the n-th climb is due when this part of the window has passed; one for each rung.
        repeat: from one call of the operator to the next.
        is_fixed: the window stays what it is, however the legal limit lies.
    """

    window: timedelta
    shares: tuple[float, float, float, float]
    repeat: timedelta
    is_fixed: bool = False

    def moments(self, since: datetime, deadline: datetime | None) -> tuple[datetime, ...]:
        """When each climb is due for a silence that began at ``since``."""
        window = self.window
        if not self.is_fixed and deadline is not None and deadline > since:
            window = min(window, deadline - since)
        return tuple(since + window * share for share in self.shares)


POLICIES: dict[Urgency, Policy] = {
    Urgency.IMMEDIATE: Policy(
        window=timedelta(minutes=15),
        shares=(2 / 15, 5 / 15, 10 / 15, 1.0),
        repeat=timedelta(minutes=5),
        is_fixed=True,
    ),
    Urgency.URGENT: Policy(
        window=timedelta(hours=24), shares=(0.25, 0.5, 0.75, 0.9), repeat=timedelta(hours=1)
    ),
    Urgency.ROUTINE: Policy(window=timedelta(days=5), shares=(0.5, 0.8, 1.0, 1.0), repeat=timedelta(hours=1)),
}
"""2, 5, 10 and 15 minutes; 25, 50, 75 and 90 %; 50, 80 and 100 %. In force since 2026-11-28."""


@dataclass(frozen=True, slots=True)
class Climb:
    """What silence does now: climb ``rungs``, in this order, and be looked at again at ``again_at``."""

    rungs: tuple[Rung, ...]
    again_at: datetime


def climb(
    policy: Policy,
    *,
    since: datetime,
    deadline: datetime | None,
    climbed: Collection[Rung],
    ladder: Collection[Rung],
    now: datetime,
    at_once: bool = False,
) -> Climb:
    """Everything that is due at ``now``, each rung at most once, and the next moment after it.

    Args:
        climbed: rungs that were climbed before.
        ladder: rungs that this agency has and that are on duty now; the operator always is.
        at_once: a dead endpoint or a passed limit: the next rung is climbed whatever the hour of its turn.

    A clock that jumped climbs all that became due in between. Once the operator was called, every further
    look calls again, and takes along lower rungs that came on duty since.
    """
    moments = policy.moments(since, deadline)
    possible = [rung for rung in CLIMB if rung in ladder or rung is Rung.OPERATOR]
    if Rung.OPERATOR in climbed:
        late = tuple(rung for rung in possible if rung not in climbed)
        return Climb((*late, Rung.OPERATOR), now + policy.repeat)
    top = max(climbed, default=Rung.FIRST)
    ahead = [rung for rung in possible if rung > top]
    passed = sum(moment <= now for moment in moments)
    wanted = max(passed - len(climbed), 1 if at_once else 0)
    rungs = tuple(ahead[:wanted])
    if Rung.OPERATOR in rungs:
        return Climb(rungs, now + policy.repeat)
    return Climb(rungs, moments[len(climbed) + len(rungs)])


def first_look(policy: Policy, *, since: datetime, deadline: datetime | None) -> datetime:
    """When a new silence is first looked at."""
    return policy.moments(since, deadline)[0]


def paced(policy: Policy, first: timedelta | None) -> Policy:
    """The policy of an installation that wants its first climb after ``first``: all of it in proportion."""
    if first is None:
        return policy
    factor = first / (policy.window * policy.shares[0])
    return Policy(policy.window * factor, policy.shares, policy.repeat * factor, policy.is_fixed)


def policies(firsts: Mapping[Urgency, timedelta | None]) -> dict[Urgency, Policy]:
    """Every policy, paced."""
    return {urgency: paced(policy, firsts.get(urgency)) for urgency, policy in POLICIES.items()}
