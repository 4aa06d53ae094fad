"""Who ends processes, and who starts them again."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from tests.parts.compose import Container


@dataclass(frozen=True)
class Target:
    """Something that can be killed. ``strike`` ends it by SIGKILL, and starts it if nobody else does."""

    name: str
    strike: Callable[[], None]


class Part(Protocol):
    """PostgreSQL or RabbitMQ."""

    def kill(self) -> None: ...

    def start(self) -> object: ...


class Revived:
    """A part that is started again beside the story, so that other kills fall into the time it takes."""

    def __init__(self, name: str, part: Part) -> None:
        self.name = name
        self._part = part
        self._beside = ThreadPoolExecutor(1, name)
        self._starting: Future[object] | None = None

    def strike(self) -> None:
        self.wait()
        self._part.kill()
        self._starting = self._beside.submit(self._part.start)

    def wait(self) -> None:
        """Until it is up again."""
        if self._starting is not None:
            self._starting.result()


class Supervisor(threading.Thread):
    """Starts every container again that has ended, as ``restart: unless-stopped`` does."""

    def __init__(self, containers: list[Container]) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._containers = containers
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.1):
            for one in self._containers:
                if not one.alive():
                    one.start()

    def __enter__(self) -> "Supervisor":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()


class Killer(threading.Thread):
    """Strikes targets in random order, each as often as the others, spread at random over the story.

    Args:
        seed: makes order and moments repeatable.
        strikes: how many in all; at least the number of targets.
        pause: shortest and longest time between two strikes, in seconds.
        progress: share of the story that is over, 0 to 1. Strikes are drawn evenly over it: each waits for
            its moment, but no longer than the longest pause, for a house that stands still is struck, too.
            Without it, pauses are random.
    """

    def __init__(
        self,
        targets: list[Target],
        *,
        seed: int,
        strikes: int,
        pause: tuple[float, float],
        progress: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(name="killer", daemon=True)
        self._dice = random.Random(seed)
        self._pause = pause
        self._progress = progress
        order: list[Target] = []
        while len(order) < strikes:
            order += self._dice.sample(targets, len(targets))
        self._order = order[:strikes]
        self._moments = sorted(self._dice.random() for _ in self._order)
        self.struck: Counter[str] = Counter()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            for target, moment in zip(self._order, self._moments, strict=True):
                self._wait_for(moment)
                target.strike()
                self.struck[target.name] += 1
        except Exception as failure:  # noqa: BLE001 - told to the test, which would wait for ever otherwise
            self.failure = failure

    def _wait_for(self, moment: float) -> None:
        shortest, longest = self._pause
        if self._progress is None:
            time.sleep(self._dice.uniform(shortest, longest))
            return
        began = time.monotonic()
        time.sleep(shortest)
        while self._progress() < moment and time.monotonic() - began < longest:
            time.sleep(0.05)
