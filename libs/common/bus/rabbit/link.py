"""One connection to RabbitMQ and everything that dies with it."""

import asyncio
import contextlib
from collections.abc import Hashable

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity, ChannelPreconditionFailed
from yarl import URL

from common.bus import Queue
from common.bus.topology import EXCHANGE_KINDS, Exchange
from common.cancelling import lost_with_connection
from common.telemetry import log

POLITE_SECONDS = 2.0
"""So long an end is waited for that the broker should agree to."""
FAILURES = (AMQPError, OSError, TimeoutError, RuntimeError)
"""What the client raises when a connection or a broker fails."""
_HEARTBEAT_SECONDS = 15
SPARE_CHANNELS = 4
"""Of the consuming connection, for events: lanes never take them."""


class TopologyMissing(Exception):
    """An exchange that only ``dabyl topology apply`` makes is not there."""


class NoChannelLeft(Exception):
    """One more channel than the broker allows would cost the connection, and all that is consumed on it."""


class Link:
    """Everything that dies with one connection.

    Publishing and consuming have a connection each: a broker under a resource alarm stops reading from
    whoever publishes, and acknowledgements must not stop with it.

    Args:
        declares: whether exchanges and queues are made when they are not there, or only looked for.
    """

    def __init__(self, url: str, *, declares: bool) -> None:
        self.lost = asyncio.Event()
        self.declared: set[Queue] = set()
        self.missing: set[Queue] = set()
        self.is_looking = False
        self._declares = declares
        self.unanswered: set[Hashable] = set()
        self.is_full = False
        self.exchanges: dict[Exchange, AbstractExchange] = {}
        self.building = asyncio.Lock()
        self._url = url
        self._connections: list[AbstractConnection] = []
        self._consuming: AbstractConnection | None = None

    async def open(self) -> None:
        """Connect and declare (or look for) the exchanges.

        Raises:
            TopologyMissing: an exchange is not there, and is not ours to make.
            AMQPError, OSError, TimeoutError, RuntimeError: one of ``FAILURES``.
        """
        publishing = await self._connect()
        for exchange, kind in EXCHANGE_KINDS.items():
            # A channel each: a queue without a leader holds up its whole channel (measured on 3.10), and a
            # lane must not hold up events. on_return_raises: else an unroutable message looks delivered.
            channel = await publishing.channel(publisher_confirms=True, on_return_raises=True)
            channel.close_callbacks.add(lambda *_: self.lost.set())
            try:
                self.exchanges[exchange] = await channel.declare_exchange(
                    exchange, kind, durable=True, passive=not self._declares
                )
            except ChannelNotFoundEntity as error:
                raise TopologyMissing(str(exchange)) from error

    async def probe(self, queue: Queue, message: aio_pika.Message) -> None:
        """Publish on a channel of its own, which nothing else waits for."""
        channel = await self._connections[0].channel(publisher_confirms=True, on_return_raises=True)
        try:
            exchange = await channel.get_exchange(str(queue.exchange), ensure=False)
            await exchange.publish(message, routing_key=queue.canary_key, mandatory=True)
        finally:
            with contextlib.suppress(Exception), lost_with_connection():
                async with asyncio.timeout(POLITE_SECONDS):
                    await channel.close()

    async def declare(self, queue: Queue) -> None:
        """Declare a queue with its bindings, or look whether it is there. Raises one of ``FAILURES``.

        What is looked for and not found is ``missing``. Bindings cannot be looked for here.
        """
        # A channel of its own: the broker closes it when a queue of this name has other arguments.
        channel = await self._connections[0].channel(publisher_confirms=False)
        try:
            if not self._declares:
                await channel.declare_queue(queue.name, passive=True)
                self.declared.add(queue)
                return
            declared = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
            for key in {*queue.keys, queue.canary_key}:
                await declared.bind(str(queue.exchange), routing_key=key)
        except ChannelNotFoundEntity:
            self.missing.add(queue)
            return
        except ChannelPreconditionFailed:
            log.error("queue_differs", queue=queue.name)  # it is there, made by somebody else: use it
        finally:
            await channel.close()
        self.declared.add(queue)

    async def depth(self, queue: Queue) -> int | None:
        """How many messages a queue holds. Raises one of ``FAILURES``."""
        channel = await self._connections[0].channel(publisher_confirms=False)
        try:
            found = await channel.declare_queue(queue.name, passive=True)
            return found.declaration_result.message_count
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(POLITE_SECONDS):
                    await channel.close()

    async def delete(self, queue: Queue) -> None:
        """Delete a queue with all that it holds. Raises one of ``FAILURES``."""
        channel = await self._connections[0].channel(publisher_confirms=False)
        try:
            await channel.queue_delete(queue.name)
        finally:
            await channel.close()
        self.declared.discard(queue)

    async def consuming_channel(self, *, is_spare: bool = False) -> AbstractChannel:
        """A new channel on the connection for consumers.

        Raises:
            NoChannelLeft: the last ones are kept for those that ask with ``is_spare``.
        """
        if self._consuming is None:
            self._consuming = await self._connect()
        transport = self._consuming.transport
        if transport is not None and not is_spare:
            most = transport.connection.connection_tune.channel_max or 65_535
            if len(transport.connection.channels) >= most - SPARE_CHANNELS:
                raise NoChannelLeft
        return await self._consuming.channel(publisher_confirms=False)

    async def close(self) -> None:
        """Disconnect, politely but not for long."""
        for connection in reversed(self._connections):
            with contextlib.suppress(Exception), lost_with_connection():
                async with asyncio.timeout(POLITE_SECONDS):
                    await connection.close()

    async def _connect(self) -> AbstractConnection:
        url = URL(self._url)
        if "heartbeat" not in url.query:
            url = url.update_query(heartbeat=_HEARTBEAT_SECONDS)
        connection = await aio_pika.connect(url, timeout=5)
        self._connections.append(connection)
        connection.close_callbacks.add(lambda *_: self.lost.set())
        return connection
