"""200 alerts while every process is ended with ``kill -9`` again and again: none is lost or goes astray."""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.kill.checker import Verdict
from tests.acceptance.kill.client import Reporter
from tests.acceptance.kill.stage import ALERTS, Stage
from tests.acceptance.kill.supervisor import Killer, Supervisor, Target
from tests.parts import packages
from tests.parts.compose import ComposeHouse

SEED = 20261121
STRIKES = int(os.environ.get("DABYL_FAULT_KILLS", "24"))
EVERY = 0.25
SETTLE_SECONDS = max(240, ALERTS * 0.1)
KILLING_SECONDS = max(420.0, STRIKES * 8.0)
REPORTING_SECONDS = max(180.0, ALERTS * EVERY * 4)

pytestmark = [
    pytest.mark.kill,
    pytest.mark.timeout(int(900 + KILLING_SECONDS + REPORTING_SECONDS + SETTLE_SECONDS)),
]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ComposeHouse]:
    """The compose file's processes on a PostgreSQL and a RabbitMQ of their own."""
    packages.ensure_postgres()
    packages.ensure_rabbit()
    loopback = {name: {f"{name.upper()}_ALLOW_LOOPBACK": "true"} for name in ("registry", "notifier")}
    house = ComposeHouse(tmp_path, more=loopback)
    try:
        house.start()
        yield house
    finally:
        house.stop()


@pytest.mark.real
@pytest.mark.xdist_group("spread")
def test_on_rabbitmq_and_postgresql_nothing_is_lost(
    house: ComposeHouse, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    shutil.copy(house.bootstrap, tmp_path)  # the logs of both sides stay there, the house goes
    targets = [Target(one.name, one.kill) for one in house.lasting]
    targets += [Target("postgres", house.postgres.restart), Target("rabbitmq", house.rabbit.restart)]
    killer = Killer(targets, seed=SEED, strikes=STRIKES, pause=(0.5, 3.5))
    with Stage(house.url, tmp_path) as stage, Supervisor(house.lasting):
        reporter = stage.set_up(every=EVERY)
        verdict = _play(stage, reporter, killer)
    _judge(verdict, reporter, killer, record_property)
    assert set(killer.struck) == {target.name for target in targets}
    assert all(one.starts > 1 for one in house.lasting)


@pytest.mark.xdist_group("embedded")
def test_on_the_embedded_stack_nothing_is_lost(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    house = EmbeddedHouse(tmp_path / "home", simulators=False)
    house.start()
    door = threading.Lock()

    def strike() -> None:
        with door:
            house.kill()
            house.start()

    killer = Killer([Target("house", strike)], seed=SEED, strikes=20, pause=(0.5, 4.0))
    try:
        with Stage(house.url, house.home) as stage:
            reporter = stage.set_up(every=0.4)
            verdict = _play(stage, reporter, killer)
    finally:
        house.stop()
    _judge(verdict, reporter, killer, record_property)


def _play(stage: Stage, reporter: Reporter, killer: Killer) -> Verdict:
    reporter.start()
    killer.start()
    killer.join(KILLING_SECONDS)
    reporter.join(REPORTING_SECONDS)
    reporter.give_up.set()
    with suppress(RuntimeError):
        reporter.join(30)
    return stage.settled(within=SETTLE_SECONDS)


def _judge(
    verdict: Verdict, reporter: Reporter, killer: Killer, record_property: Callable[[str, object], None]
) -> None:
    kills = sum(killer.struck.values())
    report = f"{kills} kills {dict(killer.struck)}; {reporter.failed_tries} failed tries; {verdict}"
    record_property("kill", report)
    sys.stdout.write(f"{report}\n")  # shown by `pytest -rP`
    assert killer.failure is None, report
    assert kills >= 20, report
    assert verdict.accepted == ALERTS, report
    assert verdict.clean, report
