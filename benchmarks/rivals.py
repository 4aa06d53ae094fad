"""Starts the peers: an interpreter and packages of their own, never beside the house's."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmarks.client import request
from benchmarks.job import alerts
from tests.parts import postgres
from tests.parts.process import PartFailed, free_ports, listening, tail, wait_until

ROOT = Path(__file__).parents[1]
HERE = ROOT / "benchmarks"
INSTALL_SECONDS = 140
SCHEMA = (
    "CREATE TABLE alerts (id uuid PRIMARY KEY, body jsonb NOT NULL, received_at timestamptz DEFAULT now())",
    "CREATE TABLE attempts (delivery_id text NOT NULL, alert_id text NOT NULL, status int, taken bool NOT NULL,"
    " at timestamptz DEFAULT now())",
)


@dataclass(frozen=True)
class Recipe:
    """How one peer is started: commands with ``{port}``, ``{python}``."""

    name: str
    database: str
    prepare: tuple[str, ...]
    api: str
    workers: tuple[str, ...]


_UVICORN = "{python} -m uvicorn benchmarks.peers.%s:app --port {port} --no-access-log --log-level warning"
RECIPES = (
    Recipe("Node (amqplib, undici, pg)", "peer_node", (), "node peer.js api {port}", ("node peer.js worker",)),
    Recipe(
        "FastStream (tuned: aiohttp, 2 workers)", "peer_faststream", (), _UVICORN % "faststream_peer",
        ("{python} -m benchmarks.peers.faststream_peer",) * 2,
    ),
    Recipe(
        "Procrastinate (tuned: aiohttp, 2 workers)", "peer_procrastinate",
        ("{python} -m benchmarks.peers.procrastinate_peer schema",), _UVICORN % "procrastinate_peer",
        ("{python} -m benchmarks.peers.procrastinate_peer",) * 2,
    ),
    Recipe(
        "Celery (RabbitMQ, prefork 16, tuned)", "peer_celery", (), _UVICORN % "celery_peer",
        ("{python} -m celery -A benchmarks.peers.celery_peer:queue worker --concurrency 16"
         " --without-gossip --without-mingle --without-heartbeat -Ofair --loglevel ERROR",),
    ),
)  # fmt: skip


def python_of_peers() -> Path:
    """An environment with what the lock names; made once per lock."""
    lock = HERE / "requirements.lock"
    folder = ROOT / ".venv" / f"peers-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*map(str, command), "--require-hashes", "-r", str(lock)], check=True, timeout=INSTALL_SECONDS
        )
        (folder / "done").touch()
    return python


def node_folder() -> Path:
    """The Node peer with its packages.

    Raises:
        PartFailed: there is no Node or no npm here.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise PartFailed("the Node peer needs node and npm on the path: https://nodejs.org")
    source = HERE / "peers" / "node"
    seal = hashlib.sha256((source / "package.json").read_bytes()).hexdigest()[:12]
    folder = ROOT / ".venv" / f"peers-node-{seal}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        command = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run([*command, "--silent"], cwd=folder, check=True, timeout=INSTALL_SECONDS)
        (folder / "done").touch()
    shutil.copy(source / "peer.js", folder / "peer.js")
    return folder


class Rival:
    """One peer, started on a database of its own."""

    def __init__(self, recipe: Recipe, sink: str, postgres_url: str, rabbit_url: str, log: Path) -> None:
        self.name = recipe.name
        self._recipe = recipe
        self._log = log
        url = postgres.create_database(postgres_url, recipe.database).replace("+asyncpg", "")
        self.database = url
        self._environment = {
            **os.environ, "SINK": sink, "DATABASE_URL": url, "AMQP_URL": rabbit_url,
            "PYTHONPATH": os.pathsep.join([str(ROOT)]),
        }  # fmt: skip
        [self._port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Install what it needs, make its tables, start its processes."""
        recipe, environment, port = self._recipe, self._environment, self._port
        node = node_folder() if "node" in recipe.api else None
        python = "" if node else str(python_of_peers())
        subprocess.run(
            [sys.executable, "-c", _MAKE_SCHEMA, self.database, *SCHEMA], check=True, timeout=INSTALL_SECONDS
        )
        with self._log.open("ab") as stream:
            for prepared in recipe.prepare:
                command = prepared.format(python=python).split()
                subprocess.run(
                    command, cwd=ROOT, env=environment, check=True, stdout=stream, stderr=stream, timeout=60
                )
            for command_line in (recipe.api, *recipe.workers):
                self._running.append(
                    subprocess.Popen(
                        command_line.format(python=python, port=port).split(),
                        cwd=node or ROOT,
                        env=environment,
                        stdout=stream,
                        stderr=stream,
                    )
                )
                # One after the other: of two that make the same queue at once RabbitMQ sends one away.
                wait_until(self._is_up_or_gone, within=30, or_else=lambda: f"{self.name} did not start")
        if not self._is_alive():
            raise PartFailed(f"{self.name} ended while starting: {tail(self._log)}")

    def _is_alive(self) -> bool:
        return all(one.poll() is None for one in self._running)

    def _is_up_or_gone(self) -> bool:
        return listening(self._port) or not self._is_alive()

    def requests(self, how_many: int) -> Iterator[bytes]:
        headers = {"Content-Type": "application/json"}
        return (request(f"{self.url}/v1/alerts", body, headers) for body in alerts(how_many))

    def pids(self) -> list[int]:
        return [one.pid for one in self._running]

    async def recorded(self) -> int:
        connection = await asyncpg.connect(self.database)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM attempts WHERE taken"))
        finally:
            await connection.close()

    async def fan_out_of(self) -> dict[str, str]:
        connection = await asyncpg.connect(self.database)
        try:
            rows = await connection.fetch("SELECT delivery_id, alert_id FROM attempts")
            return {str(row[0]): str(row[1]) for row in rows}
        finally:
            await connection.close()

    def stop(self) -> None:
        for one in self._running:
            one.terminate()
        for one in self._running:
            try:
                one.wait(8)
            except subprocess.TimeoutExpired:
                one.kill()
                with suppress(subprocess.TimeoutExpired):
                    one.wait(5)


_MAKE_SCHEMA = """
import asyncio, sys, asyncpg
async def make():
    connection = await asyncpg.connect(sys.argv[1])
    for statement in sys.argv[2:]:
        await connection.execute(statement)
    await connection.close()
asyncio.run(make())
"""
