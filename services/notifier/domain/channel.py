"""The port to the outside world: what a worker hands to an adapter and what it gets back."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from notifier.domain.delivery import Outcome


@dataclass(frozen=True, slots=True)
class Parcel:
    """One attempt, complete: an adapter reads nothing else.

    Attributes:
        delivery_id: also the ``webhook-id``, the same on every repeat, so that receivers can tell one.
        url: where to send.
        body: the stored bytes of the notice.
        keys: signing keys, newest first; several while one is being replaced.
        timeout: the longest the attempt may take, connecting included.
    """

    delivery_id: UUID
    url: str
    body: bytes
    keys: tuple[bytes, ...] = field(repr=False)
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt; never any text of the other side.

    Attributes:
        outcome: how it ended.
        status: HTTP status where there was one.
        retry_after: how long they asked us to wait.
    """

    outcome: Outcome
    status: int | None = None
    retry_after: timedelta | None = None


class Channel(Protocol):
    """A way to send. An adapter never raises for what the other side did: that is an outcome."""

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        """Make one attempt; ``now`` is signed into it."""

    async def close(self) -> None:
        """Give connections back."""
