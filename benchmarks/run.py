"""One run: parts of its own, every contestant and scenario in turn, all on the same sink."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg

from benchmarks import growth, limits, scenarios
from benchmarks.job import AGENCIES
from benchmarks.ours import Embedded, Spread
from benchmarks.rivals import RECIPES, Recipe, Rival
from benchmarks.running import Contestant, bare_rate, measure_burst, measure_light
from benchmarks.sink import Sink
from tests.parts import packages
from tests.parts.postgres import Postgres
from tests.parts.process import PartFailed, reachable_folder
from tests.parts.rabbit import Rabbit, VirtualHosts

BOUND_SECONDS = 15 * 60.0
"""The whole run never takes longer; what is missing then is named as failed."""
END_SECONDS = 30.0


LOG_MB = 960
"""Of write-ahead log that a new server is made to have before anybody is measured."""


async def fill_log(url: str) -> None:
    """Let a new server have the log files that one of a day's age writes over again and again.

    Without it every 16 MB a file is made and filled with zeros, and each commit of that moment waits for it
    (measured: 30 to 50 ms about every ten seconds of a light load, which is just the slowest alert of a hundred).
    """
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        for setting, size in (("min_wal_size", "1GB"), ("max_wal_size", "4GB")):
            await connection.execute(f"ALTER SYSTEM SET {setting} = '{size}'")
        await connection.execute("SELECT pg_reload_conf()")
        for _ in range(LOG_MB // 16):
            await connection.execute(
                "SELECT pg_logical_emit_message(false, 'bench', repeat('x', 1024 * 1024)) FROM generate_series(1, 16)"
            )
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


class TimeUp(SystemExit):
    """A part took longer than it may. asyncio lets this through where it would swallow another exception."""


@dataclass(frozen=True)
class Part:
    """One figure of the run.

    Attributes:
        seconds: the longest it may take, starts and stops included.
    """

    name: str
    measure: Callable[[], Awaitable[Any]]
    seconds: float


class Run:
    """Starts the parts that everybody shares, measures part by part, ends what still stands."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.alerts = 100 if quick else 500
        self.light_seconds = 6.0 if quick else 30.0
        self.began = time.monotonic()
        self.folder = reachable_folder("bench")
        self.standing: list[Contestant] = []
        self.found: dict[str, Any] = {
            "quick": quick, "cores": os.cpu_count(), "contestants": {}, "failed": {}, "seconds": {},
            "load_before": os.getloadavg()[0],
        }  # fmt: skip
        packages.ensure_postgres()
        packages.ensure_rabbit()
        with suppress(PartFailed):
            packages.ensure_nginx()
        self.sink = Sink(self.folder / "sink")
        self.postgres = Postgres(self.folder / "pg")
        self.rabbit = Rabbit(self.folder / "rabbit")
        self.found["sink"] = self.sink.kind
        try:
            self.postgres.start()
            asyncio.run(fill_log(self.postgres.url_for()))
            self.rabbit.start()
        except BaseException:
            self.end()
            raise
        self.hosts = VirtualHosts(self.rabbit.url, self.rabbit.api)

    @property
    def servers(self) -> list[int]:
        return [one.pid for one in (self.postgres.running, self.rabbit.running) if one]

    def urls(self) -> dict[str, str]:
        return {code: f"{self.sink.url}/{code}" for code in AGENCIES}

    def spread(self, name: str, *, others: dict[str, str] | None = None) -> Spread:
        """A house of ours on databases and a virtual host of its own; ``others``: endpoints that differ."""
        url = self.postgres.url_for()
        house = Spread(
            self.folder / name, self.urls() | (others or {}), url, self.hosts.create(name), name=name
        )
        self.standing.append(house)
        return house

    def leave(self, contestant: Contestant) -> None:
        """End a contestant."""
        contestant.stop()
        self.standing.remove(contestant)

    def parts(self, *, is_whole: bool = True) -> list[Part]:
        """Everything, in a fixed order: what matters most first, should the time run out."""
        pace = 0.5 if self.quick else 1.0
        times = 1 if is_whole or self.quick else scenarios.LONG
        return [
            Part("limits", self._limits, 30),
            Part("dabyl", self._dabyl, 150),
            *(
                Part(recipe.database, lambda recipe=recipe: self._rival(recipe), 150)  # type: ignore[misc]  # a default binds the loop's value
                for recipe in RECIPES
            ),
            Part("growth", lambda: self._keep("growth", growth.measure(self, scale=0.1 if self.quick else 1)), 200),
            Part("hanging", lambda: self._keep("hanging", scenarios.hanging(self, pace, times=times)), 120 + 150 * times),
            Part("dead", lambda: self._keep("dead", scenarios.dead(self, pace)), 100),
            Part("workers", lambda: self._keep("workers", scenarios.workers(self, pace)), 120),
            Part("embedded", self._embedded, 100),
        ]  # fmt: skip

    def all(self, only: list[str]) -> dict[str, Any]:
        """Measure part by part; whatever fails is named, and the run goes on."""
        parts = [part for part in self.parts(is_whole=not only) if not only or part.name in only]
        for number, part in enumerate(parts, 1):
            left = BOUND_SECONDS - END_SECONDS - (time.monotonic() - self.began)
            began = time.monotonic()
            print(f"[{number}/{len(parts)}] {part.name} …", end=" ", flush=True)
            said = carry_out(part.measure, min(part.seconds, left))
            for contestant in list(self.standing):
                with suppress(Exception):
                    self.leave(contestant)
            if said:
                self.found["failed"][part.name] = said
            self.found["seconds"][part.name] = round(time.monotonic() - began, 1)
            print(f"{f'failed: {said}' if said else 'done'}, {time.monotonic() - began:.0f} s", flush=True)
        return self.found

    async def _keep(self, key: str, measuring: Awaitable[Any]) -> None:
        self.found[key] = await measuring

    async def _limits(self) -> None:
        await self._keep("limits", limits.measure(self.postgres.url_for(), self.hosts.create("limits")))

    async def measure(self, contestant: Contestant, key: str, servers: list[int], *, warm: int = 30) -> None:
        """Warm it, then burst and light load, with the bare rate of the client beside them."""
        await measure_burst(contestant, self.sink, servers, warm)
        bare, _ = await bare_rate(self.sink)
        result = (await measure_burst(contestant, self.sink, servers, self.alerts)).plain()
        light = await measure_light(contestant, self.sink, seconds=self.light_seconds)
        self.found["contestants"][key] = {
            "name": contestant.name, **result, "light": light.plain(), "bare": bare,
        }  # fmt: skip
        print(
            f"{result['per_second']:.0f} deliveries/s, last of 8 {light.last_p50:.0f}/{light.last_p99:.0f} ms,",
            end=" ",
        )

    async def _dabyl(self) -> None:
        house = self.spread("bench")
        await self.measure(house, "dabyl", self.servers)
        await self._keep("receipts", scenarios.receipts(self, house, 50 if self.quick else 200))
        self.leave(house)

    async def _rival(self, recipe: Recipe) -> None:
        host = self.hosts.create(recipe.database)
        log = self.folder / f"{recipe.database}.log"
        rival = Rival(recipe, self.sink.url, self.postgres.url_for(), host, log)
        self.standing.append(rival)
        rival.start()
        await self.measure(rival, recipe.database, self.servers)
        self.leave(rival)

    async def _embedded(self) -> None:
        house = Embedded(self.folder / "embedded", self.urls())
        self.standing.append(house)
        await self.measure(house, "embedded", [])
        self.leave(house)

    def end(self) -> None:
        """End everything that was started."""
        for contestant in self.standing:
            with suppress(Exception):
                contestant.stop()
        for part in (self.sink, self.rabbit, self.postgres):
            with suppress(Exception):
                part.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def carry_out(measure: Callable[[], Awaitable[Any]], seconds: float) -> str:
    """Measure one part; returns why it failed, or nothing. Whatever happens in it, the run goes on."""
    if seconds <= 0:
        return "no time left"

    def up(*_: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        asyncio.run(_awaited(measure))
    except TimeUp:
        return f"not done within {seconds:.0f} s"
    except Exception as error:  # noqa: BLE001  # whatever a contestant does, the others are measured
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return ""


async def _awaited(measure: Callable[[], Awaitable[Any]]) -> None:
    await measure()
