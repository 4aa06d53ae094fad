"""A report of somebody without an account waits for the hub, which may let it go before its time.

Under a direct threat nothing waits. What the flood guard has clustered waits for a person however long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from notifier.domain.evaluation import HUB_HOLDS


class Why(StrEnum):
    """Why notices wait."""

    HUB = "hub"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Hold:
    """``until`` is when they leave by themselves; ``None``: only a person lets them go."""

    why: Why
    until: datetime | None


def hold_of(
    *,
    holder: str,
    reporter_agency: UUID | None,
    direct_threat: bool,
    clustered: bool,
    received_at: datetime,
    release_after: timedelta,
) -> Hold | None:
    """Whether the notices of an alert wait for the hub; ``None``: they leave at once.

    Args:
        holder: ``reporter`` or ``hub``, as the evaluation says.
    """
    if holder != HUB_HOLDS or reporter_agency is not None or direct_threat:
        return None
    if clustered:
        return Hold(Why.CLUSTER, None)
    return Hold(Why.HUB, received_at + release_after)
