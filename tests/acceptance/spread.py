"""The house as it is deployed: a process per service and role, PostgreSQL, RabbitMQ. Killable one by one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from common.keys import KeyRing
from dabyl.calls import Calls
from dabyl.casting import cast
from dabyl.casting import start as start_street
from tests.acceptance.embedded import ROOT
from tests.parts import postgres
from tests.parts.process import free_ports

SERVICES = ("registry", "notifier", "casework", "intake", "gateway")
PROCESSES = (
    ("registry", "api"),
    ("notifier", "api"),
    ("notifier", "worker"),
    ("casework", "api"),
    ("casework", "worker"),
    ("intake", "api"),
    ("intake", "worker"),
    ("gateway", "api"),
)
START_SECONDS = 90


class SpreadHouse:
    """Starts every process; a supervisor thread starts again what was killed, as an orchestrator does.

    Args:
        home: keys, credentials, output.
        postgres_url: a server on which databases may be created.
        rabbit_url: a virtual host of our own.
    """

    def __init__(
        self, home: Path, postgres_url: str, rabbit_url: str, *, otlp: str | None = None, name: str = "spread"
    ) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.output = home / "output"
        self.output.mkdir(exist_ok=True)
        KeyRing.create(home / "keys")
        self._ports = dict(zip(PROCESSES, free_ports(len(PROCESSES)), strict=True))
        self._calls: Calls | None = None
        self.url = f"http://127.0.0.1:{self._ports['gateway', 'api']}"
        self._running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._street: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._environment = self._settings(postgres_url, rabbit_url, otlp, name)

    def start(self) -> None:
        """Migrate, start everything, connect the simulated agencies."""
        self._migrate_all()
        for process in PROCESSES:
            self._spawn(process)
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()
        self.wait_ready()
        calls = self.calls()
        cast(calls, self.home)
        self._street = start_street(self.home, self._environment)

    def _migrate_all(self) -> None:
        # Side by side: most of each is the interpreter's start.
        with ThreadPoolExecutor(len(SERVICES)) as pool:
            list(pool.map(self._migrate, SERVICES))

    def _migrate(self, service: str) -> None:
        migrated = subprocess.run(
            [sys.executable, "-m", service, "migrate"],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            check=False,
        )
        assert migrated.returncode == 0, (service, migrated.stdout[-2000:], migrated.stderr[-2000:])

    def wait_ready(self) -> None:
        """Until every process answers ``/readyz``."""
        began = time.monotonic()
        for process, port in self._ports.items():
            while not _is_ready(port):
                if time.monotonic() - began > START_SECONDS:
                    raise AssertionError(f"{process} not ready: {self._tail(process)}")
                time.sleep(0.1)

    def kill(self, process: tuple[str, str]) -> bool:
        """``kill -9``; the supervisor starts it again. ``False`` when it was not running just then."""
        with self._lock:
            running = self._running.get(process)
            if running is None or running.poll() is not None:
                return False
            running.send_signal(signal.SIGKILL)
            running.wait()
            return True

    def stop(self) -> None:
        """End everything that was started here."""
        if self._calls is not None:
            self._calls.close()
            self._calls = None
        self._stopping.set()
        if self._supervisor:
            self._supervisor.join()
        everything = [*self._running.values(), *([self._street] if self._street else [])]
        for running in everything:
            running.terminate()
        for running in everything:
            try:
                running.wait(15)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()

    def calls(self) -> Calls:
        """The command's client for this house; one, so that its tokens are used again."""
        if self._calls is None:
            self._calls = Calls(self.url, self.home)
        return self._calls

    def journal(self) -> list[dict[str, str]]:
        """What the simulated agencies wrote down."""
        file = self.home / "simulators.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def _spawn(self, process: tuple[str, str]) -> None:
        service, role = process
        environment = {**self._environment, f"{service.upper()}_PORT": str(self._ports[process])}
        with (self.output / f"{service}-{role}.log").open("ab") as stream:
            self._running[process] = subprocess.Popen(
                [sys.executable, "-m", service, role], cwd=ROOT, env=environment, stdout=stream, stderr=stream
            )

    def _supervise(self) -> None:
        while not self._stopping.wait(0.1):
            with self._lock:
                for process, running in list(self._running.items()):
                    if running.poll() is not None:
                        self._spawn(process)

    def _tail(self, process: tuple[str, str]) -> str:
        return (self.output / f"{process[0]}-{process[1]}.log").read_text()[-3000:]

    def _settings(self, postgres_url: str, rabbit_url: str, otlp: str | None, name: str) -> dict[str, str]:
        paths = [str(ROOT / "libs"), str(ROOT / "services"), str(ROOT)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        urls = {service: f"http://127.0.0.1:{self._ports[service, 'api']}" for service in SERVICES}
        for service in SERVICES:
            prefix = service.upper()
            environment |= {
                f"{prefix}_DATABASE_URL": postgres.create_database(postgres_url, f"{name}_{service}"),
                f"{prefix}_BUS_URL": rabbit_url,
                f"{prefix}_BUS_DECLARES": "true",  # one user with all rights
                f"{prefix}_KEYS_DIR": str(self.home / "keys"),
                f"{prefix}_LOG_LEVEL": "DEBUG",
                f"{prefix}_ALLOW_LOOPBACK": "true",
                f"{prefix}_PUBLIC_URL": self.url,
                **{f"{prefix}_{other.upper()}_URL": url for other, url in urls.items()},
            }
            if otlp:
                environment[f"{prefix}_OTLP_ENDPOINT"] = otlp
        environment["GATEWAY_BOOTSTRAP_FILE"] = str(self.home / "bootstrap.json")
        return environment


def _is_ready(port: int) -> bool:
    # urllib, because a fresh httpx client reads all certificates of the machine for every look
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
        return int(answer.status) == 200
    return False
