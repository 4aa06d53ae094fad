"""Parts from a Docker engine, when one answers: the versions that production runs."""

import os
import secrets
import socket
import urllib.request
from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tests.parts.process import free_ports, listening, wait_until

POSTGRES_IMAGE = "postgres:17.7-alpine"
RABBIT_IMAGE = "rabbitmq:4.2.1-management-alpine"
START_SECONDS = 180.0


def answers() -> bool:
    """Whether an engine answers. ``DABYL_TEST_ENGINE=no`` forbids to ask.

    Asked by hand: the client takes a second to import and leaves sockets open when nobody answers.
    """
    if os.environ.get("DABYL_TEST_ENGINE") == "no":
        return False
    address = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    over_unix = address.scheme == "unix"
    with socket.socket(socket.AF_UNIX if over_unix else socket.AF_INET) as probe:
        probe.settimeout(3)
        try:
            probe.connect(address.path if over_unix else (address.hostname, address.port or 2375))
            if not over_unix:
                return True  # perhaps TLS: the client will speak it
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in probe.recv(64)
        except OSError:
            return False


class _EnginePart:
    """One container on fixed loopback ports, so that its URL is the same after ``kill`` and ``start``."""

    def __init__(self, image: str, inner: tuple[int, ...], env: dict[str, str]) -> None:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - a second, needed rarely

        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # the lease ends it: several processes share one
        self.ports = free_ports(len(inner))
        self._container = DockerContainer(image)
        for name, value in env.items():
            self._container.with_env(name, value)
        for container, host in zip(inner, self.ports, strict=True):
            self._container.with_bind_ports(container, host)
        self._made = False

    @property
    def id(self) -> str:
        return str(self._container.get_wrapped_container().id)

    @property
    def host(self) -> str:
        return str(self._container.get_container_host_ip())

    def start(self) -> Any:
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        wait_until(self.ready, within=START_SECONDS, or_else=lambda: f"container {self.id[:12]} is not ready")
        return self

    def ready(self) -> bool:
        return all(listening(port) for port in self.ports)

    def kill(self) -> None:
        """SIGKILL."""
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        remove(self.id)


class EnginePostgres(_EnginePart):
    """PostgreSQL of the version that the compose file names."""

    def __init__(self) -> None:
        self._password = secrets.token_hex(16)
        super().__init__(
            POSTGRES_IMAGE, (5432,), {"POSTGRES_USER": "dabyl", "POSTGRES_PASSWORD": self._password}
        )

    def url_for(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://dabyl:{self._password}@{self.host}:{self.ports[0]}/{database}"

    def ready(self) -> bool:
        from tests.parts.postgres import server_version  # noqa: PLC0415 - only when an engine answers

        try:
            return bool(server_version(self.url_for()))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False  # still starting


class EngineRabbit(_EnginePart):
    """RabbitMQ of the version that the compose file names."""

    def __init__(self) -> None:
        self._password = secrets.token_hex(16)
        env = {"RABBITMQ_DEFAULT_USER": "dabyl", "RABBITMQ_DEFAULT_PASS": self._password}
        super().__init__(RABBIT_IMAGE, (5672, 15672), env)

    @property
    def url(self) -> str:
        return f"amqp://dabyl:{self._password}@{self.host}:{self.ports[0]}/"

    @property
    def api(self) -> str:
        return f"http://{self.host}:{self.ports[1]}"

    def ready(self) -> bool:
        token = b64encode(f"dabyl:{self._password}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - our own container
            f"{self.api}/api/health/checks/virtual-hosts", headers={"Authorization": f"Basic {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - our own container
                return bool(answer.status == 200)
        except OSError:
            return False


def remove(container: str) -> None:
    """Remove a container by id, whoever started it."""
    import docker  # noqa: PLC0415 - a second, needed rarely

    client = docker.from_env()
    try:
        client.containers.get(container).remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    finally:
        client.close()
