"""Finding due rows by time, whatever became of their wake-ups: rank by rank, so no heap hides another."""

from collections.abc import Callable, Collection, Mapping
from uuid import UUID

from common.db import Session
from common.timing import Now
from notifier.domain.schedule import Urgency
from notifier.repository import held
from notifier.service.lane import FIRST, RANKS, Lane

SCAN_ROWS = 500
SCAN_ROUNDS = 4
"""The heap of one endpoint may fill a look; its lane is full then, and the next look passes over it."""


async def scan(
    session: Session,
    lanes: Mapping[UUID, Lane],
    open_lane: Callable[[UUID], Lane],
    *,
    now: Now,
    but: Collection[UUID],
) -> int:
    """Tell each lane what is due for it, except ``but``; returns how many rows were named."""
    found = 0
    for rank, urgency in RANKS.items():
        untried = rank == FIRST if urgency is Urgency.IMMEDIATE else None
        for _ in range(SCAN_ROUNDS):
            # Fullness is a matter of rank: neither routine notices nor repeats that hang hide a new alert.
            full = [one.endpoint_id for one in lanes.values() if one.room(rank, now()) <= 0]
            due = await held.find_sendable(
                session, urgency, now=now(), without=full, limit=SCAN_ROWS, is_untried=untried
            )
            for delivery_id, endpoint_id in due:
                if delivery_id not in but:
                    open_lane(endpoint_id).hints[delivery_id] = rank
                    found += 1
            if len(due) < SCAN_ROWS:
                break
    return found
