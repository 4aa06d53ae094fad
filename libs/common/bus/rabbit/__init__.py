"""RabbitMQ (3.10 … 4.x) behind the ``Bus`` port.

The connection is ours to lose: one loop connects, declares, subscribes and waits for the end, then
starts over. A robust connection would restore consumers silently or not at all (a consumer that the
broker cancelled stays cancelled), so whatever is lost is built again here, where it can be seen.
"""

import asyncio
import logging
import re
from collections.abc import Coroutine, Sequence
from typing import Any

import aio_pika
from aio_pika.exceptions import DeliveryError, PublishError

from common.bus import CANARY_HEADER, Consumer, Message, Probe, Queue
from common.bus.rabbit.link import FAILURES, Link, NoChannelLeft, TopologyMissing
from common.bus.rabbit.subscription import RabbitSubscription
from common.bus.topology import PARKED, Exchange, event_queue, readers_of
from common.cancelling import lost_with_connection
from common.telemetry import log

_NEXT_ADDRESS = re.compile(r",(?=amqps?://)")
_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_STEP_SECONDS = 15
"""For one step, not for all of them: thousands of lanes take longer."""
_RESTORE_SECONDS = 1.0
_CONSUME_SECONDS = 3.0
_MISSING_SECONDS = 5.0
_FULL_SECONDS = 60.0
_REMEDY = "run `dabyl topology apply`"

# Its reader logs a traceback for every cut connection; we report the cut ourselves.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)
logging.getLogger("aio_pika").setLevel(logging.CRITICAL)


def addresses(url: str) -> list[str]:
    """The addresses that are named in one setting."""
    return _NEXT_ADDRESS.split(url)


