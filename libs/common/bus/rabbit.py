"""RabbitMQ (3.10 … 4.x) behind the ``Bus`` port.

The connection is ours to lose: one loop connects, declares, subscribes and waits for the end, then
starts over. A robust connection would restore consumers silently or not at all (a consumer that the
broker cancelled stays cancelled), so whatever is lost is built again here, where it can be seen.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from aio_pika.exceptions import (
    AMQPError,
    ChannelPreconditionFailed,
    DeliveryError,
    PublishError,
)
from yarl import URL

from common.bus import CANARY_HEADER, Consumer, Message, Probe, Queue, Transient
from common.bus.topology import EXCHANGE_KINDS, PARKED, Exchange, readers_of
from common.telemetry import log

_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_BUILD_SECONDS = 15
_POLITE_SECONDS = 2.0
_DRAIN_SECONDS = 10.0
_HEARTBEAT_SECONDS = 15
_RESTORE_SECONDS = 1.0
_CONSUME_SECONDS = 3.0
_FAILURES = (AMQPError, OSError, TimeoutError, RuntimeError)

# Its reader logs a traceback for every cut connection; we report the cut ourselves.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)
logging.getLogger("aio_pika").setLevel(logging.CRITICAL)


class _Link:
    """Everything that dies with one connection.

    Publishing and consuming have a connection each: a broker under a resource alarm stops reading from
    whoever publishes, and acknowledgements must not stop with it.
    """

    def __init__(self, url: str) -> None:
        self.lost = asyncio.Event()
        self.declared: set[Queue] = set()
        self.unanswered: set[_Subscription] = set()
        self.exchanges: dict[Exchange, AbstractExchange] = {}
        self.building = asyncio.Lock()
        self._url = url
        self._connections: list[AbstractConnection] = []
        self._consuming: AbstractConnection | None = None

    async def open(self) -> None:
        publishing = await self._connect()
        for exchange, kind in EXCHANGE_KINDS.items():
            # A channel each: a queue without a leader holds up its whole channel (measured on 3.10), and a
            # lane must not hold up events. on_return_raises: else an unroutable message looks delivered.
            channel = await publishing.channel(publisher_confirms=True, on_return_raises=True)
            channel.close_callbacks.add(lambda *_: self.lost.set())
            self.exchanges[exchange] = await channel.declare_exchange(exchange, kind, durable=True)

    async def probe(self, queue: Queue, message: aio_pika.Message) -> None:
        """Publish on a channel of its own, which nothing else waits for."""
        channel = await self._connections[0].channel(publisher_confirms=True, on_return_raises=True)
        try:
            exchange = await channel.get_exchange(str(queue.exchange), ensure=False)
            await exchange.publish(message, routing_key=queue.canary_key, mandatory=True)
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_POLITE_SECONDS):
                    await channel.close()

    async def declare(self, queue: Queue) -> None:
        # A channel of its own: the broker closes it when a queue of this name has other arguments.
        channel = await self._connections[0].channel(publisher_confirms=False)
        try:
            declared = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
            for key in queue.keys:
                await declared.bind(str(queue.exchange), routing_key=key)
        except ChannelPreconditionFailed:
            log.error("queue_differs", queue=queue.name)  # it is there, made by somebody else: use it
        finally:
            await channel.close()
        self.declared.add(queue)

    async def delete(self, queue: Queue) -> None:
        channel = await self._connections[0].channel(publisher_confirms=False)
        try:
            await channel.queue_delete(queue.name)
        finally:
            await channel.close()
        self.declared.discard(queue)

    async def consuming_channel(self) -> AbstractChannel:
        if self._consuming is None:
            self._consuming = await self._connect()
        return await self._consuming.channel(publisher_confirms=False)

    async def close(self) -> None:
        for connection in reversed(self._connections):
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_POLITE_SECONDS):
                    await connection.close()

    async def _connect(self) -> AbstractConnection:
        url = URL(self._url)
        if "heartbeat" not in url.query:
            url = url.update_query(heartbeat=_HEARTBEAT_SECONDS)
        connection = await aio_pika.connect(url, timeout=5)
        self._connections.append(connection)
        connection.close_callbacks.add(lambda *_: self.lost.set())
        return connection


class _Subscription:
    def __init__(self, queue: Queue, consumer: Consumer, prefetch: int, pause: float) -> None:
        self.queue = queue
        self.consumer = consumer
        self.prefetch = prefetch
        self.is_cancelled = False
        self.link: _Link | None = None
        self._pause = pause
        self._channel: AbstractChannel | None = None
        self._stop: Callable[[], Coroutine[Any, Any, Any]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, link: _Link, lost: Callable[[], None]) -> None:
        """Consume on this link; ``lost``: the broker ended it (queue deleted, channel closed)."""
        channel = await link.consuming_channel()
        await channel.set_qos(prefetch_count=self.prefetch)

        def ended(*_: object) -> None:
            if self._channel is channel and not self.is_cancelled:
                lost()

        channel.close_callbacks.add(ended)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(ended)
        queue = await channel.get_queue(self.queue.name, ensure=False)
        self._channel = channel
        tag = await queue.consume(self._receive)
        self.link = link
        self._stop = lambda: queue.cancel(tag)

    async def drop_channel(self) -> None:
        """Leave a channel whose consumer is gone; what it still held comes again."""
        channel, self._channel, self.link = self._channel, None, None
        if channel is not None:
            with contextlib.suppress(*_FAILURES):
                async with asyncio.timeout(_POLITE_SECONDS):
                    await channel.close()

    async def cancel(self) -> None:
        """Take no more messages; finish those in hand."""
        self.is_cancelled = True
        with contextlib.suppress(*_FAILURES):
            async with asyncio.timeout(_POLITE_SECONDS):
                if self._stop:
                    await self._stop()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=_DRAIN_SECONDS)
            for task in unfinished:
                task.cancel()
        await self.drop_channel()

    async def _receive(self, incoming: AbstractIncomingMessage) -> None:
        # A task of our own: the client library cancels its tasks when the channel goes, and work that
        # has begun is better finished (the ack is lost, the inbox makes the repeat harmless).
        task = asyncio.create_task(self._work(incoming))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, incoming: AbstractIncomingMessage) -> None:
        channel = self._channel
        exchange = Exchange(incoming.exchange) if incoming.exchange in set(Exchange) else Exchange.EVENTS
        message = Message(
            id=incoming.message_id or "",
            exchange=exchange,
            key=incoming.routing_key or "",
            body=incoming.body,
            headers={key: str(value) for key, value in incoming.headers.items()},
        )
        if message.is_canary:
            with contextlib.suppress(Exception):
                await incoming.ack()
            return
        while True:
            try:
                await self.consumer(message)
            except Transient:
                # Our own database is away: hold the message instead of spending its delivery limit.
                await asyncio.sleep(self._pause)
                if self.is_cancelled or self._channel is not channel:
                    return
            except Exception:  # noqa: BLE001  # whatever a consumer raises counts towards the delivery limit
                log.exception("message_refused", queue=self.queue.name, event_type=message.key)
                await asyncio.sleep(self._pause)
                # reject, never nack: from 4.3 on a nack no longer counts and would loop for ever.
                with contextlib.suppress(Exception):
                    await incoming.reject(requeue=True)
                return
            else:
                with contextlib.suppress(Exception):
                    await incoming.ack()
                return


class RabbitBus:
    """``Bus`` on RabbitMQ quorum queues with publisher confirms.

    Args:
        url: ``amqp://user:password@host:port/vhost``.
        pause: seconds before a message that its consumer refused is given back.
    """

    def __init__(self, url: str, *, pause: float = 0.5) -> None:
        self._url = url
        self._pause = pause
        self._queues: dict[str, Queue] = {PARKED.name: PARKED}
        self._subscriptions: list[_Subscription] = []
        self._link: _Link | None = None
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
            async with asyncio.timeout(seconds):
                await link.probe(queue, canary)
        except (PublishError, DeliveryError):
            return Probe.REFUSED
        except TimeoutError:
            return Probe.SILENT
        except _FAILURES:
            return Probe.AWAY
        return Probe.CONFIRMED

    async def rebuild(self, queue: Queue) -> None:
        """Delete it and let the repair of lost queues make it again, with its bindings and consumers."""
        link = self._link
        if link is None or link.lost.is_set():
            return
        try:
            async with asyncio.timeout(_BUILD_SECONDS):
                await link.delete(queue)
        except _FAILURES:
            link.lost.set()  # not even that works: everything is built again on a new connection
            return
        self._repair(link, after=_RESTORE_SECONDS)

    async def subscribe(self, queue: Queue, consumer: Consumer, *, prefetch: int = 16) -> _Subscription:
        """Consume now and after every reconnect."""
        subscription = _Subscription(queue, consumer, prefetch, self._pause)
        self._subscriptions.append(subscription)
        await self.declare([queue])
        return subscription

    async def _publish_one(self, link: _Link, message: Message, seconds: float) -> bool:
        mandatory = message.exchange is Exchange.LANES or bool(readers_of(message.key))
        try:
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
        except (DeliveryError, *_FAILURES):
            return False
        except asyncio.CancelledError:
            # A channel that closes cancels what waits for its confirms: that is an answer, not our end.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return False
        return True

    def _restore_queues_for(self, link: _Link, message: Message) -> None:
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

    def _repair(self, link: _Link, *, after: float = 0.0, again: _Subscription | None = None) -> None:
        async def complete() -> None:
            await asyncio.sleep(after)
            if again is not None:
                link.unanswered.discard(again)
            await self._complete(link)

        if not self._is_closing and not link.lost.is_set():
            task = asyncio.create_task(complete())
            self._repairs.add(task)
            task.add_done_callback(self._repairs.discard)

    async def _complete(self, link: _Link) -> None:
        """Bring a link up to what is remembered; a failure gives it up, and the loop builds the next."""
        try:
            async with asyncio.timeout(_BUILD_SECONDS), link.building:
                await self._build(link)
        except _FAILURES:
            link.lost.set()

    async def _build(self, link: _Link) -> None:
        # Somebody may declare or subscribe while we wait for the broker: look again until nothing is missing.
        while not link.lost.is_set():
            queue = next((one for one in self._queues.values() if one not in link.declared), None)
            if queue is not None:
                await link.declare(queue)
                continue
            subscription = next((one for one in self._subscriptions if self._is_waiting(one, link)), None)
            if subscription is None:
                return
            await subscription.drop_channel()
            try:
                async with asyncio.timeout(_CONSUME_SECONDS):
                    await subscription.start(link, lambda one=subscription: self._lose(link, one))  # type: ignore[misc]  # a default binds the loop's value
            except TimeoutError:
                # A queue without a leader answers no consume (measured on 3.10): it must not cost the others
                # their connection. It is tried again, and the canary finds it meanwhile.
                log.warning("consume_unanswered", queue=subscription.queue.name)
                link.unanswered.add(subscription)
                self._repair(link, after=_CONSUME_SECONDS, again=subscription)

    def _is_waiting(self, subscription: _Subscription, link: _Link) -> bool:
        return (
            not subscription.is_cancelled
            and subscription.link is not link
            and subscription not in link.unanswered
        )

    def _lose(self, link: _Link, subscription: _Subscription) -> None:
        if subscription.link is link:
            log.warning("consumer_cancelled", queue=subscription.queue.name)
            subscription.link = None
            link.declared.discard(subscription.queue)
            self._repair(link)

    async def _stay_connected(self) -> None:
        failures = 0
        while not self._is_closing:
            link = _Link(self._url)
            try:
                async with asyncio.timeout(_BUILD_SECONDS), link.building:
                    await link.open()
                    await self._build(link)
                self._link = link
                self._ready.set()
                failures = 0
                log.info("broker_connected")
                await link.lost.wait()
            except Exception as error:  # noqa: BLE001  # whatever the client raises, the answer is the same: start over
                failures += 1
                if failures in (1, 10, 100):
                    log.warning("broker_away", error_type=type(error).__name__, count=failures)
            finally:
                self._link = None
                self._ready.clear()
                await link.close()
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
