"""Our own house as a contestant: embedded, and spread over processes on PostgreSQL and RabbitMQ."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import asyncpg

from benchmarks.client import request
from benchmarks.job import AGENCIES, alerts
from dabyl.calls import Calls
from dabyl.onboarding import Connected, connect, find_agency
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.spread import SpreadHouse
from tests.parts.process import free_ports, listening, wait_until

NOBODY_ANSWERS = {"NOTIFIER_ACKNOWLEDGE_IMMEDIATE": "PT1H"}
"""No agency of the job calls back, and no peer has a clock for that: after two minutes the alarms of a burst's
thousands of silent deliveries would be measured with whatever runs then."""

SCHOOL = "education-org-kz-75"
DONE = "SELECT count(*) FROM deliveries WHERE state IN ('transmitted', 'acknowledged', 'rejected')"


class _Ours:
    """What both have in common."""

    url: str

    def connect(self, calls: Calls, urls: dict[str, str]) -> None:
        """Give every agency its endpoint."""
        self.calls = calls
        self.connected: dict[str, Connected] = {}
        for code in AGENCIES:
            agency = find_agency(calls, code)
            assert agency is not None, code
            self.connected[code] = connect(calls, agency, urls[code], send_test=False)
        self._token = calls.token(agency=SCHOOL)

    def requests(self, how_many: int) -> Iterator[bytes]:
        """So many alerts as HTTP requests."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return (request(f"{self.url}/v1/alerts", body, headers) for body in alerts(how_many))


class Embedded(_Ours):
    """One process, SQLite, no broker."""

    name = "Dabyl, embedded (SQLite, one process)"

    def __init__(self, folder: Path, urls: dict[str, str]) -> None:
        self._home = folder / "home"
        self._house = _Quiet(self._home, simulators=False)
        self._house.start()
        self.url = self._house.url
        self.connect(self._house.calls(), urls)

    def pids(self) -> list[int]:
        return [self._house.pid]

    async def recorded(self) -> int:
        """Deliveries whose success is in the database."""
        with sqlite3.connect(f"file:{self._home / 'notifier.db'}?mode=ro", uri=True) as connection:
            return int(connection.execute(DONE).fetchone()[0])

    async def fan_out_of(self) -> dict[str, str]:
        """Delivery → the reporter's id of its alert."""
        with sqlite3.connect(f"file:{self._home / 'notifier.db'}?mode=ro", uri=True) as connection:
            return {str(UUID(row[0])): str(UUID(row[1])) for row in connection.execute(_FAN_OUT)}

    def stop(self) -> None:
        self._house.stop()


_FAN_OUT = (
    "SELECT d.id, h.handle FROM deliveries d JOIN alert_handles h ON h.alert_id = d.alert_id"
    " WHERE h.is_reporter = 'y'"
)


class _Quiet(EmbeddedHouse):
    """As a user runs it: no line for every event."""

    log_level = "WARNING"
    settings = NOBODY_ANSWERS


PROCESSES = (
    ("registry", "api"),
    ("notifier", "api"),
    ("notifier", "worker"),
    ("casework", "api"),
    ("casework", "worker"),
    ("intake", "api"),
    ("gateway", "api"),
)
"""The fewest that do everything: intake's API brings its events away, its worker only forgets old keys."""


class Spread(_Ours):
    """A process per service and role, PostgreSQL, RabbitMQ."""

    name = "Dabyl (PostgreSQL, RabbitMQ)"

    def __init__(
        self, folder: Path, urls: dict[str, str], postgres_url: str, rabbit_url: str, *, name: str = "bench",
        otlp: str | None = None,
    ) -> None:  # fmt: skip
        self._house = _Deployed(folder, postgres_url, rabbit_url, otlp=otlp, name=name)
        self._extra: list[subprocess.Popen[bytes]] = []
        self.url = self._house.url
        self._database = self._house.database("notifier").replace("+asyncpg", "")
        try:
            self._house.start_only(PROCESSES)
            self.connect(self._house.calls(), urls)
        except BaseException:
            self.stop()
            raise

    def add_worker(self) -> None:
        """One more worker of the notifier beside those that run; returns when it listens."""
        self._extra.append(self._house.another_worker(len(self._extra) + 1))

    def workers(self) -> list[int]:
        """Processes that send."""
        return [self.pid_of("notifier", "worker"), *(one.pid for one in self._extra)]

    def pids(self) -> list[int]:
        return [*self._house.pids(), *(one.pid for one in self._extra)]

    def pid_of(self, service: str, role: str) -> int:
        return self._house.pid_of((service, role))

    async def recorded(self) -> int:
        """Deliveries whose success is in the database; by index, so that looking costs nothing in a grown one."""
        return int(await self._fetch(f"{DONE} AND planned_at > now() - interval '12 hours'"))

    async def fan_out_of(self) -> dict[str, str]:
        connection = await asyncpg.connect(self._database)
        try:
            return {str(row[0]): str(row[1]) for row in await connection.fetch(_FAN_OUT)}
        finally:
            await connection.close()

    async def _fetch(self, query: str) -> int:
        connection = await asyncpg.connect(self._database)
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()

    @property
    def database(self) -> str:
        """Notifier's own, for what a scenario fills in."""
        return self._database

    def stop(self) -> None:
        for one in self._extra:
            one.terminate()
            with suppress(subprocess.TimeoutExpired):
                one.wait(15)
        self._house.stop()


class _Deployed(SpreadHouse):
    """As it is deployed: no simulators, no line for every event, nobody is started again."""

    def start_only(self, processes: tuple[tuple[str, str], ...]) -> None:
        for key in [key for key in self._environment if key.endswith("_LOG_LEVEL")]:
            self._environment[key] = "WARNING"
        self._environment |= NOBODY_ANSWERS
        self._migrate_all()
        for process in processes:
            self._spawn(process)
        self._ports = {process: self._ports[process] for process in processes}
        self.wait_ready()

    def pids(self) -> list[int]:
        return [one.pid for one in self._running.values()]

    def pid_of(self, process: tuple[str, str]) -> int:
        return self._running[process].pid

    def database(self, service: str) -> str:
        return self._environment[f"{service.upper()}_DATABASE_URL"]

    def another_worker(self, number: int) -> "subprocess.Popen[bytes]":
        [port] = free_ports(1)
        environment = {**self._environment, "NOTIFIER_PORT": str(port)}
        with (self.output / f"notifier-worker-{number}.log").open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "notifier", "worker"],
                cwd=Path(__file__).parents[1], env=environment, stdout=stream, stderr=stream,
            )  # fmt: skip
        wait_until(lambda: listening(port), within=60, or_else=lambda: "no second worker")
        return process
