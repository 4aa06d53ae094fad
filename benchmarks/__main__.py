"""``python -m benchmarks [--quick]``: everything in one run; writes README.md, results.json and chart.svg.

Ends by itself, listens on loopback only, and ends only what it started.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import limits, report
from benchmarks.job import AGENCIES
from benchmarks.ours import Embedded, Spread
from benchmarks.rivals import RECIPES, Rival
from benchmarks.running import Contestant, bare_rate, measure_burst, measure_light
from benchmarks.sink import Sink, hang
from tests.parts import packages
from tests.parts.postgres import Postgres
from tests.parts.process import PartFailed, free_ports, reachable_folder
from tests.parts.rabbit import Rabbit, VirtualHosts

HERE = Path(__file__).parent
HANGING = AGENCIES[0]


class Run:
    """One run: parts of its own, every contestant in turn, all on the same sink."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.alerts = 150 if quick else 600
        self.light_seconds = 8.0 if quick else 30.0
        self.folder = reachable_folder("bench")
        packages.ensure_postgres()
        packages.ensure_rabbit()
        self.sink = Sink(self.folder / "sink")
        self.postgres = Postgres(self.folder / "pg").start()
        self.rabbit = Rabbit(self.folder / "rabbit").start()
        self.hosts = VirtualHosts(self.rabbit.url, self.rabbit.api)
        self.found: dict[str, Any] = {"quick": quick, "cores": os.cpu_count(), "sink": self.sink.kind}

    @property
    def servers(self) -> list[int]:
        return [one.pid for one in (self.postgres.running, self.rabbit.running) if one]

    def urls(self) -> dict[str, str]:
        return {code: f"{self.sink.url}/{code}" for code in AGENCIES}

    def spread(self, name: str, *, workers: int = 1, others: dict[str, str] | None = None) -> Spread:
        url = self.postgres.url_for()
        host = self.hosts.create(name)
        return Spread(self.folder / name, self.urls() | (others or {}), url, host, name=name, workers=workers)

    async def measure(self, contestant: Contestant, servers: list[int], *, warm: int = 40) -> dict[str, Any]:
        await measure_burst(contestant, self.sink, servers, warm)
        result = (await measure_burst(contestant, self.sink, servers, self.alerts)).plain()
        light = await measure_light(contestant, self.sink, seconds=self.light_seconds)
        return {"name": contestant.name, **result, "light": light.plain()}

    async def one(self, key: str, make: Callable[[], Contestant], servers: list[int]) -> None:
        """Measure one contestant; whoever cannot start is named, and the run goes on."""
        began = time.perf_counter()
        load = os.getloadavg()[0]
        try:
            contestant = make()
        except (PartFailed, OSError, AssertionError, RuntimeError) as error:
            self.found["contestants"][key] = {"failed": type(error).__name__}
            return
        try:
            bare, _ = await bare_rate(self.sink)
            result = await self.measure(contestant, servers)
            self.found["contestants"][key] = {**result, "bare": bare, "load_before": load}
        finally:
            contestant.stop()
        print(
            f"{key}: {result['per_second']:.0f} deliveries/s, {time.perf_counter() - began:.0f} s", flush=True
        )

    async def all(self) -> dict[str, Any]:
        """Everything, in a fixed order."""
        self.found["contestants"] = {}
        self.found["limits"] = await limits.measure(self.postgres.url_for(), self.hosts.create("limits"))
        await self.one("dabyl", lambda: self.spread("bench"), self.servers)
        for recipe in RECIPES:
            host = self.hosts.create(recipe.database)
            make = self._maker(recipe, host)
            await self.one(recipe.database, make, self.servers)
        await self.one("embedded", lambda: Embedded(self.folder / "embedded", self.urls()), [])
        await self._hanging()
        await self._two_workers()
        if not self.quick:
            self.found["growth"] = await limits.growth(self.postgres.url_for())
        return self.found

    def _maker(self, recipe: Any, host: str) -> Callable[[], Contestant]:
        log = self.folder / f"{recipe.database}.log"
        return lambda: Rival(recipe, self.sink.url, self.postgres.url_for(), host, log)

    async def _hanging(self) -> None:
        """One agency accepts and never answers: what the other seven still get."""
        [port] = free_ports(1)
        server = await hang(port)
        house = self.spread("hang", others={HANGING: f"http://127.0.0.1:{port}/"})
        try:
            await measure_burst(house, self.sink, self.servers, 40, fan_out=7)
            result = await measure_burst(house, self.sink, self.servers, self.alerts // 2, fan_out=7)
            self.found["hanging"] = result.plain()
        finally:
            house.stop()
            server.close()

    async def _two_workers(self) -> None:
        """A second worker of the notifier beside the first."""
        house = self.spread("two", workers=2)
        try:
            await measure_burst(house, self.sink, self.servers, 40)
            self.found["two_workers"] = (
                await measure_burst(house, self.sink, self.servers, self.alerts // 2)
            ).plain()
        finally:
            house.stop()

    def end(self) -> None:
        self.sink.stop()
        with suppress(Exception):
            self.rabbit.stop()
        with suppress(Exception):
            self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def main(words: list[str]) -> int:
    """Run and write."""
    # Asked to end, it ends what it started: an exception runs the `finally` below.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run(quick="--quick" in words)
    try:
        found = asyncio.run(run.all())
    finally:
        run.end()
    (HERE / "results.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    report.write(found, HERE)
    print((HERE / "README.md").read_text().partition("<!-- figures -->")[2])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
