"""The whole house in one process: five services, SQLite each, the in-process bus, traces kept at home.

Every service keeps its own socket on loopback, and the gateway proxies to them as it does in
production: what runs here is the same code, only nearer.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from common.bus.memory import MemoryBus
from common.keys import KeyRing
from common.migrating import upgrade
from common.parts import Parts, Service
from common.runtime import listen, run_both, serve, settle_heap
from common.settings import ServiceSettings
from common.telemetry import log
from dabyl.traces import TraceStore

SERVICES = ("registry", "notifier", "casework", "intake", "gateway")
"""In the order in which they are prepared: those that are asked first, first."""


@dataclass(frozen=True)
class _Room:
    service: Service
    parts: Parts
    socket: socket.socket


class House:
    """The embedded stack.

    Args:
        home: everything that is kept: databases, keys, traces, ``bootstrap.json``.
        host: address of the gateway.
        port: port of the gateway; 0 takes a free one.
    """

    def __init__(self, home: Path, host: str, port: int) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Bound at once: a taken port is told before anything is made.
        self._gateway_socket = listen(host, port)
        self.port: int = self._gateway_socket.getsockname()[1]
        self._host = host
        self._traces = TraceStore(home / "traces.db")
        self._rooms: list[_Room] = []
        self._opened: list[Parts] = []

    @property
    def url(self) -> str:
        """Where people and agencies find the house."""
        shown = "127.0.0.1" if self._host in ("0.0.0.0", "127.0.0.1") else self._host  # noqa: S104  # compared, not bound
        return f"http://{shown}:{self.port}"

    async def build(self) -> None:
        """Keys, databases, seed data, and every service put together; nothing answers yet."""
        try:
            await self._build()
        except BaseException:
            await self._close()  # SQLite's threads would keep a failed process alive
            raise

    async def _build(self) -> None:
        KeyRing.create(self.home / "keys")
        await self._traces.open()
        sockets = {name: listen("127.0.0.1", 0) for name in SERVICES if name != "gateway"}
        sockets["gateway"] = self._gateway_socket
        self._trace_socket = listen("127.0.0.1", 0)
        shared = self._shared_settings(sockets)
        bus = MemoryBus()
        for name in SERVICES:
            settings, make, migrations = _room_of(name, self.home, shared)
            parts = Parts.open(name, settings, bus=bus)
            self._opened.append(parts)
            await upgrade(parts.db, migrations, is_whole=True)  # no older process shares this folder
            service = make(settings, parts)
            for prepare in service.prepare:
                await prepare()
            self._rooms.append(_Room(service, parts, sockets[name]))

    async def run(self, stop: asyncio.Event) -> None:
        """Answer until stopped; then finish what is in hand, in order."""
        settle_heap()
        app = self._traces.routes()
        tracing_stop = asyncio.Event()
        tracing = asyncio.create_task(serve(app, tracing_stop, [self._trace_socket]))  # type: ignore[arg-type]  # any ASGI app
        work = [run_both(room.service, room.parts, stop, [room.socket]) for room in self._rooms]
        tasks = [asyncio.create_task(one) for one in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await self._close_parts()
            tracing_stop.set()
            await tracing
            await self._traces.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        log.info("stopped", service="dabyl")

    async def _close_parts(self) -> None:
        for room in self._rooms:
            for close in room.service.close:
                await close()
        for parts in self._opened:
            await parts.close()

    async def _close(self) -> None:
        await self._close_parts()
        await self._traces.close()

    def _shared_settings(self, sockets: dict[str, socket.socket]) -> dict[str, Any]:
        urls = {f"{name}_url": f"http://127.0.0.1:{sock.getsockname()[1]}" for name, sock in sockets.items()}
        urls.pop("gateway_url")
        traces = f"http://127.0.0.1:{self._trace_socket.getsockname()[1]}"
        return {
            **urls,
            "keys_dir": self.home / "keys",
            "otlp_endpoint": traces,
            "traces_url": traces,
            "public_url": self.url,
            "bootstrap_file": self.home / "bootstrap.json",
            # Simulated agencies live on loopback; a real house never sends there.
            "allow_loopback": True,
            "log_level": os.environ.get("DABYL_LOG_LEVEL", "WARNING"),
        }


def _room_of(
    name: str, home: Path, shared: dict[str, Any]
) -> tuple[ServiceSettings, Callable[[Any, Parts], Service], Path]:
    """Settings, ``build`` and migrations of one service."""
    settings_class: type[ServiceSettings] = import_module(f"{name}.settings").Settings
    own = {key: value for key, value in shared.items() if key in settings_class.model_fields}
    settings = settings_class(
        database_url=SecretStr(f"sqlite+aiosqlite:///{home / name}.db"), bus_url=SecretStr("memory:"), **own
    )
    folder = Path(str(import_module(name).__file__)).parent / "migrations"
    return settings, import_module(f"{name}.app").build, folder
