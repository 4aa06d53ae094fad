"""How fast the embedded house fans out, beside the bare rate of the same client, in one run.

``python -m benchmarks.bench_fanout [ALERTS]``: a house of its own in a temporary folder, simulated
agencies on loopback. Prints ratios first: absolute figures move with the machine.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from common.runtime import listen
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.reporting import SCHOOL, an_alert

IN_FLIGHT = 16
SETTLE_SECONDS = 120
TRANSMITTING = 6
"""Deliveries of the sample alert that reach a server: eight agencies less the dead and the pulling one."""


async def bare_rate(posts: int) -> float:
    """POSTs a second of the same client to a server that answers 200 and does nothing."""
    app = web.Application()

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    await web.SockSite(runner, listening).start()
    body = b"x" * 1500
    async with aiohttp.ClientSession() as http:

        async def some(count: int) -> None:
            for _ in range(count):
                async with http.post(f"http://127.0.0.1:{port}/", data=body) as answer:
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(some(posts // IN_FLIGHT) for _ in range(IN_FLIGHT)))
        rate = posts / (time.perf_counter() - began)
    await runner.cleanup()
    return rate


async def accept(url: str, token: str, alerts: int) -> tuple[float, list[float]]:
    """Alerts accepted a second, and each answer's time in milliseconds."""
    times: list[float] = []
    waiting = iter(range(alerts))
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as http:

        async def some() -> None:
            for _ in waiting:
                began = time.perf_counter()
                async with http.post(f"{url}/v1/alerts", json=an_alert()) as answer:
                    assert answer.status == 201, answer.status
                    await answer.read()
                times.append((time.perf_counter() - began) * 1000)

        began = time.perf_counter()
        await asyncio.gather(*(some() for _ in range(IN_FLIGHT)))
        return alerts / (time.perf_counter() - began), times


def reached(journal: list[dict[str, Any]]) -> set[str]:
    """Deliveries that an agency's own log says it took."""
    return {line["delivery"] for line in journal if line["answer"] == "200"}


def main(alerts: int) -> None:
    """Run and print."""
    with tempfile.TemporaryDirectory() as folder:
        house = EmbeddedHouse(Path(folder) / "home")
        try:
            house.start()
            token = house.calls().token(agency=SCHOOL)
            asyncio.run(accept(house.url, token, 5))
            before = len(reached(house.journal()))
            bare = asyncio.run(bare_rate(4000))
            began = time.perf_counter()
            accepted, times = asyncio.run(accept(house.url, token, alerts))
            wanted = alerts * TRANSMITTING
            while (done := len(reached(house.journal())) - before) < wanted:
                if time.perf_counter() - began > SETTLE_SECONDS:
                    break
                time.sleep(0.05)
            took = time.perf_counter() - began
        finally:
            house.stop()
    rate = done / took
    print(f"deliveries/s ÷ bare POSTs/s of the same client: {rate / bare:.3f}")
    print(
        f"alerts {alerts}, deliveries at a server {done} of {wanted} in {took:.1f} s:"
        f" {rate:.0f}/s; bare {bare:.0f}/s"
    )
    quantiles = statistics.quantiles(times, n=100)
    print(f"accepted {accepted:.0f} alerts/s; answer p50 {quantiles[49]:.0f} ms, p99 {quantiles[98]:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
