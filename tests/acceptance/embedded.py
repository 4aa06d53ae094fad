"""The embedded house as a user starts it: ``python -m dabyl up`` in its own process and home."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dabyl.calls import Calls

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


class EmbeddedHouse:
    """Starts, kills and restarts one house; its home outlives it."""

    log_level = "DEBUG"
    settings: Mapping[str, str] = {}
    """Further ones, as environment variables."""

    def __init__(self, home: Path, *, simulators: bool = True) -> None:
        self.home = home
        self._simulators = simulators
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._seen_from = 0
        self._calls: Calls | None = None
        self.output = home.parent / f"{home.name}.out"

    @property
    def pid(self) -> int:
        """Process id of the house."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """Address of the gateway."""
        return str(json.loads((self.home / "house.json").read_text())["url"])

    def start(self) -> None:
        """Start, on the port of the first start, and wait until it is ready and the agencies are on stage."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "house.json").unlink(missing_ok=True)
        environment = {
            **os.environ,
            "DABYL_HOME": str(self.home),
            "PORT": str(self._port),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "libs"), str(ROOT / "services"), str(ROOT)]),
            "DABYL_LOG_LEVEL": self.log_level,
            **self.settings,
        }
        command = [sys.executable, "-m", "dabyl", "up", *([] if self._simulators else ["--no-simulators"])]
        self._seen_from = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait("Ctrl-C stops everything." if self._simulators else "Dabyl is up")
        self._port = int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        """``kill -9`` of the house (and what it started): no goodbye."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM, then wait."""
        if self._calls is not None:
            self._calls.close()
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self.kill_rest()

    def kill_rest(self) -> None:
        """End what is left of the session we started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def calls(self) -> Calls:
        """The command's client for this house; one, so that its tokens are used again."""
        if self._calls is None or self._calls.url != self.url:
            self._calls = Calls(self.url, self.home)
        return self._calls

    def journal(self) -> list[dict[str, str]]:
        """What the simulated agencies wrote down."""
        file = self.home / "simulators.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def _wait(self, sign: str) -> None:
        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"the house did not start:\n{self.output.read_text()[-4000:]}")
            if sign in self.output.read_bytes()[self._seen_from :].decode(errors="replace"):
                return
            time.sleep(0.05)
        raise AssertionError(f"not ready in {START_SECONDS} s:\n{self.output.read_text()[-4000:]}")
