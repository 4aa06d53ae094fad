"""Alerts about one child, as a person found them: which belong together, and whose case continues.

What is joined is a set of pairs. Everything else follows from them, so that undoing a pair leaves what would
be there if it had never been.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

Pair = tuple[UUID, UUID]
"""The lesser id first."""


def pair_of(one: UUID, other: UUID) -> Pair:
    """The same pair whichever comes first."""
    return (one, other) if one < other else (other, one)


def heads_of(
    pairs: Iterable[Pair], received_at: Mapping[UUID, datetime], alerts: Iterable[UUID] = ()
) -> dict[UUID, UUID]:
    """For each alert the one whose case continues: of all that hang together the one received first.

    Args:
        received_at: of every alert of the pairs; of two at one time the lesser id.
        alerts: further alerts; who is in no pair is its own head.
    """
    groups: dict[UUID, set[UUID]] = {alert: {alert} for alert in alerts}
    for one, other in pairs:
        joined = groups.get(one, {one}) | groups.get(other, {other})
        for alert in joined:
            groups[alert] = joined
    return {
        alert: min(group, key=lambda each: (received_at[each], each)) if len(group) > 1 else alert
        for alert, group in groups.items()
    }
