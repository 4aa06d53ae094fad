"""One PostgreSQL and one RabbitMQ for all test processes of this user, alive while somebody uses them.

Who uses a part holds a shared lock on its lease file. The kernel lets go of it when the process ends,
however it ends; the last one to leave, or the next one to come, finds the lease free and clears up.
Tests share the server, never its content: each takes databases and virtual hosts with names of its own.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from tests.parts import engine, packages
from tests.parts.postgres import Postgres
from tests.parts.process import Running
from tests.parts.rabbit import Rabbit


@dataclass(frozen=True)
class Part:
    """A part that answers at ``url``. ``source``: environment, engine, packages."""

    url: str
    source: str
    api: str | None = None
    container: str | None = None
    processes: tuple[Running, ...] = field(default=())

    def alive(self) -> bool:
        return self.container is not None or all(one.alive() for one in self.processes)

    def end(self) -> None:
        if self.container:
            engine.remove(self.container)
        for one in self.processes:
            one.kill()


class Lease:
    """The right to use one shared part; give it back with ``leave``."""

    def __init__(self, part: Part, hold: IO[str] | None, room: "_Room | None") -> None:
        self.part = part
        self._hold = hold
        self._room = room

    def leave(self) -> None:
        """Let go; the last one ends the part, unless a developer keeps it up."""
        if self._hold and self._room:
            with self._room.alone():
                self._hold.close()
                self._hold = None
                self._room.clear_if_unused()


def postgres() -> Lease:
    """PostgreSQL: named by ``DABYL_TEST_POSTGRES``, from an engine, or private."""
    if url := os.environ.get("DABYL_TEST_POSTGRES"):
        plain = url.replace("postgresql+asyncpg://", "postgresql://").replace("postgres://", "postgresql://")
        return Lease(Part(plain.replace("postgresql://", "postgresql+asyncpg://"), "environment"), None, None)
    return _Room("postgres").join(_start_postgres)


def rabbit() -> Lease:
    """RabbitMQ: named by ``DABYL_TEST_RABBITMQ``, from an engine, or private."""
    if url := os.environ.get("DABYL_TEST_RABBITMQ"):
        host = url.rsplit("@", 1)[-1].split("/")[0].rsplit(":", 1)[0]
        api = os.environ.get("DABYL_TEST_RABBITMQ_API", f"http://{host}:15672")
        return Lease(Part(url, "environment", api=api), None, None)
    return _Room("rabbit").join(_start_rabbit)


def _start_postgres(folder: Path) -> Part:
    if engine.answers():
        container = engine.EnginePostgres().start()
        return Part(container.url_for(), "engine", container=container.id)
    packages.ensure_postgres()
    private = Postgres(folder).start()
    return Part(private.url_for(), "packages", processes=tuple(filter(None, [private.running])))


def _start_rabbit(folder: Path) -> Part:
    if engine.answers():
        container = engine.EngineRabbit().start()
        return Part(container.url, "engine", api=container.api, container=container.id)
    packages.ensure_rabbit()
    private = Rabbit(folder).start()
    return Part(private.url, "packages", api=private.api, processes=tuple(private.processes()))


class _Room:
    """Folder, lock and lease of one shared part."""

    def __init__(self, name: str) -> None:
        home = Path(tempfile.gettempdir()) / f"dabyl-parts-{os.getuid()}"
        home.mkdir(mode=0o711, exist_ok=True)
        if home.stat().st_uid != os.getuid():
            raise PermissionError(f"{home} belongs to somebody else")
        home.chmod(0o711)
        self._folder = home / name
        self._lock = home / f"{name}.lock"
        self._lease = home / f"{name}.lease"
        self._state = home / f"{name}.json"
        self._kept = home / f"{name}.kept"

    def join(self, start: Callable[[Path], Part]) -> Lease:
        """Use the part that is there, or start it; others wait at the door meanwhile."""
        with self.alone():
            self.clear_if_unused()
            part = self.part()
            if part and not part.alive():
                self._clear(part)
                part = None
            if part is None:
                shutil.rmtree(self._folder, ignore_errors=True)
                part = start(self._folder)
                self._write(part)
            hold = self._lease.open("w")
            fcntl.flock(hold, fcntl.LOCK_SH)
            return Lease(part, hold, self)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._lock.open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            yield

    def clear_if_unused(self) -> None:
        """End the part when nobody holds its lease and nobody keeps it. Call it ``alone``."""
        part = self.part()
        if part is None or self._kept.exists() or self.used():
            return
        self._clear(part)

    def used(self) -> bool:
        with self._lease.open("w") as probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def part(self) -> Part | None:
        if not self._state.exists():
            return None
        facts = json.loads(self._state.read_text())
        return Part(**{**facts, "processes": tuple(Running(**one) for one in facts["processes"])})

    def keep(self, *, yes: bool) -> None:
        if yes:
            self._kept.touch()
        else:
            self._kept.unlink(missing_ok=True)

    def _clear(self, part: Part) -> None:
        part.end()
        self._state.unlink(missing_ok=True)
        self._kept.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, part: Part) -> None:
        self._state.touch(mode=0o600)  # it names passwords
        self._state.write_text(json.dumps(asdict(part)))


def keep_up() -> dict[str, Part]:
    """Start both parts and keep them until ``take_down``."""
    found = {}
    for name, start in (("postgres", postgres), ("rabbit", rabbit)):
        lease = start()
        _Room(name).keep(yes=lease.part.source != "environment")
        found[name] = lease.part
        lease.leave()
    return found


def take_down() -> dict[str, bool]:
    """Stop keeping; what nobody uses ends now. Says of each part whether it is still used."""
    left = {}
    for name in ("postgres", "rabbit"):
        room = _Room(name)
        with room.alone():
            room.keep(yes=False)
            room.clear_if_unused()
            left[name] = room.part() is not None
    return left


def standing() -> dict[str, Part | None]:
    """What runs now; starts nothing."""
    return {name: _Room(name).part() for name in ("postgres", "rabbit")}
