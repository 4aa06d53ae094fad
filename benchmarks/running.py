"""One measurement: a contestant, the load, the sink, and what all of it cost."""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
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
    lasts: list[float] = field(default_factory=list, repr=False)
    """Each alert's own time to its last delivery: for percentiles over several measurements."""

    def plain(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "lasts"}


async def measure_light(
    contestant: Contestant, sink: Sink, *, seconds: float, a_second: float = 5.0, fan_out: int = FAN_OUT,
    without: str = "",
) -> Light:  # fmt: skip
    """Alert → first and last of its deliveries; those to the path ``without`` are not looked at."""
    sink.fresh()
    how_many = int(seconds * a_second)
    sent = await paced(contestant.url, iter(list(contestant.requests(how_many))), a_second=a_second)
    await asyncio.sleep(1.5)
    alert_of = await contestant.fan_out_of()
    arrivals: dict[str, list[float]] = {}
    for moment, notice, path in sink.fresh():
        if notice in alert_of and path != without:
            arrivals.setdefault(alert_of[notice], []).append(moment)
    first, last = [], []
    for moment, status, body in sent:
        if status < 300 and len(there := arrivals.get(str(json.loads(body)["id"]), [])) >= fan_out:
            first.append((min(there) - moment) * 1000)
            last.append((max(there) - moment) * 1000)
    return Light(len(last), at(first, 50), at(first, 99), at(last, 50), at(last, 99), last)


async def bare_rate(sink: Sink, posts: int = 6000) -> tuple[float, float]:
    """The same client's bare POSTs a second to the same sink, and its CPU microseconds a POST."""
    body = b"x" * 1500
    one = request(f"{sink.url}/bare", body, {"webhook-id": "bare", "Content-Type": "application/json"})
    cpu = time.process_time()
    done, seconds, _ = await burst(sink.url, iter([one] * posts), in_flight=16)
    return done / seconds, (time.process_time() - cpu) / done * 1e6


def median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")
