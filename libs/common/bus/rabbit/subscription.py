"""One consumer: takes messages, acknowledges what took effect, gives back what was refused."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from common.bus import Consumer, Message, Queue, Transient
from common.bus.rabbit.link import FAILURES, POLITE_SECONDS, Link
from common.bus.topology import Exchange
from common.cancelling import lost_with_connection
from common.telemetry import log

_DRAIN_SECONDS = 10.0


class RabbitSubscription:
    """A consumer of one queue on whatever link stands."""

    def __init__(self, queue: Queue, consumer: Consumer, prefetch: int, pause: float) -> None:
        self.queue = queue
        self.consumer = consumer
        self.prefetch = prefetch
        self.is_cancelled = False
        self.link: Link | None = None
        self._pause = pause
        self._channel: AbstractChannel | None = None
        self._stop: Callable[[], Coroutine[Any, Any, Any]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, link: Link, lost: Callable[[], None]) -> None:
        """Consume on this link; ``lost``: the broker ended it (queue deleted, channel closed)."""
        channel = await link.consuming_channel(is_spare=self.queue.exchange is Exchange.EVENTS)
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
            with contextlib.suppress(*FAILURES), lost_with_connection():
                async with asyncio.timeout(POLITE_SECONDS):
                    await channel.close()

    async def cancel(self) -> None:
        """Take no more messages; finish those in hand."""
        self.is_cancelled = True
        with contextlib.suppress(*FAILURES), lost_with_connection():
            async with asyncio.timeout(POLITE_SECONDS):
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
            with contextlib.suppress(Exception), lost_with_connection():
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
                with contextlib.suppress(Exception), lost_with_connection():
                    await incoming.reject(requeue=True)
                return
            else:
                with contextlib.suppress(Exception), lost_with_connection():
                    await incoming.ack()
                return
