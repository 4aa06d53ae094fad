"""The parts a service is put together from, and what it hands back to be run."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fastapi import FastAPI

from common.bus import Bus, Queue
from common.bus.memory import MemoryBus
from common.bus.rabbit import RabbitBus
from common.contracts import Event
from common.db import Database
from common.doors import Doors
from common.identity import ServiceTokens
from common.inbox import Effect, Together
from common.keys import KeyRing
from common.settings import ServiceSettings
from common.telemetry import Telemetry
from common.timing import Now


@dataclass
class Parts:
    """What the outside gives to one service in one process."""

    service: str
    db: Database
    bus: Bus
    keys: KeyRing
    tokens: ServiceTokens
    telemetry: Telemetry
    doors: Doors
    now: Now

    @classmethod
    def open(
        cls, service: str, settings: ServiceSettings, *, bus: Bus | None = None, now: Now | None = None
    ) -> "Parts":
        """Make the parts that the settings name; ``bus`` is given where several services share a process.

        The present is the database's, unless another is given.
        """
        keys = KeyRing(settings.keys_dir)
        db = Database(settings.database_url.get_secret_value())
        now = now or db.now
        tokens = ServiceTokens(keys, service, now)
        return cls(
            service=service,
            db=db,
            bus=bus or _bus_of(settings),
            keys=keys,
            tokens=tokens,
            telemetry=Telemetry(service, settings.otlp_endpoint),
            doors=Doors(settings, tokens),
            now=now,
        )

    async def close(self) -> None:
        """Give everything back, last the traces."""
        await self.bus.close()
        await self.doors.close()
        await self.db.close()
        await asyncio.to_thread(self.telemetry.close)


def _bus_of(settings: ServiceSettings) -> Bus:
    url = settings.bus_url.get_secret_value()
    return MemoryBus() if url.startswith("memory") else RabbitBus(url, declares=settings.bus_declares)


@dataclass(frozen=True)
class Job:
    """Something done by time: at the start and then ``every`` so often, one run at a time."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[Any]]


@dataclass
class Service:
    """A service, put together by its ``app.build``.

    Attributes:
        app: door 1, HTTP.
        effects: door 2, events: what each does inside the inbox's transaction.
        jobs: door 3, time.
        watches: jobs that only look and tell; every role has them, so that one sees that the other is away.
        background: long-running work of the worker role; each returns soon after ``stop`` is set.
        prepare: run once after migrations (seed data); must be repeatable.
        lanes: further queues that its worker reads; probed beside the one of its events.
        close: give back what ``build`` opened (HTTP clients).
    """

    name: str
    app: FastAPI
    effects: Mapping[type[Event], Effect | Together] = field(default_factory=dict)
    jobs: Sequence[Job] = ()
    watches: Sequence[Job] = ()
    background: Sequence[Callable[[asyncio.Event], Awaitable[None]]] = ()
    prepare: Sequence[Callable[[], Awaitable[None]]] = ()
    lanes: Callable[[], Awaitable[Sequence[Queue]]] | None = None
    close: Sequence[Callable[[], Awaitable[None]]] = ()
