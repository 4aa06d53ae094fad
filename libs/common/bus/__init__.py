"""The bus port: two real implementations, one conformance suite (tests/conformance/test_bus.py).

The bus is never the only copy of anything: events stay in the outbox until the bus or the consumer's
door confirmed them, wake-ups are disposable pointers to rows (architecture §2.5).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from common.bus.topology import Exchange, Queue


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


class Transient(Exception):
    """A consumer's own part is away (its database): keep the message and try again, do not count it."""


Consumer = Callable[[Message], Awaitable[None]]
"""Returns when the effect is stored. Raises ``Transient`` to be asked again; anything else counts
towards the delivery limit, after which the message is parked."""


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

    async def subscribe(self, queue: Queue, consumer: Consumer, *, prefetch: int = 16) -> Subscription:
        """Consume; at least once, at most ``prefetch`` at the same time."""
        ...


__all__ = ["Bus", "Consumer", "Exchange", "Message", "Queue", "Subscription", "Transient"]
