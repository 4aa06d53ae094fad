"""A queue of an agency's own broker. Not our bus: another house's broker, dialled as carefully as a webhook.

Published with confirms and ``mandatory``: the broker's confirm is the answer, a queue that is not there
comes back.
"""

import asyncio
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError, DeliveryError, PublishError
from aiormq.connection import TransportFactory
from yarl import URL

from common.waiting import is_cancelled
from notifier.adapters.names import look_up
from notifier.adapters.webhook import signed_headers
from notifier.domain.address import Network, is_allowed, is_exempt
from notifier.domain.channel import Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome

PORTS = {"amqps": 5671, "amqp": 5672}
DIALLED = frozenset({443, 5671})
"""Ports that may be dialled outside the allowed networks, with TLS only."""
MAX_CONNECTIONS = 64
MAX_FRAME = 131_072 + 8
CLOSE_SECONDS = 2.0
BROKEN = (AMQPError, OSError, TimeoutError, ValueError, RuntimeError, asyncio.InvalidStateError)
"""How a broker that hangs, lies or is away shows itself."""


class AddressForbidden(OSError):
    """The name led to an address that we never dial."""


class Queue:
    """The channel ``amqp``: one connection a broker, kept while it is good."""

    def __init__(self, *, allowed: tuple[Network, ...] = ()) -> None:
        self._allowed = allowed
        self._kept: dict[str, tuple[AbstractConnection, AbstractChannel]] = {}
        self._dialling: dict[str, asyncio.Lock] = {}
        self._closing: set[asyncio.Future[None]] = set()

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        """Publish once and wait for the broker's word."""
        parts = urlsplit(parcel.url)
        queue = parse_qs(parts.query).get("queue", [""])[0]
        if parts.scheme not in PORTS or not queue:
            return Answer(Outcome.UNSENDABLE)
        url = urlunsplit((parts.scheme, parts.netloc, parts.path or "/", "", ""))
        channel: AbstractChannel | None = None
        try:
            async with asyncio.timeout(parcel.timeout.total_seconds()):
                channel = await self._channel(url)
                await channel.default_exchange.publish(_message(parcel, now), queue, mandatory=True)
        except AddressForbidden:
            return Answer(Outcome.FORBIDDEN_ADDRESS)
        except PublishError:
            return Answer(Outcome.REFUSED)  # came back: there is no such queue (yet)
        except DeliveryError:
            return Answer(Outcome.FAILED)  # the broker said no: full, or in trouble
        except (*BROKEN, asyncio.CancelledError) as error:
            # Another attempt may have given up the connection that they share: the library ends as cancelled
            # all that wait on it.
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            return self._lost(url, channel)
        return Answer(Outcome.ACCEPTED)

    async def close(self) -> None:
        """Give connections back."""
        for url in list(self._kept):
            self._forget(url)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _channel(self, url: str) -> AbstractChannel:
        async with self._dialling.setdefault(url, asyncio.Lock()):
            kept = self._kept.get(url)
            if kept is not None and not kept[0].is_closed and not kept[1].is_closed:
                return kept[1]
            self._forget(url)
            if len(self._kept) >= MAX_CONNECTIONS:
                self._forget(next(iter(self._kept)))
            connection = aio_pika.Connection(URL(url))
            connection.kwargs["transport_factory"] = Dialler(self._allowed)
            try:
                await connection.connect()
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            except BaseException:
                self._let_go(connection)
                raise
            self._kept[url] = (connection, channel)
            return channel

    def _lost(self, url: str, channel: AbstractChannel | None) -> Answer:
        """Nobody answered on this channel; ``None``: there was none yet, so nothing was sent."""
        if channel is None:
            return Answer(Outcome.UNREACHABLE)
        # Others may have dialled anew since: theirs is not to be taken from them.
        if url in self._kept and self._kept[url][1] is channel:
            self._forget(url)
        return Answer(Outcome.NO_ANSWER)

    def _forget(self, url: str) -> None:
        kept = self._kept.pop(url, None)
        if kept is not None:
            self._let_go(kept[0])

    def _let_go(self, connection: AbstractConnection) -> None:
        """Close it aside: a broker that hangs must not hold up the attempt that found it out."""
        closing = asyncio.ensure_future(_close(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


class Dialler(TransportFactory):
    """Opens the connection to the very address that was judged, and reads no frame larger than any may be."""

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """As the library asks for it.

        Raises:
            AddressForbidden: the name leads to an address that we never dial.
            OSError: nobody answers there.
        """
        host, port = url.host or "", url.port or PORTS[url.scheme]
        context = await kwargs["ssl_context_provider"].get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        found = await look_up(host, port)
        targets = [str(target[0]) for _, _, _, _, target in found]
        for target in targets:
            address = ip_address(target)
            is_usual = context is not None and port in DIALLED and is_allowed(address)
            if not (is_exempt(address, self._allowed) or is_usual):
                raise AddressForbidden
        reader = CappedReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(
            lambda: protocol, targets[0], port, ssl=context, server_hostname=host if context else None
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class CappedReader(asyncio.StreamReader):
    """A frame says how long it is; a hostile one says gigabytes."""

    async def readexactly(self, n: int) -> bytes:
        """As usual, up to the largest frame that AMQP brokers use.

        Raises:
            ConnectionError: larger.
        """
        if n > MAX_FRAME:
            raise ConnectionError
        return await super().readexactly(n)


async def _close(connection: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
    except (AMQPError, OSError, TimeoutError, RuntimeError):
        return


def make(outfit: Outfit) -> Queue:
    """The plug-in ``amqp``."""
    return Queue(allowed=outfit.allowed)


def _message(parcel: Parcel, now: datetime) -> aio_pika.Message:
    headers: dict[str, Any] = {
        name: value for name, value in signed_headers(parcel, now=now).items() if name.startswith("webhook-")
    }
    return aio_pika.Message(
        parcel.body,
        message_id=str(parcel.delivery_id),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        headers=headers,
    )
