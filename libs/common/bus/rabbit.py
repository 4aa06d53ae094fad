"""RabbitMQ (3.10 … 4.x) behind the ``Bus`` port.

The connection is ours to lose: one loop connects, declares, subscribes and waits for the end, then
starts over. A robust connection would restore consumers silently or not at all (a consumer that the
broker cancelled stays cancelled), so every loss rebuilds everything.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import aio_pika
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
    AbstractQueue,
)

from common.bus import Consumer, Message, Queue, Transient
from common.bus.topology import EXCHANGE_KINDS, PARKED, Exchange, readers_of
from common.telemetry import log

_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_POISON_PAUSE_SECONDS = 0.5
_TRANSIENT_PAUSE_SECONDS = 0.5

# Its reader logs a traceback for every cut connection; we report the cut ourselves.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)
logging.getLogger("aio_pika").setLevel(logging.CRITICAL)


class _Subscription:
    def __init__(self, queue: Queue, consumer: Consumer, prefetch: int) -> None:
        self.queue = queue
        self.consumer = consumer
        self.prefetch = prefetch
        self.is_cancelled = False
        self._channel: AbstractChannel | None = None
        self._open: tuple[AbstractQueue, str] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, connection: AbstractConnection) -> None:
        self._channel = await connection.channel(publisher_confirms=False)
        await self._channel.set_qos(prefetch_count=self.prefetch)
        queue = await self._channel.get_queue(self.queue.name, ensure=False)
        self._open = (queue, await queue.consume(self._receive))

    async def cancel(self) -> None:
        self.is_cancelled = True
        with contextlib.suppress(Exception):
            if self._open:
                await self._open[0].cancel(self._open[1])
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            if self._channel:
                await self._channel.close()

    async def _receive(self, incoming: AbstractIncomingMessage) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        exchange = Exchange(incoming.exchange) if incoming.exchange in set(Exchange) else Exchange.EVENTS
        message = Message(
            id=incoming.message_id or "",
            exchange=exchange,
            key=incoming.routing_key or "",
            body=incoming.body,
            headers={key: str(value) for key, value in incoming.headers.items()},
        )
        while True:
            try:
                await self.consumer(message)
            except Transient:
                # Our own database is away: hold the message instead of spending its delivery limit.
                await asyncio.sleep(_TRANSIENT_PAUSE_SECONDS)
                if self.is_cancelled:
                    return
            except Exception:  # noqa: BLE001  # whatever a consumer raises counts towards the limit
                log.exception("message_refused", queue=self.queue.name, event_type=message.key)
                await asyncio.sleep(_POISON_PAUSE_SECONDS)
                # reject, never nack: from 4.3 on a nack no longer counts and would loop for ever.
                with contextlib.suppress(Exception):
                    await incoming.reject(requeue=True)
                return
            else:
                # A channel that went away takes the ack with it; the inbox makes the repeat harmless.
                with contextlib.suppress(Exception):
                    await incoming.ack()
                return


class RabbitBus:
    """``Bus`` on RabbitMQ quorum queues with publisher confirms.

    Args:
        url: ``amqp://user:password@host:port/vhost``.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._queues: dict[str, Queue] = {PARKED.name: PARKED}
        self._subscriptions: list[_Subscription] = []
        self._exchanges: dict[Exchange, AbstractExchange] = {}
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._lost = asyncio.Event()
        self._ready = asyncio.Event()
        self._is_closing = False
        self._loop_task: asyncio.Task[None] | None = None
        self._declaring = asyncio.Lock()

    @property
    def is_connected(self) -> bool:
        """Whether the publishing channel stands."""
        return self._ready.is_set()

    async def start(self) -> None:
        """Connect in the background."""
        self._loop_task = asyncio.create_task(self._stay_connected())

    async def close(self) -> None:
        """Stop consuming, finish what is in hand, disconnect."""
        self._is_closing = True
        await asyncio.gather(*(s.cancel() for s in self._subscriptions), return_exceptions=True)
        self._lost.set()
        if self._loop_task:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
        await self._drop_connection()

    async def wait_connected(self) -> None:
        """Wait until the topology stands."""
        await self._ready.wait()

    async def declare(self, queues: Sequence[Queue]) -> None:
        """Remember the queues; declare those that are new when the broker is there."""
        new = [queue for queue in queues if self._queues.get(queue.name) != queue]
        self._queues |= {queue.name: queue for queue in new}
        if new and self.is_connected and self._connection:
            try:
                async with asyncio.timeout(10), self._declaring:
                    channel = await self._connection.channel(publisher_confirms=False)
                    await self._declare_on(channel, new)
                    await channel.close()
            except (aio_pika.exceptions.AMQPError, OSError, TimeoutError, RuntimeError):
                self._lost.set()

    async def publish(self, messages: Sequence[Message], *, seconds: float = 2.0) -> list[bool]:
        """Publish with confirms; every message is settled by itself."""
        if not self.is_connected:
            return [False] * len(messages)
        results = await asyncio.gather(*(self._publish_one(message, seconds) for message in messages))
        return list(results)

    async def subscribe(self, queue: Queue, consumer: Consumer, *, prefetch: int = 16) -> _Subscription:
        """Consume now and after every reconnect."""
        subscription = _Subscription(queue, consumer, prefetch)
        await self.declare([queue])
        self._subscriptions.append(subscription)
        if self.is_connected and self._connection:
            try:
                async with asyncio.timeout(10):
                    await subscription.start(self._connection)
            except (aio_pika.exceptions.AMQPError, OSError, TimeoutError, RuntimeError):
                self._lost.set()
        return subscription

    async def _publish_one(self, message: Message, seconds: float) -> bool:
        exchange = self._exchanges.get(message.exchange)
        if exchange is None:
            return False
        mandatory = message.exchange is Exchange.LANES or bool(readers_of(message.key))
        try:
            await exchange.publish(
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
        except (aio_pika.exceptions.AMQPError, OSError, TimeoutError, RuntimeError):
            return False
        return True

    async def _stay_connected(self) -> None:
        failures = 0
        while not self._is_closing:
            try:
                async with asyncio.timeout(15):
                    await self._connect()
                failures = 0
                log.info("broker_connected")
                await self._lost.wait()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever the client raises, the answer is the same: start over
                failures += 1
                if failures in (1, 10, 100):
                    log.warning("broker_away", error_type=type(error).__name__, count=failures)
            self._ready.clear()
            self._exchanges = {}
            await self._drop_connection()
            if not self._is_closing:
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])

    async def _connect(self) -> None:
        self._lost.clear()
        connection = await aio_pika.connect(self._url, timeout=5)
        self._connection = connection
        connection.close_callbacks.add(lambda *_: self._lost.set())
        # on_return_raises: without it an unroutable message looks delivered.
        self._channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        self._channel.close_callbacks.add(lambda *_: self._lost.set())
        for exchange, kind in EXCHANGE_KINDS.items():
            self._exchanges[exchange] = await self._channel.declare_exchange(exchange, kind, durable=True)
        async with self._declaring:
            await self._declare_on(self._channel, list(self._queues.values()))
        for subscription in self._subscriptions:
            if not subscription.is_cancelled:
                await subscription.start(connection)
        self._ready.set()

    async def _declare_on(self, channel: AbstractChannel, queues: Sequence[Queue]) -> None:
        for queue in queues:
            declared = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
            for key in queue.keys:
                await declared.bind(str(queue.exchange), routing_key=key)

    async def _drop_connection(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2):
                    await connection.close()
