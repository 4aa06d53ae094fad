"""CPU and memory of process trees, from /proc: wall time is noisy, CPU seconds are not."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(roots: Iterable[int]) -> list[int]:
    """These processes and everything below them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of the trees, children that have ended included."""
    total = 0
    for pid in family(roots):
        fields = _stat(pid)
        if fields:
            total += sum(int(value) for value in fields[11:15])  # utime stime cutime cstime
    return total / _TICKS


def memory_mb(roots: Iterable[int]) -> float:
    """Proportional set size of the trees, in MB: shared pages are counted once."""
    total = 0
    for pid in family(roots):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None


@dataclass
class Meter:
    """CPU of an application and of the servers that it works with, between two moments."""

    app: list[int]
    servers: list[int]
    _app: float = 0.0
    _servers: float = 0.0

    def start(self) -> None:
        """Take the first reading."""
        self._app, self._servers = cpu_seconds(self.app), cpu_seconds(self.servers)

    def read(self) -> tuple[float, float]:
        """CPU seconds since the start: of the application, and of application and servers together."""
        app = cpu_seconds(self.app) - self._app
        return app, app + cpu_seconds(self.servers) - self._servers