class RabbitBus:
    """``Bus`` on RabbitMQ quorum queues with publisher confirms.

    Args:
        url: ``amqp://user:password@host:port/vhost``; several of one cluster, with commas between them, are
            taken in turn: whenever a connection is lost or not to be had, the next one is tried.
        pause: seconds before a message that its consumer refused is given back.
        declares: whether exchanges and queues are made when they are not there. A service only looks, and
            says which are missing (``common.bus.provisioning`` makes them, as a user of its own).
    """

    def __init__(self, url: str, *, pause: float = 0.5, declares: bool = True) -> None:
        self._urls = addresses(url)
        self._declares = declares
        self._said_missing: set[str] = set()
        self._turn = 0
        self._pause = pause
        self._queues: dict[str, Queue] = {PARKED.name: PARKED}
        self._subscriptions: list[RabbitSubscription] = []
        self._link: Link | None = None
        self._ready = asyncio.Event()
        self._is_closing = False
        self._loop_task: asyncio.Task[None] | None = None
        self._repairs: set[asyncio.Task[None]] = set()

    @property
    def is_connected(self) -> bool:
        """Whether the publishing channel stands."""
        return self._link is not None and not self._link.lost.is_set()

    async def start(self) -> None:
        """Connect in the background."""
        self._loop_task = asyncio.create_task(self._stay_connected())

    async def close(self) -> None:
        """Stop consuming, finish what is in hand, disconnect."""
        self._is_closing = True
        await asyncio.gather(*(s.cancel() for s in self._subscriptions), return_exceptions=True)
        tasks = [*self._repairs, *([self._loop_task] if self._loop_task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def wait_connected(self) -> None:
        """Wait until the topology stands."""
        await self._ready.wait()

    async def declare(self, queues: Sequence[Queue]) -> None:
        """Remember the queues; declare those that are new when the broker is there."""
        self._queues |= {queue.name: queue for queue in queues}
        if self._link:
            await self._complete(self._link)

    async def declare_again(self) -> None:
        """Declare all that is remembered once more: what somebody took away is there again."""
        if self._link:
            self._link.declared.clear()
            await self._complete(self._link)

    async def publish(self, messages: Sequence[Message], *, seconds: float = 2.0) -> list[bool]:
        """Publish with confirms; every message is settled by itself."""
        link = self._link
        if link is None or link.lost.is_set():
            return [False] * len(messages)
        return await asyncio.gather(*(self._publish_one(link, message, seconds) for message in messages))

    async def probe(self, queue: Queue, *, seconds: float = 5.0) -> Probe:
        """Publish an empty message with the canary's header and wait for its confirm."""
        link = self._link
        if link is None or link.lost.is_set():
            return Probe.AWAY
        canary = aio_pika.Message(
            b"{}",
            headers={CANARY_HEADER: "1"},
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id="canary",
        )
        try:
            with lost_with_connection():
                async with asyncio.timeout(seconds):
                    await link.probe(queue, canary)
        except (PublishError, DeliveryError):
            return Probe.REFUSED
        except TimeoutError:
            return Probe.SILENT
        except FAILURES:
            return Probe.AWAY
        return Probe.CONFIRMED

    async def depth(self, queue: Queue) -> int | None:
        """Ask the broker; a queue that is not there has no depth."""
        link = self._link
        if link is None or link.lost.is_set():
            return None
        try:
            async with asyncio.timeout(_CONSUME_SECONDS):
                return await link.depth(queue)
        except FAILURES:
            return None

    async def rebuild(self, queue: Queue) -> None:
        """Delete it and let the repair of lost queues make it again, with its bindings and consumers."""
        if not self._declares:
            log.error("queue_needs_rebuild", queue=queue.name, reason="run `dabyl topology keep`")
            return
        link = self._link
        if link is None or link.lost.is_set():
            return
        try:
            with lost_with_connection():
                async with asyncio.timeout(_STEP_SECONDS):
                    await link.delete(queue)
        except FAILURES:
            link.lost.set()  # not even that works: everything is built again on a new connection
            return
        self._repair(link, after=_RESTORE_SECONDS)

    async def subscribe(self, queue: Queue, consumer: Consumer, *, prefetch: int = 16) -> RabbitSubscription:
        """Consume now and after every reconnect."""
        subscription = RabbitSubscription(queue, consumer, prefetch, self._pause)
        self._subscriptions.append(subscription)
        await self.declare([queue])
        return subscription

    async def _publish_one(self, link: Link, message: Message, seconds: float) -> bool:
        readers = readers_of(message.key) if message.exchange is Exchange.EVENTS else ()
        if link.missing and link.missing & {event_queue(reader) for reader in readers}:
            return False  # the other readers' queues would confirm it, and this one would never hear
        mandatory = message.exchange is Exchange.LANES or bool(readers)
        try:
            with lost_with_connection():  # a channel that closes cancels what waits for its confirms
                async with asyncio.timeout(seconds):
                    await link.exchanges[message.exchange].publish(
                        aio_pika.Message(
                            message.body,
                            message_id=message.id,
                            content_type="application/cloudevents+json",
                            # The default is transient: lost with the broker process even in a durable queue.
                            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                            headers=dict(message.headers),
                        ),
                        routing_key=message.key,
                        mandatory=mandatory,
                        timeout=seconds,
                    )
        except PublishError:
            self._restore_queues_for(link, message)
            return False
        except (DeliveryError, *FAILURES):
            return False
        return True

    def _restore_queues_for(self, link: Link, message: Message) -> None:
        """Nobody took it: a queue that we declared is gone."""
        gone = {
            queue
            for queue in link.declared
            if queue.exchange is message.exchange and message.key in queue.keys
        }
        if gone:
            link.declared -= gone
            # Not at once: a queue that is made again before the broker told its consumers leaves them
            # attached to nothing, and no cancellation comes (measured on 3.10).
            self._repair(link, after=_RESTORE_SECONDS)

    def _repair(
        self,
        link: Link,
        *,
        after: float = 0.0,
        again: RabbitSubscription | None = None,
        look_again: bool = False,
        look_for_room: bool = False,
    ) -> None:
        async def complete() -> None:
            await asyncio.sleep(after)
            if again is not None:
                link.unanswered.discard(again)
            if look_again:
                link.missing.clear()
                link.is_looking = False
            if look_for_room:
                link.is_full = False
            await self._complete(link)

        if not self._is_closing and not link.lost.is_set():
            task = asyncio.create_task(complete())
            self._repairs.add(task)
            task.add_done_callback(self._repairs.discard)

    async def _complete(self, link: Link) -> None:
        """Bring a link up to what is remembered; a failure gives it up, and the loop builds the next."""
        try:
            with lost_with_connection():
                async with link.building:
                    await self._build(link)
        except FAILURES:
            link.lost.set()

    async def _build(self, link: Link, *, only_events: bool = False) -> None:
        # Somebody may declare or subscribe while we wait for the broker: look again until nothing is missing.
        while not link.lost.is_set():
            step = self._next_step(link, is_event=True)
            if step is None and not only_events:
                step = self._next_step(link, is_event=False)
            if step is None:
                return
            async with asyncio.timeout(_STEP_SECONDS):
                await step

    def _next_step(self, link: Link, *, is_event: bool) -> Coroutine[Any, Any, None] | None:
        """What is to be made next of the queues of events, or of the others: these wait for those."""

        def is_meant(queue: Queue) -> bool:
            return (queue.exchange is Exchange.EVENTS) == is_event

        for queue in self._queues.values():
            if is_meant(queue) and queue not in link.declared and queue not in link.missing:
                return self._look(link, queue)
        for subscription in self._subscriptions:
            if is_meant(subscription.queue) and self._is_waiting(subscription, link):
                return self._consume(link, subscription)
        return None

    async def _look(self, link: Link, queue: Queue) -> None:
        await link.declare(queue)
        self._say_missing(link, queue)

    async def _consume(self, link: Link, subscription: RabbitSubscription) -> None:
        await subscription.drop_channel()
        try:
            async with asyncio.timeout(_CONSUME_SECONDS):
                await subscription.start(link, lambda: self._lose(link, subscription))
        except NoChannelLeft:
            # Lanes without a reader cost latency: their deliveries are found by time.
            log.error("channels_exhausted", reason="raise channel_max of the broker")
            link.is_full = True
            self._repair(link, after=_FULL_SECONDS, look_for_room=True)
        except TimeoutError:
            # A queue without a leader answers no consume (measured on 3.10): it must not cost the others
            # their connection. It is tried again, and the canary finds it meanwhile.
            log.warning("consume_unanswered", queue=subscription.queue.name)
            link.unanswered.add(subscription)
            self._repair(link, after=_CONSUME_SECONDS, again=subscription)

    def _say_missing(self, link: Link, queue: Queue) -> None:
        if queue not in link.missing:
            self._said_missing.discard(queue.name)
            return
        if queue.name not in self._said_missing:
            log.error("topology_missing", queue=queue.name, reason=_REMEDY)
            self._said_missing.add(queue.name)
        if not link.is_looking:
            link.is_looking = True
            self._repair(link, after=_MISSING_SECONDS, look_again=True)

    def _is_waiting(self, subscription: RabbitSubscription, link: Link) -> bool:
        return (
            not subscription.is_cancelled
            and subscription.link is not link
            and subscription.queue not in link.missing
            and subscription not in link.unanswered
            and not (link.is_full and subscription.queue.exchange is not Exchange.EVENTS)
        )

    def _lose(self, link: Link, subscription: RabbitSubscription) -> None:
        if subscription.link is link:
            log.warning("consumer_cancelled", queue=subscription.queue.name)
            subscription.link = None
            link.declared.discard(subscription.queue)
            self._repair(link)

    async def _stay_connected(self) -> None:
        failures = 0
        while not self._is_closing:
            link = Link(self._urls[self._turn % len(self._urls)], declares=self._declares)
            try:
                with lost_with_connection():
                    async with link.building:
                        async with asyncio.timeout(_STEP_SECONDS):
                            await link.open()
                        await self._build(link, only_events=True)
                        self._link = link  # events go their way while lanes are still being built
                        await self._build(link)
                self._ready.set()
                failures = 0
                log.info("broker_connected")
                await link.lost.wait()
            except Exception as error:  # noqa: BLE001  # whatever the client raises, the answer is the same: start over
                failures += 1
                if isinstance(error, TopologyMissing) and failures in (1, 10, 100):
                    log.error("topology_missing", queue=str(error), reason=_REMEDY, count=failures)
                elif failures in (1, 10, 100):
                    log.warning("broker_away", error_type=type(error).__name__, count=failures)
            finally:
                self._link = None
                self._turn += 1
                self._ready.clear()
                await link.close()
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
