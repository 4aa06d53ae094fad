"""A virtual clock and a seeded scheduler: who runs next, and who dies where, is decided by one number.

Actors are generators. Each ``yield`` is an await point: a number sleeps so many seconds, a gate waits until
it is opened. Between two yields nothing else runs: a call of a model store between them is one transaction.
A process that crashes loses all its generators at once, wherever they stand.
"""

import heapq
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

EPOCH = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
"""Second nought of every run."""

Steps = Generator["float | Gate", None, None]


class Gate:
    """What a task waits for; opening wakes everyone who waits, and whoever comes next passes at once."""

    __slots__ = ("is_open", "waiting")

    def __init__(self) -> None:
        self.is_open = False
        self.waiting: list[Task] = []


@dataclass(eq=False)
class Task:
    """A generator, and the turn that is planned for it: a turn with an older number is void."""

    process: "Process"
    label: str
    steps: Steps
    turn: int = 0
    wakes: float = 0.0


@dataclass(eq=False)
class Process:
    """What dies as one. ``boot`` starts its tasks, at first and after every crash."""

    name: str
    boot: Callable[[], None]
    tasks: dict[int, Task] = field(default_factory=dict)
    is_up: bool = False
    can_crash: bool = True
    crashes: int = 0
    steps: int = 0
    stalled_until: float = 0.0


class Engine:
    """Runs tasks in the order of their time; among equals, the dice decide."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.seconds = 0.0
        self.steps = 0
        self.crash_chance = 0.0
        self.crash_at: tuple[str, int] | None = None
        self.on_crash: list[Callable[[Process], None]] = []
        self._heap: list[tuple[float, float, int, Task | Callable[[], None], int]] = []
        self._number = 0
        self._digest = blake2b(digest_size=16)

    @property
    def now(self) -> datetime:
        """The true time."""
        return EPOCH + timedelta(seconds=self.seconds)

    @property
    def hash(self) -> str:
        """Of every step so far."""
        return self._digest.hexdigest()

    def new_id(self) -> UUID:
        """A random id out of the seed."""
        return UUID(int=self.dice.getrandbits(128), version=4)

    def note(self, what: str) -> None:
        """Let ``what`` count in the hash."""
        self._digest.update(f"{self.seconds:.6f} {what}\n".encode())

    def start(self, process: Process) -> None:
        """Boot a process, or boot it again."""
        process.is_up = True
        process.boot()

    def spawn(self, process: Process, label: str, steps: Steps) -> Task:
        """A task of this process; it takes its first step in its turn."""
        task = Task(process, label, steps)
        process.tasks[id(task)] = task
        self._plan(task, 0.0)
        return task

    def call_later(self, seconds: float, act: Callable[[], None]) -> None:
        """Something that happens to the world, whoever lives then."""
        self._push(self.seconds + seconds, act, 0)

    def open(self, gate: Gate) -> None:
        """Wake whoever waits; with nobody there, the next one passes."""
        if not gate.waiting:
            gate.is_open = True
            return
        waiting, gate.waiting = gate.waiting, []
        for task in waiting:
            self._plan(task, 0.0)

    def hurry(self, task: Task, at: float) -> None:
        """Wake a sleeping task earlier than it asked for."""
        if at < task.wakes:
            self._plan(task, max(0.0, at - self.seconds))

    def crash(self, process: Process, *, back_after: float) -> None:
        """``kill -9``, and the orchestrator starts it again."""
        if not process.is_up:
            return
        process.is_up = False
        process.crashes += 1
        self.note(f"crash {process.name}")
        for told in self.on_crash:
            told(process)
        tasks, process.tasks = process.tasks, {}
        for task in tasks.values():
            task.turn += 1
            task.steps.close()
        self.call_later(back_after, lambda: self.start(process))

    def run(self, until: float, *, done: Callable[[], bool] | None = None) -> None:
        """Until the given second, or until ``done``."""
        while self._heap and self._heap[0][0] <= until:
            at, _, _, what, turn = heapq.heappop(self._heap)
            self.seconds = max(self.seconds, at)
            if isinstance(what, Task):
                if what.turn == turn and what.process.is_up:
                    if what.process.stalled_until > self.seconds:
                        self._push(what.process.stalled_until, what, turn)
                    else:
                        self._step(what)
            else:
                what()
            if done is not None and done():
                return
        self.seconds = max(self.seconds, until)

    def _step(self, task: Task) -> None:
        process = task.process
        process.steps += 1
        self.steps += 1
        self.note(task.label)
        if process.can_crash and (
            self.crash_at == (process.name, process.steps)
            or (self.crash_chance and self.dice.random() < self.crash_chance)
        ):
            self.crash(process, back_after=self.dice.choice((0.2, 1.0, 3.0, 40.0)))
            return
        try:
            wish = next(task.steps)
        except StopIteration:
            process.tasks.pop(id(task), None)
            return
        if isinstance(wish, Gate):
            if wish.is_open:
                wish.is_open = False
                self._plan(task, 0.0)
            else:
                task.turn += 1
                task.wakes = 0.0
                wish.waiting.append(task)
        else:
            self._plan(task, wish)

    def _plan(self, task: Task, seconds: float) -> None:
        task.turn += 1
        task.wakes = self.seconds + seconds
        self._push(task.wakes, task, task.turn)

    def _push(self, at: float, what: Task | Callable[[], None], turn: int) -> None:
        self._number += 1
        heapq.heappush(self._heap, (at, self.dice.random(), self._number, what, turn))
