"""The bus port: two real implementations, one conformance suite (tests/conformance/test_bus.py).

The bus is never the only copy of anything: events stay in the outbox until the bus or the consumer's
door confirmed them, wake-ups are disposable pointers to rows (architecture §2.5).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from common.bus.topology import Exchange, Queue

CANARY_HEADER = "dabyl-canary"


@dataclass(frozen=True)
class Message:
    """What travels.

    Attributes:
        id: equal for every repeat of the same message.
        exchange: ``events`` fans out by type, ``lanes`` goes to exactly one queue.
        key: event type, or name of the lane.
        body: at most 64 KiB; never personal data.
    """

    id: str
    exchange: Exchange
    key: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_canary(self) -> bool:
        """Whether it only asks if its queue lives."""
        return self.headers.get(CANARY_HEADER) == "1"


class Transient(Exception):
    """A consumer's own part is away (its database): keep the message and try again, do not count it."""


Consumer = Callable[[Message], Awaitable[None]]
"""Returns when the effect is stored. Raises ``Transient`` to be asked again; anything else counts
towards the delivery limit, after which the message is parked."""


class Probe(StrEnum):
    """What came of a canary."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """The broker answered and does not take it: the queue is full, or nobody is bound."""
    SILENT = "silent"
    """No answer in time: the queue has no leader, or the broker takes nothing at all."""
    AWAY = "away"
    """There is no connection."""


class Subscription(Protocol):
    """A running consumer."""

    async def cancel(self) -> None:
        """Take no more messages; finish those in hand."""
        ...


class Bus(Protocol):
    """What services see of the broker."""

    @property
    def is_connected(self) -> bool:
        """Whether a publish has a chance now."""
        ...

    async def start(self) -> None:
        """Begin to connect; returns at once, also when the broker is away."""
        ...

    async def close(self) -> None:
        """Stop consumers and disconnect."""
        ...

    async def declare(self, queues: Sequence[Queue]) -> None:
        """Make sure these queues exist, now and after every reconnect."""
        ...

    async def publish(self, messages: Sequence[Message], *, seconds: float = 2.0) -> list[bool]:
        """One answer a message, in order: ``True`` only when it is confirmed to be safe.

        Never raises for a broker that is away, slow or refuses; that is ``False``.
        """
        ...

    async def probe(self, queue: Queue, *, seconds: float = 5.0) -> Probe:
        """Publish a canary to exactly this queue and wait for its confirm.

        A passive declare says OK to a queue without a leader (measured); only a confirm proves one. Readers
        drop canaries unread (``Message.is_canary``).
        """
        ...

    async def depth(self, queue: Queue) -> int | None:
        """How many messages lie in the queue; ``None`` when that cannot be known now."""
        ...

    async def rebuild(self, queue: Queue) -> None:
        """Delete the queue with all that it holds and make it anew: the repair of one without a leader."""
        ...

    async def subscribe(self, queue: Queue, consumer: Consumer, *, prefetch: int = 16) -> Subscription:
        """Consume; at least once, at most ``prefetch`` at the same time."""
        ...


__all__ = [
    "CANARY_HEADER",
    "Bus",
    "Consumer",
    "Exchange",
    "Message",
    "Probe",
    "Queue",
    "Subscription",
    "Transient",
]
