"""What every use case needs beside its session and the hour; put together by ``app``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from common.keys import KeyRing
from notifier.domain.drill import Pace
from notifier.domain.escalation import POLICIES, Policy
from notifier.domain.schedule import TIERS, Tier, Urgency
from notifier.lawbook import Lawbook
from notifier.repository.claims import Claimed


class Lanes(Protocol):
    """Where deliveries go to be sent. Everything here may be lost: the rows are found again by time."""

    def has_room(self, endpoint_id: UUID, concurrency: int, urgency: Urgency, *, promised: int = 0) -> bool:
        """Whether this process would soon start an attempt to this endpoint, beside ``promised`` others."""
        ...

    def start(self, claimed: Sequence[Claimed]) -> None:
        """Send what a committed transaction has claimed."""
        ...

    def wake(self, waiting: Mapping[UUID, Sequence[UUID]]) -> None:
        """Say that these deliveries wait, by endpoint."""
        ...

    def drop(self, delivery_ids: Collection[UUID]) -> None:
        """Say that these must not leave any more, claimed or not."""
        ...


@dataclass(frozen=True)
class Desk:
    """The law, the keys and the ways out.

    Attributes:
        public_url: base of the addresses in notices, without a slash at its end.
        tiers: pace by urgency; tests and demonstrations hand in quicker ones.
        policies: how silence climbs, by urgency.
        pace: how often endpoints are tested.
    """

    lawbook: Lawbook
    keys: KeyRing
    public_url: str
    lanes: Lanes
    tiers: Mapping[Urgency, Tier] = field(default_factory=lambda: TIERS)
    policies: Mapping[Urgency, Policy] = field(default_factory=lambda: POLICIES)
    pace: Pace = field(default_factory=Pace)
