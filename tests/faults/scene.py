"""One house, its parts and its agencies, each behind a proxy of ours; stories are played in it one by one."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.acceptance.canary.broker import manage
from tests.acceptance.kill.checker import Verdict
from tests.acceptance.kill.law import POLICE
from tests.acceptance.kill.stage import Stage
from tests.acceptance.kill.supervisor import Supervisor
from tests.faults.proxy import Proxy
from tests.parts import packages
from tests.parts.compose import ComposeHouse, Container
from tests.parts.process import free_ports
from tests.parts.sharing import Part

VHOST = "dabyl"


@dataclass
class Scene:
    """Where faults are made.

    Attributes:
        is_full: real durations (``make faults``), not scaled ones (``make test``).
        notes: what a fault saw with its own eyes, for the table.
    """

    folder: Path
    house: ComposeHouse
    stage: Stage
    postgres: Proxy
    rabbit: Proxy
    agencies: Proxy
    twin: Container
    is_full: bool
    notes: list[str] = field(default_factory=list)

    def seconds(self, short: float, full: float) -> float:
        return full if self.is_full else short

    def pause(self, short: float, full: float) -> None:
        time.sleep(self.seconds(short, full))

    def container(self, name: str) -> Container:
        return self.twin if name == self.twin.name else self.house.containers[name]

    def manage(self, method: str, path: str, body: object = None) -> Any:
        """The broker's management interface."""
        rabbit = self.house.rabbit
        return manage(Part(rabbit.url, "packages", rabbit.api), method, path, body)

    def worst_latency(self, since: int) -> float:
        """Seconds from the answer to the reporter until the police had the notice, the longest of them.

        From the two logs outside of the house; ``since``: so many client lines are of earlier stories.
        """
        marks: dict[str, str] = {}
        accepted: dict[str, datetime] = {}
        for line in read_lines(self.stage.client_log)[since:]:
            if line["event"] == "posting":
                marks[line["reference"]] = line["narrative"]
            elif line["event"] == "accepted":
                accepted.setdefault(marks[line["reference"]], datetime.fromisoformat(line["at"]))
        taken: dict[str, datetime] = {}
        read: dict[str, str] = {}
        for line in read_lines(self.stage.agency_log):
            if line["agency"] == POLICE and line["answer"] == "200":
                taken.setdefault(line["alert"], datetime.fromisoformat(line["at"]))
            if line["agency"] == POLICE and line["answer"] == "opened":
                read.setdefault(line["narrative"], line["alert"])
        waits = [(taken[read[mark]] - at).total_seconds() for mark, at in accepted.items() if mark in read]
        return max(waits, default=0.0)

    def client_lines(self) -> int:
        return len(read_lines(self.stage.client_log))

    def verdict(self) -> Verdict:
        return self.stage.verdict()


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []


@contextmanager
def scene_in(folder: Path, *, is_full: bool, planted: str = "") -> Iterator[Scene]:
    """A house with a second notifier worker, started, with its agencies and their reporter.

    Args:
        planted: which protection its processes lack (meddling/sitecustomize.py).
    """
    packages.ensure_postgres()
    packages.ensure_rabbit()
    loopback = {name: {f"{name.upper()}_ALLOW_LOOPBACK": "true"} for name in ("registry", "notifier")}
    postgres, rabbit, agencies = Proxy().start(), Proxy().start(), Proxy().start()
    with ExitStack() as stack:
        for one in (postgres, rabbit, agencies):
            stack.callback(one.stop)
        house = ComposeHouse(
            folder, more=loopback, through={"postgres": postgres.port, "rabbitmq": rabbit.port}
        )
        if planted:
            for each in house.lasting:
                path = f"{Path(__file__).parent / 'meddling'}:{each.environment['PYTHONPATH']}"
                each.environment |= {"PYTHONPATH": path, "PLANTED": planted}
        postgres.target, rabbit.target = house.postgres.port, house.rabbit.port
        stack.callback(house.stop)
        house.start()
        shutil.copy(house.bootstrap, folder)
        twin = _twin_of(house.containers["notifier-worker"])
        stack.callback(twin.kill)
        twin.start()
        stage = stack.enter_context(Stage(house.url, folder))
        stack.enter_context(Supervisor([*house.lasting, twin]))

        def through(port: int) -> int:
            agencies.target = port
            return agencies.port

        stage.set_up(through)
        yield Scene(folder, house, stage, postgres, rabbit, agencies, twin, is_full)


def _twin_of(one: Container) -> Container:
    [port] = free_ports(1)
    return replace(
        one,
        name=f"{one.name}-2",
        port=port,
        log=one.log.with_name(f"{one.name}-2.log"),
        environment={**one.environment, "NOTIFIER_PORT": str(port)},
        running=None,
        starts=0,
    )
