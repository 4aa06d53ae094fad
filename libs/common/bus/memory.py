"""The bus inside one process: fed by the same outbox and inbox tables as the broker.

It survives ``kill -9`` because it holds nothing: an event is confirmed only after its consumers
committed, and what was not confirmed is still in the outbox.
"""

import asyncio
from collections.abc import Sequence

from common.bus import Consumer, Message, Probe, Queue, Transient
from common.bus.topology import Exchange, readers_of
from common.telemetry import log


class _Subscription:
    def __init__(self, bus: "MemoryBus", queue: Queue, consumer: Consumer, prefetch: int) -> None:
        self.queue = queue
        self.consumer = consumer
        self.slots = asyncio.Semaphore(prefetch)
        self._bus = bus
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_hand = 0

    async def cancel(self) -> None:
        """Take no more messages; finish those in hand."""
        self._bus.drop(self)
        await self._idle.wait()

    async def take(self, message: Message) -> bool:
        self._in_hand += 1
        self._idle.clear()
        try:
            return await self._consume(message)
        finally:
            self._in_hand -= 1
            if not self._in_hand:
                self._idle.set()

    async def _consume(self, message: Message) -> bool:
        async with self.slots:
            try:
                await self.consumer(message)
            except Transient:
                return False
            except Exception:  # noqa: BLE001  # whatever a consumer raises, the message stays where it was
                # The broker would ask again and park it in the end; here it stays in the outbox.
                log.exception("message_refused", queue=self.queue.name, event_type=message.key)
                return False
        return True


class MemoryBus:
    """In-process implementation of ``Bus``."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, list[_Subscription]] = {}
        self._turn: dict[str, int] = {}
        self._lanes: set[asyncio.Task[bool]] = set()

    @property
    def is_connected(self) -> bool:
        """Always: it is this process."""
        return True

    async def start(self) -> None:
        """Nothing to connect."""

    async def close(self) -> None:
        """Wait for wake-ups in hand."""
        self._subscriptions.clear()
        if self._lanes:
            await asyncio.gather(*self._lanes, return_exceptions=True)

    async def declare(self, queues: Sequence[Queue]) -> None:
        """Queues need no room here."""

    async def publish(self, messages: Sequence[Message], *, seconds: float = 2.0) -> list[bool]:  # noqa: ARG002  # a reader in this process is awaited, not timed
        """Deliver to every reader and confirm once all of them committed."""
        return list(await asyncio.gather(*(self._deliver(message) for message in messages)))

    async def probe(self, queue: Queue, *, seconds: float = 5.0) -> Probe:  # noqa: ARG002  # nothing to wait for in one process
        """A queue lives while somebody takes from it."""
        return Probe.CONFIRMED if self._subscriptions.get(queue.name) else Probe.REFUSED

    async def depth(self, queue: Queue) -> int | None:  # noqa: ARG002  # no queue holds anything here
        """Nothing ever lies here: what was not taken is in the tables."""
        return 0

    async def rebuild(self, queue: Queue) -> None:
        """Queues need no room here."""

    async def subscribe(self, queue: Queue, consumer: Consumer, *, prefetch: int = 16) -> _Subscription:
        """Consume; several subscribers of one queue take turns."""
        subscription = _Subscription(self, queue, consumer, prefetch)
        self._subscriptions.setdefault(queue.name, []).append(subscription)
        return subscription

    def drop(self, subscription: _Subscription) -> None:
        """Forget a subscription."""
        rest = self._subscriptions.get(subscription.queue.name, [])
        if subscription in rest:
            rest.remove(subscription)

    def _next(self, queue: str) -> _Subscription | None:
        takers = self._subscriptions.get(queue, [])
        if not takers:
            return None
        turn = self._turn[queue] = (self._turn.get(queue, -1) + 1) % len(takers)
        return takers[turn]

    async def _deliver(self, message: Message) -> bool:
        if message.exchange is Exchange.LANES:
            taker = self._next(f"dlv.lane.{message.key}")
            if taker is None:
                return False
            task = asyncio.create_task(taker.take(message))
            self._lanes.add(task)
            task.add_done_callback(self._lanes.discard)
            return True
        takers = [self._next(f"ev.{service}") for service in readers_of(message.key)]
        if any(taker is None for taker in takers):
            return False
        return all(await asyncio.gather(*(taker.take(message) for taker in takers if taker)))
