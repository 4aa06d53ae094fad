"""A RabbitMQ cluster under load: one node of three killed, another one suspended, the third one cut off.

``python -m tests.faults.cluster [--alerts 300]``. The services are given the addresses of all three nodes.
While alerts come in, the first node is ended with ``kill -9`` and comes back; then the second one stands
still for longer than the others wait for it. It wakes up beside them (measured on 3.10: it stays outside,
under ``pause_minority`` and ``autoheal`` alike, and still talks to its clients) until it is started again, as
an orchestrator does. At last the wires between the third node and the others are cut, not those of its
clients; the minority pauses by itself and comes back by itself. Judged from two logs outside of the house.
"""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.kill.checker import Verdict
from tests.acceptance.kill.stage import Stage
from tests.acceptance.spread import PROCESSES, SpreadHouse
from tests.faults.kills import figures
from tests.faults.record import Record
from tests.faults.weighing import compare_rows, weigh
from tests.parts import packages
from tests.parts.cluster import Cluster
from tests.parts.postgres import Postgres
from tests.parts.process import reachable_folder
from tests.parts.rabbit import TICK_SECONDS

EVERY = 0.25
SETTLE_SECONDS = 240.0
AWAKE_SECONDS = 6.0


class _Plain(SpreadHouse):
    """Without agencies of its own: the stage brings them."""

    def start(self) -> None:
        self._migrate_all()
        for process in PROCESSES:
            self._spawn(process)
        self.wait_ready()

    def database(self, service: str) -> str:
        return self._environment[f"{service.upper()}_DATABASE_URL"]

    def log(self, service: str, role: str) -> str:
        return (self.output / f"{service}-{role}.log").read_text()


def play(folder: Path, alerts: int) -> tuple[Verdict, int, dict[str, float], dict[str, int], list[str]]:
    """One story: the verdict, alerts accepted, what took how long, connections made, laws broken."""
    packages.ensure_postgres()
    packages.ensure_rabbit()
    postgres, cluster = Postgres(folder / "pg"), Cluster(folder / "rabbit")
    house: _Plain | None = None
    seconds: dict[str, float] = {}
    try:
        postgres.start()
        began = time.monotonic()
        cluster.start()
        seconds["cluster up"] = time.monotonic() - began
        house = _Plain(folder / "home", postgres.url_for(), cluster.create("house"), name="cluster")
        house.start()
        with Stage(house.url, house.home) as stage:
            stage.set_up()
            reporter = stage.reporter(count=alerts, every=EVERY)
            reporter.start()
            cut = _harm(cluster, lambda: reporter.accepted, alerts, seconds)
            reporter.join(300)
            reporter.give_up.set()
            began = time.monotonic()
            verdict = stage.settled(within=SETTLE_SECONDS)
            seconds["to settle"] = time.monotonic() - began
            broken = weigh(house.url, house.home)
            compare_rows(stage, house.database("notifier"), house.home / "keys", verdict)
        if not cut:
            raise AssertionError("the others never gave the suspended node up: nothing was cut off")
        connected = {
            f"{service} {role}": house.log(service, role).count('"event": "broker_connected"')
            for service, role in PROCESSES
        }
        return verdict, reporter.accepted, seconds, connected, broken
    finally:
        if house is not None:
            house.stop()
        cluster.stop()
        postgres.stop()


def _harm(cluster: Cluster, accepted: Callable[[], int], alerts: int, seconds: dict[str, float]) -> bool:
    """Kill, suspend and cut off one node each; whether the others gave the suspended one up."""
    _wait(lambda: accepted() >= alerts // 6)
    began = time.monotonic()
    cluster.nodes[0].kill()
    _wait(lambda: accepted() >= alerts // 3)
    cluster.nodes[0].start()
    cluster.wait_together()
    seconds["killed node away"] = time.monotonic() - began
    began = time.monotonic()
    with cluster.suspended(1):
        time.sleep(2.5 * TICK_SECONDS)
        cut = cluster.nodes[1].node not in cluster.running()
    time.sleep(AWAKE_SECONDS)
    cluster.nodes[1].restart()
    cluster.wait_together()
    seconds["suspended node away"] = time.monotonic() - began
    began = time.monotonic()
    with cluster.parted(2):
        _wait(lambda: cluster.nodes[2].node not in cluster.running(), or_else="nobody was cut off")
        time.sleep(2.5 * TICK_SECONDS)
    cluster.wait_together()
    seconds["parted node away"] = time.monotonic() - began
    return cut


def _wait(
    condition: Callable[[], bool], *, within: float = 180.0, or_else: str = "the alerts do not come in"
) -> None:
    give_up = time.monotonic() + within
    while not condition():
        if time.monotonic() > give_up:
            raise AssertionError(or_else)
        time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.cluster")
    parser.add_argument("--alerts", type=int, default=300)
    alerts = parser.parse_args().alerts
    folder = reachable_folder("cluster")
    try:
        verdict, accepted, seconds, connected, broken = play(folder, alerts)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    good = verdict.clean and accepted == alerts and not broken
    kept = figures(verdict) | {"accepted": accepted}
    Record().append("cluster", 0, good=good, seconds=seconds, connected=connected, broken=broken, **kept)
    took = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    sys.stdout.write(
        f"{'good' if good else 'NOT GOOD'}: three nodes, one killed, one suspended, one cut off:"
        f" {accepted} of {alerts} accepted; {verdict}; {broken or ''} {took}; connections {connected}\n"
    )
    return 0 if good else 1


if __name__ == "__main__":
    # Asked to end, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
