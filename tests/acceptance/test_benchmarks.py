"""The harness of the benchmarks works: a few alerts, no peers; figures are never asserted."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.job import AGENCIES, FAN_OUT, an_alert
from benchmarks.ours import Embedded
from benchmarks.run import carry_out
from benchmarks.running import bare_rate, measure_burst, measure_light, ratio_within
from benchmarks.sink import Sink


@pytest.mark.timeout(180)
async def test_three_alerts_reach_eight_agencies_each_and_are_counted(tmp_path: Path) -> None:
    sink = Sink(tmp_path / "sink")
    try:
        house = Embedded(tmp_path, {code: f"{sink.url}/{code}" for code in AGENCIES})
        try:
            burst = await measure_burst(house, sink, [], 3, in_flight=2)
            light = await measure_light(house, sink, seconds=0.6)
        finally:
            house.stop()
        bare, _ = await bare_rate(sink, 50)
    finally:
        sink.stop()
    assert (burst.deliveries, burst.refused) == (3 * FAN_OUT, 0)
    assert burst.cpu_app_per_1000 > 0
    assert light.alerts == 3
    assert 0 < light.first_p50 <= light.last_p50
    assert bare > 0
    found = {"quick": True, "cores": 2, "sink": sink.kind, "contestants": {}}
    found["contestants"] = {
        "dabyl": {"name": "Dabyl", **burst.plain(), "light": light.plain()},
        "peer_node": {"name": "Node", **burst.plain(), "light": light.plain()},
    }
    assert "| Node | 1.00 | 1.00 | 1.00 |" in report.figures(found)
    assert report.chart(found).count('height="18"') == 4, "two panels of two bars"


def test_a_part_that_fails_or_takes_too_long_is_named_and_the_run_goes_on() -> None:
    async def broken() -> None:
        raise RuntimeError("no nginx here")

    async def endless() -> None:
        while True:
            with suppress(Exception):  # as a contestant may
                await asyncio.sleep(60)

    async def blocking() -> None:
        time.sleep(60)  # noqa: ASYNC251  # as the start of processes does, which blocks

    async def sound() -> None:
        await asyncio.sleep(0)

    said = [carry_out(part, 0.3) for part in (broken, endless, blocking, sound)]
    assert said == ["RuntimeError: no nginx here", "not done within 0 s", "not done within 0 s", ""]
    assert carry_out(sound, -1) == "no time left"
    found = {"quick": True, "cores": 2, "sink": "nginx", "contestants": {}, "failed": {"peer_node": said[0]}}
    assert "**peer_node failed**: RuntimeError: no nginx here" in report.figures(found)


def test_an_alert_of_the_job_is_about_a_kilobyte() -> None:
    assert 900 < len(an_alert(1)) < 1300


def test_what_the_noise_alone_gives_lies_around_one() -> None:
    calm = [[10.0 + block % 3 + value % 7 for value in range(40)] for block in range(14)]
    low, high = ratio_within(calm, calm, 99)
    assert low <= 1 <= high
    slow = [[2 * value for value in block] for block in calm]
    low, high = ratio_within(slow, calm, 99)
    assert low > 1.5
