"""Who ends processes, and who starts them again."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.parts.compose import Container


@dataclass(frozen=True)
class Target:
    """Something that can be killed. ``strike`` ends it by SIGKILL, and starts it if nobody else does."""

    name: str
    strike: Callable[[], None]


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
    """Strikes every target at least twice, in random order and at random times.

    Args:
        seed: makes order and pauses repeatable.
        strikes: how many in all; at least the number of targets.
        pause: shortest and longest time between two strikes, in seconds.
    """

    def __init__(self, targets: list[Target], *, seed: int, strikes: int, pause: tuple[float, float]) -> None:
        super().__init__(name="killer", daemon=True)
        self._dice = random.Random(seed)
        self._pause = pause
        order: list[Target] = []
        while len(order) < strikes:
            order += self._dice.sample(targets, len(targets))
        self._order = order[:strikes]
        self.struck: Counter[str] = Counter()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            for target in self._order:
                time.sleep(self._dice.uniform(*self._pause))
                target.strike()
                self.struck[target.name] += 1
        except Exception as failure:  # noqa: BLE001 - told to the test, which would wait for ever otherwise
            self.failure = failure
