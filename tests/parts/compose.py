"""The compose file run as plain processes: its commands, its environment, its secrets, on private parts.

No engine is needed, and what is checked is the file itself: a container gets exactly the variables
that the file gives it, and only the keys of the folder that the file mounts. Host names become ports.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from tests.parts.postgres import Postgres
from tests.parts.process import PartFailed, Running, free_ports, reachable_folder, spawn, tail, wait_until
from tests.parts.rabbit import Rabbit

ROOT = Path(__file__).parents[2]
SERVICES = ("registry", "notifier", "casework", "intake", "gateway")
ONCE = ("migrate", "topology apply")


def read_compose() -> dict[str, Any]:
    """The compose file with its anchors resolved and its variables as they stand."""
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def substituted(value: str, variables: dict[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}`` as compose reads them, also one in another.

    Raises:
        PartFailed: a required variable is missing.
    """

    def one(match: re.Match[str]) -> str:
        name, kind, rest = match["name"], match["kind"], match["rest"]
        if variables.get(name):
            return variables[name]
        if kind == ":-":
            return str(rest)
        raise PartFailed(f"{name}: {rest or 'not set'}")

    inmost = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<rest>[^${}]*))?\}")
    while (further := inmost.sub(one, value)) != value:
        value = further
    return value


def resolved(environment: dict[str, Any], variables: dict[str, str]) -> dict[str, str]:
    """What a container is given: a name without a value is passed on where it is set, and else left out."""
    passed = {name: variables.get(name) if value is None else value for name, value in environment.items()}
    return {name: substituted(str(value), variables) for name, value in passed.items() if value is not None}


