"""Rounds of random kills: each a house of its own, a story of its own, and a line in a file that stays.

A round reports its alerts as fast as the house bears, while processes, PostgreSQL and RabbitMQ are ended
with ``kill -9``; it ends when everything that is due has come, and is judged from two logs outside of it
and from its own rows.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.kill.checker import Verdict
from tests.acceptance.kill.client import Reporter
from tests.acceptance.kill.stage import Stage
from tests.acceptance.kill.supervisor import Killer, Revived, Supervisor, Target
from tests.faults.record import Record
from tests.faults.weighing import AFTER_KILLS_SECONDS, compare_rows, weigh
from tests.parts import packages
from tests.parts.compose import ComposeHouse

SEED = 20261121
PAUSE = (0.3, 6.0)
STALL_SECONDS = 240.0
"""A house that takes nothing for so long has stalled."""


@dataclass(frozen=True)
class Size:
    """Of one round."""

    kills: int
    alerts: int

    @property
    def longest(self) -> float:
        """Seconds after which a round is given up; a loaded machine needs much more than a quiet one."""
        return 600.0 + 12.0 * self.kills + 0.6 * self.alerts


@contextmanager
def house_in(folder: Path, more: dict[str, dict[str, str]] | None = None) -> Iterator[ComposeHouse]:
    """The compose file's processes on a PostgreSQL and a RabbitMQ of their own, started."""
    packages.ensure_postgres()
    packages.ensure_rabbit()
    loopback = {name: {f"{name.upper()}_ALLOW_LOOPBACK": "true"} for name in ("registry", "notifier")}
    for service, variables in (more or {}).items():
        loopback.setdefault(service, {}).update(variables)
    house = ComposeHouse(folder, more=loopback)
    try:
        house.start()
        shutil.copy(house.bootstrap, folder)  # the logs of both sides stay there, the house goes
        yield house
    finally:
        house.stop()


@dataclass
class Round:
    """What was done and found."""

    size: Size
    seed: int
    verdict: Verdict
    struck: dict[str, int]
    failed_tries: int
    seconds: dict[str, float]
    failure: Exception | None
    broken: list[str]

    @property
    def good(self) -> bool:
        kills = sum(self.struck.values())
        return (
            self.failure is None
            and not self.broken
            and kills == self.size.kills
            and self.verdict.accepted == self.size.alerts
            and self.verdict.clean
        )

    def __str__(self) -> str:
        kills = f"{sum(self.struck.values())} kills {self.struck}"
        seconds = ", ".join(f"{name} {value:.0f} s" for name, value in self.seconds.items())
        failed = f"; {self.failure!r}" if self.failure else ""
        broken = f"; {self.broken}" if self.broken else ""
        return f"{kills}; {self.failed_tries} failed tries; {self.verdict}; {seconds}{failed}{broken}"


def play(folder: Path, size: Size, seed: int) -> Round:
    """One round in a folder of its own, where the logs of both sides stay."""
    began = time.monotonic()
    with house_in(folder) as house, Stage(house.url, folder) as stage:
        parts = [Revived("postgres", house.postgres), Revived("rabbitmq", house.rabbit)]
        targets = [Target(one.name, one.kill) for one in house.lasting]
        targets += [Target(one.name, one.strike) for one in parts]
        stage.set_up()
        reporter = stage.reporter(count=size.alerts)
        killer = Killer(
            targets,
            seed=seed,
            strikes=size.kills,
            pause=PAUSE,
            progress=lambda: reporter.accepted / size.alerts,
        )
        ready = time.monotonic()
        with Supervisor(house.lasting):
            told = run_story(reporter, killer, within=size.longest)
            for one in parts:
                one.wait()
            verdict = stage.settled(within=STALL_SECONDS)
            broken = weigh(house.url, folder, within=AFTER_KILLS_SECONDS)
            compare_rows(stage, house.postgres.url_for("notifier"), house.keys("notifier"), verdict)
    settled = time.monotonic()
    return Round(
        size=size,
        seed=seed,
        verdict=verdict,
        struck=dict(killer.struck),
        failed_tries=reporter.failed_tries,
        seconds={"starting": ready - began, "killing": told - ready, "settling": settled - told},
        failure=killer.failure,
        broken=broken,
    )


def run_story(reporter: Reporter, killer: Killer, *, within: float) -> float:
    """Report and kill to the end of both; when that was, on the monotonic clock."""
    give_up = time.monotonic() + within
    reporter.start()
    killer.start()
    reporter.join(max(0.0, give_up - time.monotonic()))
    killer.join(max(0.0, give_up - time.monotonic()))
    reporter.give_up.set()
    with suppress(RuntimeError):
        reporter.join(30)
    return time.monotonic()


def run_rounds(record: Record, size: Size, rounds: int) -> bool:
    """Play the rounds that the record does not hold yet; whether all it holds are good."""
    for number in range(1, rounds + 1):
        done = record.find("kills", number)
        if done and done["good"]:
            sys.stdout.write(f"round {number}: done before\n")
            continue
        folder = record.folder / f"kills-{number:02}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        played = play(folder, size, SEED + number)
        record.append(
            "kills",
            number,
            good=played.good,
            seed=played.seed,
            kills=sum(played.struck.values()),
            struck=played.struck,
            failed_tries=played.failed_tries,
            seconds={name: round(value, 1) for name, value in played.seconds.items()},
            failure=repr(played.failure) if played.failure else None,
            broken=played.broken,
            **figures(played.verdict),
        )
        sys.stdout.write(f"round {number}: {'good' if played.good else 'NOT GOOD'}: {played}\n")
        sys.stdout.flush()
        if played.good:
            shutil.rmtree(folder)  # what is not good keeps its logs
    return all(line["good"] for number in range(1, rounds + 1) if (line := record.find("kills", number)))


def figures(verdict: Verdict) -> dict[str, object]:
    """What the table shows."""
    return {
        "accepted": verdict.accepted,
        "taken": verdict.taken,
        "repeats": verdict.repeats,
        "receipts": verdict.receipts,
        "lost": len(verdict.findings.get("lost", ())),
        "misrouted": len(verdict.findings.get("misrouted", ())),
        "changed_id": len(verdict.findings.get("changed_id", ())),
        "findings": {sort: cases[:5] for sort, cases in verdict.findings.items()},
    }
