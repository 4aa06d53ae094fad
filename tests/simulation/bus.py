"""A broker that drops, doubles, reorders, refuses and forgets to confirm; it never invents a message."""

from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.simulation.engine import Engine, Gate, Process

CONFIRM_SECONDS = 2.0
EVENTS = "ev."
LANES = "dlv.lane."


@dataclass(eq=False, slots=True)
class Message:
    """What lies in a queue; ``holder`` has it in hand and has not acknowledged it."""

    queue: str
    id: UUID
    payload: tuple[object, ...]
    holder: Process | None = None


class ModelBus:
    """Queues with at-least-once delivery. Wake-ups may be lost; a confirmed event may not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queues: dict[str, list[Message]] = defaultdict(list)
        self.gates: dict[str, Gate] = defaultdict(Gate)
        self.is_down = False
        self._coming = 0
        self.drop = self.double = self.unconfirmed = 0.0
        engine.on_crash.append(self._give_back)

    def publish(
        self, queue: str, messages: Sequence[tuple[UUID, tuple[object, ...]]]
    ) -> "Generator[float | Gate, None, list[bool]]":
        """One answer a message; never raises for a broker that is away."""
        dice = self._engine.dice
        yield dice.uniform(0.0005, 0.01)
        if self.is_down:
            # Some were written before the line broke; nobody hears of it.
            for one in messages:
                if dice.random() < 0.3:
                    self._enqueue(queue, one)
            yield CONFIRM_SECONDS
            return [False] * len(messages)
        confirmed = []
        for one in messages:
            if queue.startswith(LANES) and dice.random() < self.drop:
                confirmed.append(True)
                continue
            if dice.random() < self.unconfirmed:
                if dice.random() < 0.5:
                    self._enqueue(queue, one)
                confirmed.append(False)
                continue
            self._enqueue(queue, one)
            if dice.random() < self.double:
                self._enqueue(queue, one)
            confirmed.append(True)
        yield CONFIRM_SECONDS if False in confirmed else dice.uniform(0.0005, 0.02)
        return confirmed

    def take(self, queue: str, holder: Process) -> Message | None:
        """Any message that nobody holds: order is not promised."""
        free = [one for one in self._queues[queue] if one.holder is None]
        if not free or self.is_down:
            return None
        one = self._engine.dice.choice(free)
        one.holder = holder
        return one

    def ack(self, message: Message) -> None:
        """It may be forgotten."""
        if message in self._queues[message.queue]:
            self._queues[message.queue].remove(message)

    def release(self, message: Message) -> None:
        """Not now: back into the queue."""
        message.holder = None
        self._engine.open(self.gates[message.queue])

    def up(self) -> None:
        """The broker is back."""
        self.is_down = False
        for name in list(self.gates):
            self._engine.open(self.gates[name])

    @property
    def waiting(self) -> int:
        """Events that nobody has acknowledged, those on their way into a queue included."""
        return self._coming + sum(len(each) for name, each in self._queues.items() if name.startswith(EVENTS))

    def _enqueue(self, queue: str, one: tuple[UUID, tuple[object, ...]]) -> None:
        message = Message(queue, *one)

        is_event = queue.startswith(EVENTS)
        self._coming += is_event

        def arrive() -> None:
            self._coming -= is_event
            self._queues[queue].append(message)
            self._engine.open(self.gates[queue])

        self._engine.call_later(self._engine.dice.choice((0.0, 0.0, 0.001, 0.05, 4.0)), arrive)

    def _give_back(self, process: Process) -> None:
        for name, messages in self._queues.items():
            for one in messages:
                if one.holder is process:
                    one.holder = None
                    self._engine.open(self.gates[name])
