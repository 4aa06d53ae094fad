"""One measurement: a contestant, the load, the sink, and what all of it cost."""

import asyncio
import json
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Protocol

from benchmarks.client import burst, paced, request
from benchmarks.job import FAN_OUT
from benchmarks.measuring import Meter, memory_mb
from benchmarks.sink import Sink

STALLED_SECONDS = 25.0
"""Nothing new for so long: what is still missing will not come in this run."""


class Contestant(Protocol):
    """Somebody who does the job."""

    name: str
    url: str

    def requests(self, how_many: int) -> Iterator[bytes]:
        """So many alerts as whole HTTP requests."""

    def pids(self) -> list[int]:
        """Its own processes."""

    async def recorded(self) -> int:
        """Deliveries whose success is recorded in the database."""

    async def fan_out_of(self) -> dict[str, str]:
        """Delivery id → alert id, as the answers to ``requests`` name it."""

    def stop(self) -> None:
        """End it."""


@dataclass
class Burst:
    """What one burst gave."""

    alerts: int
    deliveries: int
    expected: int
    seconds: float
    per_second: float
    accepted_per_second: float
    refused: int
    cpu_app_per_1000: float
    cpu_all_per_1000: float
    memory_mb: float

    def plain(self) -> dict[str, Any]:
        return asdict(self)


async def measure_burst(
    contestant: Contestant, sink: Sink, servers: list[int], alerts: int, *, in_flight: int = 32,
    fan_out: int = FAN_OUT, limit_seconds: float = 120.0,
) -> Burst:  # fmt: skip
    """All at once; ends when every success is in the database."""
    sink.fresh()
    before = await contestant.recorded()
    expected = alerts * fan_out
    requests = iter(list(contestant.requests(alerts)))  # made before the clock runs
    meter = Meter(contestant.pids(), servers)
    meter.start()
    began = time.perf_counter()
    sending = asyncio.create_task(burst(contestant.url, requests, in_flight=in_flight))
    watching = asyncio.create_task(_peak_mb(contestant))
    arrived, recorded, moved = 0, 0, time.perf_counter()
    while recorded < expected:
        await asyncio.sleep(0.05)
        if arrived < expected:
            if fresh := len(sink.fresh()):
                arrived, moved = arrived + fresh, time.perf_counter()
            if arrived < expected and time.perf_counter() - moved < 2:
                continue
        now = await contestant.recorded() - before
        if now > recorded:
            recorded, moved = now, time.perf_counter()
        if time.perf_counter() - moved > STALLED_SECONDS or time.perf_counter() - began > limit_seconds:
            break
    seconds = time.perf_counter() - began
    app, everything = meter.read()
    watching.cancel()
    memory = max(await watching, memory_mb(contestant.pids()))
    sent, sending_seconds, bad = await sending
    per_thousand = 1000 / max(recorded, 1)
    return Burst(
        alerts=alerts, deliveries=recorded, expected=expected, seconds=seconds,
        per_second=recorded / seconds, accepted_per_second=sent / sending_seconds, refused=len(bad),
        cpu_app_per_1000=app * per_thousand, cpu_all_per_1000=everything * per_thousand, memory_mb=memory,
    )  # fmt: skip


async def _peak_mb(contestant: Contestant) -> float:
    """The most memory that its processes held together, looked at every second until cancelled."""
    most = 0.0
    with suppress(asyncio.CancelledError):
        while True:
            most = max(most, await asyncio.to_thread(memory_mb, contestant.pids()))
            await asyncio.sleep(1)
    return most


def at(values: list[float], percent: float) -> float:
    """A percentile; the largest when there are few."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


@dataclass
class Light:
    """Latency under a light load, in ms from sending the alert to the sink's line."""

    alerts: int
    first_p50: float
    first_p99: float
    last_p50: float
    last_p99: float

    def plain(self) -> dict[str, Any]:
        return asdict(self)


async def measure_light(
    contestant: Contestant, sink: Sink, *, seconds: float, a_second: float = 5.0, fan_out: int = FAN_OUT,
    without: str = "",
) -> Light:  # fmt: skip
    """Alert → first and last of its deliveries; those to the path ``without`` are not looked at."""
    heard = await listen_lightly(contestant, sink, seconds=seconds, a_second=a_second)
    times = heard.times(await contestant.fan_out_of(), fan_out=fan_out, without=without)
    first, last = [one for one, _ in times], [one for _, one in times]
    return Light(len(last), at(first, 50), at(first, 99), at(last, 50), at(last, 99))


@dataclass
class Heard:
    """What was sent, and what reached the sink meanwhile."""

    sent: list[tuple[float, int, bytes]]
    arrived: list[tuple[float, str, str]]

    def times(
        self, alert_of: dict[str, str], *, fan_out: int = FAN_OUT, without: str = ""
    ) -> list[tuple[float, float]]:
        """For each alert that came whole: ms from sending it to its first and to its last delivery."""
        arrivals: dict[str, list[float]] = {}
        for moment, notice, path in self.arrived:
            if notice in alert_of and path != without:
                arrivals.setdefault(alert_of[notice], []).append(moment)
        return [
            ((min(there) - moment) * 1000, (max(there) - moment) * 1000)
            for moment, status, body in self.sent
            if status < 300 and len(there := arrivals.get(str(json.loads(body)["id"]), [])) >= fan_out
        ]


async def listen_lightly(
    contestant: Contestant, sink: Sink, *, seconds: float, a_second: float = 5.0, quiet: float = 1.5
) -> Heard:
    """So many alerts a second for so long, and ``quiet`` seconds more to let the last ones arrive."""
    sink.fresh()
    how_many = int(seconds * a_second)
    sent = await paced(contestant.url, iter(list(contestant.requests(how_many))), a_second=a_second)
    await asyncio.sleep(quiet)
    return Heard(sent, sink.fresh())


def ratio_within(
    over: list[list[float]], under: list[list[float]], percent: float, *, draws: int = 2000, seed: int = 1
) -> tuple[float, float]:
    """Between what the ratio of two percentiles lies in nine of ten drawings of whole blocks.

    Blocks, not values: a machine that stumbles makes ten slow alerts at once.
    """
    chance = random.Random(seed)

    def drawn(blocks: list[list[float]]) -> float:
        return at(list(chain.from_iterable(chance.choices(blocks, k=len(blocks)))), percent)

    ratios = sorted(drawn(over) / drawn(under) for _ in range(draws))
    return ratios[int(0.05 * draws)], ratios[int(0.95 * draws)]


async def bare_rate(sink: Sink, posts: int = 6000) -> tuple[float, float]:
    """The same client's bare POSTs a second to the same sink, and its CPU microseconds a POST."""
    body = b"x" * 1500
    one = request(f"{sink.url}/bare", body, {"webhook-id": "bare", "Content-Type": "application/json"})
    cpu = time.process_time()
    done, seconds, _ = await burst(sink.url, iter([one] * posts), in_flight=16)
    return done / seconds, (time.process_time() - cpu) / done * 1e6


def median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")
