"""A bare HTTP/1.1 client: httptools under an asyncio protocol, nothing else. The load and the bare rate."""

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httptools


class Connection(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    async def send(self, request: bytes) -> int:
        """Send a whole request; its answer's status."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.body = b""
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Let go."""
        if self._transport is not None:
            self._transport.close()


async def connect(url: str) -> Connection:
    """A connection to the host of this URL."""
    parts = urlsplit(url)
    _, protocol = await asyncio.get_running_loop().create_connection(
        Connection, parts.hostname or "127.0.0.1", parts.port or 80
    )
    return protocol


def request(url: str, body: bytes, headers: dict[str, str], *, method: str = "POST") -> bytes:
    """A request as bytes."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def burst(url: str, requests: Iterator[bytes], *, in_flight: int) -> tuple[int, float, list[int]]:
    """Send them all as fast as they are answered.

    Returns:
        How many, in how many seconds, and the statuses that were no success.
    """
    done, bad = 0, []

    async def some() -> None:
        nonlocal done
        connection = await connect(url)
        for one in requests:
            status = await connection.send(one)
            done += 1
            if status >= 300:
                bad.append(status)
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(in_flight)))
    return done, time.perf_counter() - began, bad


async def paced(url: str, requests: Iterator[bytes], *, a_second: float) -> list[tuple[float, int, bytes]]:
    """Send one every so often whatever the answers: (sent at, status, body) in order."""
    pool: list[Connection] = []
    sent: list[tuple[float, int, bytes]] = []

    async def one(data: bytes) -> tuple[float, int, bytes]:
        connection = pool.pop() if pool else await connect(url)
        at = time.time()
        status = await connection.send(data)
        answer = (at, status, connection.body)
        pool.append(connection)
        return answer

    began, tasks = time.perf_counter(), []
    for number, data in enumerate(requests):
        await asyncio.sleep(max(0.0, began + number / a_second - time.perf_counter()))
        tasks.append(asyncio.create_task(one(data)))
    sent = list(await asyncio.gather(*tasks))
    for connection in pool:
        connection.close()
    return sent
