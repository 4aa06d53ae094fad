"""Private processes: started without privileges, ended by their identity, never by name.

A pid alone can be handed to somebody else's process; together with its start time it can not.
"""

import os
import pwd
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


class PartFailed(RuntimeError):
    """A real part could not be provided; the text says what to do."""


@dataclass(frozen=True)
class Running:
    """A process by pid and start time (seconds since the epoch): survives a JSON file and a pid reuse."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Running":
        return cls(pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        process = self._process()
        try:
            return process is not None and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:  # it was ended and collected since the line above
            return False

    def kill(self, *, within: float = 20.0) -> None:
        """``kill -9`` of the process and all it has started; returns when none of them runs."""
        root = self._process()
        if root is None:
            return
        family = [root, *_descendants(root)]
        for process in family:
            _kill_one(process)
        # Between the listing and the kill the root may have started one more child.
        for late in _orphans_of(family):
            _kill_one(late)
        wait_until(lambda: _gone(self.pid, family), within=within, or_else=None)

    def terminate(self, *, by: signal.Signals = signal.SIGTERM, within: float = 20.0) -> None:
        """Ask and wait; ``kill`` when it does not listen within that many seconds."""
        root = self._process()
        if root is None:
            return
        family = _descendants(root)
        root.send_signal(by)
        wait_until(lambda: _reap(self.pid) or not self.alive(), within=within, or_else=None)
        if self.alive():
            self.kill()
        for process in family:
            _kill_one(process)

    def _process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            return process if abs(process.create_time() - self.started) < 1.0 else None
        except psutil.NoSuchProcess:
            return None


def _descendants(root: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def _orphans_of(family: list[psutil.Process]) -> list[psutil.Process]:
    late: list[psutil.Process] = []
    for process in family:
        late += _descendants(process)
    return late


def _kill_one(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _gone(child: int, family: list[psutil.Process]) -> bool:
    _reap(child)
    return all(not Running(process.pid, process.create_time()).alive() for process in family)


def _reap(pid: int) -> bool:
    """Take the exit code of our own child, so that it does not stay as a zombie."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: "Account | None" = None,
) -> Running:
    """Start a child of its own session; both outputs are appended to ``log``."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
    child.returncode = 0  # the handle is dropped on purpose: whoever ends the process goes by ``Running``
    return Running.of(child.pid)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on; held together, so that all of them differ.

    Below the range from which the kernel takes ports for outgoing connections: whoever gets one of these
    binds it a moment later, and must not find it taken by somebody's call in between.
    """
    chance = random.SystemRandom()
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            one = socket.socket()
            held.append(one)
            try:
                one.bind(("127.0.0.1", chance.randrange(12_000, 32_000)))
            except OSError:
                held.pop().close()
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """SIGSTOP, from when no thread of it runs any more; SIGCONT at the end.

    The signal comes back before its work is done: on a busy machine a thread on the other core may go on
    for milliseconds, and a broker confirms in one.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(
            lambda: _states(pid) <= set("TZX"), within=10.0, or_else=lambda: f"{pid} does not stand still"
        )
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _states(pid: int) -> set[str]:
    """Of all threads, as the kernel writes them (proc(5): T is stopped)."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            # The name before it is in parentheses, and may hold some itself.
            found.add(stat.read_text().rpartition(")")[2].split()[0])
    return found


def wait_until(condition: Callable[[], bool], *, within: float, or_else: Callable[[], str] | None) -> None:
    """Look every 20 ms for a signal of another program; ``or_else=None``: give up silently.

    Raises:
        PartFailed: the condition did not hold within that many seconds.
    """
    give_up = time.monotonic() + within
    while not condition():
        if time.monotonic() > give_up:
            if or_else is None:
                return
            raise PartFailed(or_else())
        time.sleep(0.02)


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log, for an error text."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@dataclass(frozen=True)
class Account:
    """The operating-system user that a part runs as."""

    uid: int
    gid: int

    def own(self, folder: Path) -> Path:
        """Create the folder and hand it over."""
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)
        return folder


def unprivileged(*preferred: str) -> Account | None:
    """Who a part runs as when we are root: the package's own user, else ``nobody``. ``None``: as we are."""
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise PartFailed("running as root, and this machine has no unprivileged user, not even `nobody`")


def own_folder(folder: Path, user: Account | None) -> Path:
    if user:
        return user.own(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def reachable_folder(name: str) -> Path:
    """A fresh temporary folder that an unprivileged user may pass through, whatever the umask."""
    folder = Path(tempfile.mkdtemp(prefix=f"dabyl-{name}-"))
    folder.chmod(0o711)
    return folder
