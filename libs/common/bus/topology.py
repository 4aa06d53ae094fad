"""Exchanges and queues, with arguments that mean the same on RabbitMQ 3.10 and 4.x (delivery.md §2.3)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from common.contracts import REGISTRY


class Exchange(StrEnum):
    """Names of the exchanges; ``parked`` takes what was given up on."""

    EVENTS = "ev.domain"
    LANES = "dlv.lanes"
    PARKED = "parked"


EXCHANGE_KINDS = {Exchange.EVENTS: "topic", Exchange.LANES: "direct", Exchange.PARKED: "fanout"}

DELIVERY_LIMIT = 20
"""Explicit and positive: absent means none on 3.x and 20 on 4.x, -1 drops at the first requeue on 3.10."""


@dataclass(frozen=True)
class Queue:
    """A quorum queue bound to one exchange."""

    name: str
    exchange: Exchange
    keys: tuple[str, ...]
    max_length: int

    @property
    def canary_key(self) -> str:
        """A key that leads to this queue alone."""
        return f"canary.{self.name.removeprefix('ev.')}" if self.exchange is Exchange.EVENTS else self.keys[0]

    @property
    def arguments(self) -> dict[str, Any]:
        """Declare arguments; changing one is a 406, so the name would have to change with it."""
        arguments: dict[str, Any] = {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-max-length": self.max_length,
            "x-overflow": "reject-publish",
        }
        if self.exchange is not Exchange.PARKED:
            arguments["x-dead-letter-exchange"] = str(Exchange.PARKED)
        if self.exchange is Exchange.EVENTS:
            # Without it a dead letter may vanish; needs reject-publish above, else it silently downgrades.
            arguments["x-dead-letter-strategy"] = "at-least-once"
        return arguments


PARKED = Queue("parked", Exchange.PARKED, ("",), 100_000)


def event_queue(service: str) -> Queue:
    """The one queue in which a service finds every event it reads."""
    keys = tuple(sorted(name for name, event in REGISTRY.items() if service in event.consumers))
    return Queue(f"ev.{service}", Exchange.EVENTS, keys, 1_000_000)


def lane_queue(lane: str) -> Queue:
    """Wake-ups of one endpoint, or of one shared lane."""
    return Queue(f"dlv.lane.{lane}", Exchange.LANES, (lane,), 50_000)


def fixed_queues() -> list[Queue]:
    """Every queue that is there whatever agencies are connected."""
    readers = {reader for event in REGISTRY.values() for reader in event.consumers}
    return [PARKED, *(event_queue(reader) for reader in sorted(readers))]


def readers_of(event_type: str) -> tuple[str, ...]:
    """Services that must have taken an event before its outbox row may rest."""
    event = REGISTRY.get(event_type)
    return event.consumers if event else ()
