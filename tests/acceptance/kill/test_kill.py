"""Alerts while every process is ended with ``kill -9`` again and again: none is lost or goes astray.

The short form of the rounds of `make faults` (tests/faults/kills.py).
"""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.kill.stage import Stage
from tests.acceptance.kill.supervisor import Killer, Target
from tests.faults.kills import PAUSE, SEED, STALL_SECONDS, Round, Size, play, run_story
from tests.faults.weighing import verify_record, weigh

SIZE = Size(kills=26, alerts=200)

pytestmark = [pytest.mark.kill, pytest.mark.timeout(int(SIZE.longest + STALL_SECONDS + 300))]
Tell = Callable[[str, object], None]


@pytest.mark.real
@pytest.mark.xdist_group("spread")
def test_on_rabbitmq_and_postgresql_nothing_is_lost(tmp_path: Path, record_property: Tell) -> None:
    played = play(tmp_path, SIZE, SEED)
    _judge(played, record_property)
    assert len(played.struck) == 13, str(played)  # eleven of ours, PostgreSQL, RabbitMQ: each at least twice


@pytest.mark.xdist_group("embedded")
def test_on_the_embedded_stack_nothing_is_lost(tmp_path: Path, record_property: Tell) -> None:
    size = Size(kills=20, alerts=200)
    house = EmbeddedHouse(tmp_path / "home", simulators=False)
    house.start()
    door = threading.Lock()

    def strike() -> None:
        with door:
            house.kill()
            house.start()

    try:
        with Stage(house.url, house.home) as stage:
            stage.set_up()
            reporter = stage.reporter(count=size.alerts)
            killer = Killer(
                [Target("house", strike)],
                seed=SEED,
                strikes=size.kills,
                pause=PAUSE,
                progress=lambda: reporter.accepted / size.alerts,
            )
            run_story(reporter, killer, within=size.longest)
            verdict = stage.settled(within=STALL_SECONDS)
            broken = weigh(house.url, house.home) + verify_record(house.home)
    finally:
        house.stop()
    played = Round(
        size, SEED, verdict, dict(killer.struck), reporter.failed_tries, {}, killer.failure, broken
    )
    _judge(played, record_property)


def _judge(played: Round, record_property: Tell) -> None:
    record_property("kill", str(played))
    sys.stdout.write(f"{played}\n")  # shown by `pytest -rP`
    assert played.good, str(played)