def make_secrets(folder: Path) -> dict[str, str]:
    """Run deploy/make_secrets.py; the variables it wrote for compose."""
    subprocess.run(
        [sys.executable, ROOT / "deploy" / "make_secrets.py", folder], check=True, capture_output=True
    )
    lines = (folder / "compose.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@dataclass
class Container:
    """One of our containers as the compose file describes it, ready to run here."""

    name: str
    service: str
    role: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    port: int
    running: Running | None = None
    starts: int = field(default=0)

    def start(self) -> None:
        """Start it; the log of earlier starts is kept."""
        self.running = spawn(self.command, log=self.log, env=self.environment, cwd=self.log.parent)
        self.starts += 1

    def run(self, *, within: float = 120) -> None:
        """Run a one-shot container to its end.

        Raises:
            PartFailed: it ended with an error or not in time.
        """
        done = subprocess.run(
            self.command,
            env=self.environment,
            cwd=self.log.parent,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        self.log.write_text(done.stdout + done.stderr)
        if done.returncode != 0:
            raise PartFailed(f"{self.name} ended with {done.returncode}:\n{tail(self.log)}")

    def is_ready(self) -> bool:
        """Whether ``/readyz`` answers 200."""
        return self.answers("readyz")

    def answers(self, page: str) -> bool:
        return _answers(f"http://127.0.0.1:{self.port}/{page}")

    def is_connected(self) -> bool:
        """Whether it said last that the broker is there."""
        log = self.log.read_text(errors="replace")
        return log.rfind('"broker_connected"') > log.rfind('"broker_away"')

    def alive(self) -> bool:
        return self.running is not None and self.running.alive()

    def kill(self) -> None:
        """``kill -9``."""
        if self.running:
            self.running.kill()

    def stop(self) -> None:
        if self.running:
            self.running.terminate(within=20)


class ComposeHouse:
    """Our containers of the compose file, as processes on a private PostgreSQL and RabbitMQ.

    Args:
        logs: what the containers print; stays.
        more: variables on top of the file's, by service, for what only a test may do.
        through: ports where containers find ``postgres`` and ``rabbitmq`` instead of the real ones.
    """

    def __init__(
        self,
        logs: Path,
        *,
        more: dict[str, dict[str, str]] | None = None,
        through: dict[str, int] | None = None,
    ) -> None:
        # Not below ``logs``: an unprivileged PostgreSQL could not pass through pytest's folders.
        self.folder = folder = reachable_folder("house")
        self.postgres = Postgres(folder / "postgres")
        self.rabbit = Rabbit(folder / "rabbit")
        self._found_at = {"postgres": self.postgres.port, "rabbitmq": self.rabbit.port, **(through or {})}
        self._variables = make_secrets(folder / "secrets")
        self._ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self.url = f"http://127.0.0.1:{self._ports['gateway']}"
        self._variables["DABYL_PUBLIC_URL"] = self.url
        self.bootstrap = folder / "secrets" / "bootstrap" / "bootstrap.json"
        described = read_compose()["services"]
        self.containers = {
            name: self._container(name, one, logs, (more or {}).get(str(one["command"][2]), {}))
            for name, one in described.items()
            if one.get("image", "").startswith("dabyl/")
        }

    @property
    def once(self) -> list[Container]:
        return [one for one in self.containers.values() if one.role in ONCE]

    @property
    def lasting(self) -> list[Container]:
        return [one for one in self.containers.values() if one.role not in ONCE]

    def keys(self, service: str) -> Path:
        """What its containers mount."""
        return self.folder / "secrets" / service

    def start_parts(self) -> None:
        """PostgreSQL with init.sh, RabbitMQ with the rendered definitions."""
        self.postgres.start()
        self.rabbit.start()
        self.initialise_postgres()
        self.import_definitions()

    def initialise_postgres(self) -> None:
        server = urlsplit(self.postgres.url_for())
        passwords = {name: value for name, value in self._variables.items() if name.endswith("_PASSWORD")}
        done = subprocess.run(
            [ROOT / "deploy" / "postgres" / "init.sh"],
            env={
                "PATH": os.environ["PATH"],
                **passwords,
                "POSTGRES_USER": str(server.username),
                "PGHOST": str(server.hostname),
                "PGPORT": str(server.port),
                "PGPASSWORD": str(server.password),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PartFailed(f"deploy/postgres/init.sh failed: {done.stderr}")

    def import_definitions(self) -> None:
        own = urlsplit(self.rabbit.url)
        token = b64encode(f"{own.username}:{unquote(own.password or '')}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - our own node
            f"{self.rabbit.api}/api/definitions",
            method="POST",
            data=(self.folder / "secrets" / "rabbitmq.json").read_bytes(),
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310 - our own node
            return

    def start(self) -> None:
        """Parts, migrations, then every lasting container; returns when all are ready and on the broker."""
        self.start_parts()
        with ThreadPoolExecutor(len(SERVICES)) as side_by_side:
            list(side_by_side.map(Container.run, (one for one in self.once if one.role == "migrate")))
        for one in self.once:
            if one.role != "migrate":
                one.run()
        for one in self.lasting:
            one.start()
        self.wait_ready()

    def wait_ready(self, *, within: float = 90) -> None:
        wait_until(
            lambda: all(one.is_connected() and one.is_ready() for one in self.lasting),
            within=within,
            or_else=lambda: "\n".join(f"{one.name}: {tail(one.log)}" for one in self.lasting),
        )

    def stop(self) -> None:
        """End everything that was started, by its pid; data and secrets go, logs stay."""
        for one in self.lasting:
            if one.running:
                one.running.kill()
        self.rabbit.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _container(self, name: str, described: dict[str, Any], logs: Path, more: dict[str, str]) -> Container:
        word, flag, service, *role = (substituted(one, self._variables) for one in described["command"])
        assert (word, flag) == ("python", "-m"), described["command"]
        environment = {
            key: self._here(value, described)
            for key, value in resolved(described["environment"], self._variables).items()
        }
        prefix = service.upper()
        port = self._ports[service] if role == ["api"] else free_ports(1)[0]
        for other in SERVICES:
            if other != "gateway":
                environment.setdefault(
                    f"{prefix}_{other.upper()}_URL", f"http://127.0.0.1:{self._ports[other]}"
                )
        environment |= {f"{prefix}_PORT": str(port), f"{prefix}_HOST": "127.0.0.1"}
        environment.pop(f"{prefix}_OTLP_ENDPOINT", None)  # no collector here
        environment.pop(f"{prefix}_TRACES_URL", None)
        return Container(
            name=name,
            service=service,
            role=" ".join(role),
            command=[sys.executable, "-m", service, *role],
            environment={**_path_of(ROOT), **environment, **more},
            log=logs / f"{name}.log",
            port=port,
        )

    def _here(self, value: str, described: dict[str, Any]) -> str:
        """A value of the file with container paths and host names as they are on this machine."""
        for mount in described.get("volumes", ()):
            source, inside, *_ = substituted(mount, self._variables).split(":")
            value = value.replace(inside, source)
        for part, port in self._found_at.items():
            value = value.replace(f"@{part}/", f"@127.0.0.1:{port}/")
        return value.replace("http://rabbitmq:15672", self.rabbit.api)


def _path_of(root: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(str(root / room) for room in ("libs", "services")),
        "PYTHONUNBUFFERED": "1",
        "LC_ALL": "C.UTF-8",
    }


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own process
            return bool(answer.status == 200)
    except OSError:
        return False
