"""Sending again by a person: what may be, and which of many are meant. There is no edit-and-retry.

A redrive is a new generation of the same delivery: same id, same bytes, old attempts kept. Of any number
of redrives that saw the same generation one takes effect.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifier.domain.delivery import Reason, State

ALL_OF_THEM = UUID("7b1d3c5e-0f7a-4c59-9f0e-3a5f6c1f2d90")
"""What a proposal to redrive many is about: there is one list of them."""

BATCH = 50
"""Deliveries that one second of a bulk redrive lets go: an agency that comes back is not run over."""


class Verdict(StrEnum):
    """What a wish to redrive meets."""

    AGAIN = "again"
    UNDER_WAY = "under_way"
    IMPOSSIBLE = "impossible"


class Trouble(StrEnum):
    """Kinds of deliveries that many can be redriven of."""

    DEAD = "dead"
    BLOCKED = "blocked"
    RETRYING = "retrying"


RETRYING = frozenset({Reason.RETRY, Reason.UNKNOWN_OUTCOME})
BLOCKED = frozenset(reason for reason in Reason if reason.startswith("blocked:"))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries are meant; what is ``None`` does not matter.

    Attributes:
        outcome: how the last attempt ended.
        status_class: first digit of the last HTTP status; 0 for no status at all.
        planned_from, planned_until: half-open, by the time of planning.
    """

    trouble: Trouble
    reason: Reason | None = None
    outcome: str | None = None
    status_class: int | None = None
    agency_id: UUID | None = None
    planned_from: datetime | None = None
    planned_until: datetime | None = None


def judge(state: State, reason: Reason | None, generation: int, *, seen: int | None) -> Verdict:
    """Whether a delivery is sent again.

    Args:
        seen: the generation that whoever asks had before its eyes; a later one means that somebody was
            quicker, and nothing is to be done.
    """
    if seen is not None and seen < generation:
        return Verdict.UNDER_WAY
    if state is State.LEASED or (state is State.WAITING and reason in (Reason.NEW, Reason.REDRIVEN)):
        return Verdict.UNDER_WAY
    if seen is not None and seen > generation:
        return Verdict.IMPOSSIBLE
    if state is State.DEAD or (state is State.WAITING and reason is not Reason.PULL):
        return Verdict.AGAIN
    return Verdict.IMPOSSIBLE
