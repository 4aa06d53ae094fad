"""A TCP proxy that spoils what passes: between services and PostgreSQL, RabbitMQ or the agencies.

It is ours, a page long, and runs in a thread of its own; its mode may be changed while connections stand.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from tests.parts.process import free_ports

CHUNK = 16 * 1024
LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends a reset."""


class Mode(StrEnum):
    PASS = "pass"
    DELAY = "delay"
    """Each piece comes ``seconds`` later."""
    DRIP = "drip"
    """A few bytes a second, both ways."""
    CUT = "cut"
    """Each connection is reset after ``size`` bytes of answer."""
    RESET = "reset"
    """Standing connections are reset, and new ones as soon as they are made."""
    BLACK_HOLE = "black_hole"
    """Half-open: connections are taken and stand, and nothing passes any more."""
    REFUSE = "refuse"
    """Nobody listens; standing connections are reset."""


@dataclass(frozen=True)
class Weather:
    mode: Mode = Mode.PASS
    seconds: float = 0.2
    size: int = 64


CALM = Weather()


class Proxy:
    """``port`` is where clients connect; ``target`` is the real port, and may be set later."""

    def __init__(self, target: int = 0) -> None:
        [self.port] = free_ports(1)
        self.target = target
        self.passed = 0
        """Connections that were opened to the target."""
        self._weather = CALM
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> "Proxy":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def turn(self, weather: Weather) -> None:
        """From now on; returns when it holds."""
        asyncio.run_coroutine_threadsafe(self._turn(weather), self._loop).result(10)

    @contextmanager
    def under(self, weather: Weather) -> Iterator[None]:
        self.turn(weather)
        try:
            yield
        finally:
            self.turn(CALM)

    async def _turn(self, weather: Weather) -> None:
        self._weather = weather
        self._changed.set()
        self._changed = asyncio.Event()
        if weather.mode is Mode.REFUSE:
            await self._close_server()
        elif self._server is None:
            await self._listen()
        if weather.mode in (Mode.REFUSE, Mode.RESET):
            for writer in list(self._writers):
                _reset(writer)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=CHUNK)

    async def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _end(self) -> None:
        await self._close_server()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather.mode in (Mode.RESET, Mode.REFUSE):
            _reset(writer)
            return
        self._writers.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            await self._hold()
            back, onward = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK)
            self._writers.add(onward)
            self.passed += 1
            await asyncio.gather(self._pump(reader, onward), self._pump(back, writer, is_answer=True))
        except OSError:
            pass
        finally:
            for one in (writer, onward):
                if one is not None:
                    _reset(one)
                    self._writers.discard(one)

    async def _hold(self) -> None:
        while self._weather.mode is Mode.BLACK_HOLE:
            await self._changed.wait()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = False
    ) -> None:
        passed = 0
        while piece := await reader.read(CHUNK):
            await self._hold()
            weather = self._weather
            if weather.mode is Mode.DELAY:
                await asyncio.sleep(weather.seconds)
            elif weather.mode is Mode.DRIP:
                piece = await self._drip(piece, writer)
            elif weather.mode is Mode.CUT and is_answer:
                piece = piece[: max(0, weather.size - passed)]
                writer.write(piece)
                await writer.drain()
                passed += len(piece)
                if passed >= weather.size:
                    raise ConnectionResetError
                continue
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def _drip(self, piece: bytes, writer: asyncio.StreamWriter) -> bytes:
        """A few bytes at a time; what is left when the weather changes."""
        while piece and self._weather.mode is Mode.DRIP:
            writer.write(piece[: self._weather.size])
            piece = piece[self._weather.size :]
            await writer.drain()
            await asyncio.sleep(self._weather.seconds)
        return piece


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    writer.transport.abort()
