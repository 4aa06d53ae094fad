"""The processes of the house: relays, and workers that plan, claim, send, write and look at what is overdue.

They follow ``common.outbox.Relay``, ``notifier.service.dispatch``, ``.planning``, ``.overdue``, ``.clocks``
step by step, with an await point wherever those wait. Lanes are the house's own.
"""

import heapq
from collections.abc import Generator, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

from notifier.domain.channel import Answer
from notifier.domain.delivery import Outcome, State
from notifier.domain.schedule import Urgency
from notifier.repository.claims import Result
from tests.simulation.engine import Gate, Process, Steps, Task
from tests.simulation.store import Away, Event, Held, Queue

if TYPE_CHECKING:
    from tests.simulation.world import World

SCAN_SECONDS = 1.0
RELAY_SECONDS = 0.5
RESULT_ROWS = 200
BATCH = 200
NEAR_SECONDS = 60.0
LONGEST_SLEEP = 6 * 3600.0


class Sleeper:
    """A loop that looks at a table by time. While nothing is due it sleeps, and is woken by a change."""

    def __init__(self) -> None:
        self.task: Task | None = None
        self.is_idle = False

    def until(self, world: "World", due: float | None, period: float) -> Steps:
        """Sleep one period, or until something can be due."""
        wait = period
        if due is None or due > world.engine.seconds + period:
            wait = LONGEST_SLEEP if due is None else min(LONGEST_SLEEP, due - world.engine.seconds)
            wait += world.dice.uniform(0, period)
        self.is_idle = True
        yield wait
        self.is_idle = False

    def hurry(self, world: "World", at: float, period: float) -> None:
        """Something will be due at that second."""
        if self.is_idle and self.task is not None:
            world.engine.hurry(self.task, max(world.engine.seconds, at) + world.dice.uniform(0, period))


def relay(world: "World", process: Process, queue: Queue, sleeper: Sleeper, *, is_ledger: bool) -> Steps:
    """Claim, publish, use the doors for what was not confirmed, settle."""
    while True:
        due = min(
            (
                0.0 if one.claimed_until is None else world.second_of(one.claimed_until)
                for one in queue.outbox.values()
                if one.published_at is None
            ),
            default=None,
        )
        if due is None or due > world.engine.seconds:
            yield from sleeper.until(world, due, RELAY_SECONDS)
        yield world.latency()
        token = world.engine.new_id()
        try:
            world.reach(is_ledger=is_ledger)
            events = queue.claim_events(
                token, now=world.now(process), lease=world.rules.outbox_lease, limit=BATCH
            )
        except Away:
            yield RELAY_SECONDS
            continue
        if not events:
            continue
        if not world.rules.settle_after_confirm:
            queue.settle(token, [one.id for one in events], {}, now=world.now(process))
        confirmed: list[bool] = []
        for one in events:
            confirmed += yield from world.bus.publish(
                world.queue_of(one), [(one.id, (one.type, *one.payload))]
            )
        for index, one in enumerate(events):
            if not confirmed[index]:
                yield world.latency()
                confirmed[index] = world.through_door(one)
        yield world.latency()
        done = [one.id for one, ok in zip(events, confirmed, strict=True) if ok]
        failed = {
            one.id: world.rules.pause_after(one.tries)
            for one, ok in zip(events, confirmed, strict=True)
            if not ok
        }
        try:
            world.reach(is_ledger=is_ledger)
            queue.settle(token, done, failed, now=world.now(process))
        except Away:
            yield RELAY_SECONDS


class Worker:
    """A notifier worker: one process with everything that runs by itself."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.process = Process(name, self.boot)
        self._clear()

    def _clear(self) -> None:
        self.lanes: dict[UUID, Any] = {}
        self.in_hand: set[UUID] = set()
        self.results: list[tuple[Held, Result]] = []
        self.order = count()
        self.finished, self.hungry = Gate(), Gate()

    def boot(self) -> None:
        """Start the tasks."""
        self._clear()
        world, engine, name = self.world, self.world.engine, self.process.name
        for label, make in (("scan", self._scan), ("overdue", self._overdue), ("clocks", self._clocks)):
            sleeper = Sleeper()
            sleeper.task = engine.spawn(self.process, f"{name} {label}", make(sleeper))
            world.sleepers[name, label] = sleeper
        sleeper = Sleeper()
        sleeper.task = engine.spawn(
            self.process, f"{name} relay", relay(world, self.process, world.store, sleeper, is_ledger=True)
        )
        world.sleepers[name, "relay"] = sleeper
        engine.spawn(self.process, f"{name} claim", self._claim())
        engine.spawn(self.process, f"{name} write", self._write())
        engine.spawn(self.process, f"{name} events", world.consume("notifier", self.process, self._receive))
        for agency in world.agencies.values():
            engine.spawn(
                self.process,
                f"{name} lane",
                world.consume(f"dlv.lane.{agency.name}", self.process, self._woken),
            )

    # Lanes

    def lane(self, endpoint: UUID) -> Any:
        """The lane of an endpoint, with its real number of places."""
        if endpoint not in self.lanes:
            self.lanes[endpoint] = self.world.rules.lane(endpoint, self.world.places[endpoint])
        return self.lanes[endpoint]

    def has_room(self, endpoint: UUID, urgency: Urgency) -> bool:
        """Whether an attempt would start at once."""
        lane = self.lane(endpoint)
        return not lane.queue and bool(lane.has_place(urgency))

    def start(self, held: Iterable[Held]) -> None:
        """Send what a committed transaction claimed."""
        for one in held:
            self.in_hand.add(one.delivery_id)
            lane = self.lane(one.endpoint_id)
            heapq.heappush(lane.queue, (self.world.rules.rank(one.urgency), next(self.order), one))
            self._fill(lane)

    def wake(self, waiting: Mapping[UUID, Iterable[UUID]]) -> None:
        """Know of what waits."""
        for endpoint, ids in waiting.items():
            self.lane(endpoint).hints.update((one, 0) for one in ids if one not in self.in_hand)
        self.world.engine.open(self.hungry)

    def _fill(self, lane: Any) -> None:
        while lane.queue and lane.has_place(lane.queue[0][2].urgency):
            _, _, one = heapq.heappop(lane.queue)
            lane.running += 1
            lane.running_immediate += one.urgency is Urgency.IMMEDIATE
            self.world.oracle.on_place(one, lane)
            self.world.engine.spawn(self.process, f"{self.process.name} attempt", self._attempt(lane, one))

    # Loops

    def _scan(self, sleeper: Sleeper) -> Steps:
        world = self.world
        while True:
            yield from sleeper.until(world, world.earliest(self.process), SCAN_SECONDS)
            try:
                store = world.reach()
            except Away:
                yield SCAN_SECONDS
                continue
            full = [one.endpoint_id for one in self.lanes.values() if one.appetite() <= len(one.hints)]
            found = False
            for urgency in Urgency:
                due = store.find_sendable(urgency, now=world.now(self.process), without=full, limit=500)
                for delivery, endpoint in due:
                    if delivery not in self.in_hand:
                        self.lane(endpoint).hints[delivery] = world.rules.rank(urgency)
                        found = True
            if found:
                world.engine.open(self.hungry)
                yield SCAN_SECONDS

    def _claim(self) -> Steps:
        world = self.world
        while True:
            yield self.hungry
            wanted: list[UUID] = []
            for lane in self.lanes.values():
                room = min(lane.appetite(), 200 - len(wanted))
                for one in sorted(lane.hints, key=lane.hints.__getitem__)[: max(0, room)]:
                    del lane.hints[one]
                    if one not in self.in_hand:
                        wanted.append(one)
            if not wanted:
                continue
            yield world.latency()
            now = world.now(self.process)
            leases = {urgency: now + tier.lease for urgency, tier in world.rules.tiers.items()}
            try:
                held = world.reach().claim(wanted, world.engine.new_id(), now=now, leases=leases)
            except Away:
                yield RELAY_SECONDS
                continue
            yield world.latency()  # committed, and the process may die before it knows
            self.start(held)

    def _attempt(self, lane: Any, one: Held) -> Steps:
        world, began = self.world, self.world.engine.seconds
        answer = yield from self._send(one)
        lane.running -= 1
        lane.running_immediate -= one.urgency is Urgency.IMMEDIATE
        lane.learn(world.engine.seconds - began)
        self._fill(lane)
        if lane.hints:
            world.engine.open(self.hungry)
        result = world.rules.judge(one, answer, ended_at=world.now(self.process), chance=world.dice.random())
        if answer.retry_after is not None:
            world.oracle.asked_to_wait[one.delivery_id] = answer.retry_after
        world.oracle.on_result(one, answer, result)
        self.results.append((one, result))
        world.engine.open(self.finished)

    def _send(self, one: Held) -> Generator[float | Gate, None, Answer]:
        world = self.world
        tier = world.rules.tiers[one.urgency]
        left = one.leased_until - world.now(self.process)
        if one.url is None or (world.rules.lease_must_last and left < tier.timeout):
            return Answer(Outcome.UNSENDABLE)
        waited = world.now(self.process) - (one.leased_until - tier.lease)
        if world.rules.checks_endpoint and waited >= world.rules.look_again_after:
            yield world.latency()
            try:
                if not world.reach().is_held(one.delivery_id, one.token):
                    return Answer(Outcome.UNSENDABLE)
            except Away:
                return Answer(Outcome.NO_ANSWER)  # as an adapter's defect: one attempt, not the lane
        return (yield from world.network(self.process, one, tier.timeout.total_seconds()))

    def _write(self) -> Steps:
        world = self.world
        while True:
            yield self.finished
            while self.results:
                batch, self.results = self.results[:RESULT_ROWS], self.results[RESULT_ROWS:]
                yield world.latency()
                try:
                    transmitted = world.write_results([result for _, result in batch])
                except Away:
                    world.oracle.excuse_process(self.process)
                    self.results = batch + self.results
                    yield RELAY_SECONDS
                    continue
                for one, result in batch:
                    self.in_hand.discard(one.delivery_id)
                    world.oracle.in_hand[self.process.name].pop(one.delivery_id, None)
                    self._remember(one, result)
                yield world.latency()
                if not world.rules.events_with_facts:
                    world.report(transmitted)

    def _remember(self, one: Held, result: Result) -> None:
        if result.state is not State.WAITING or result.next_wakeup_at is None:
            return
        seconds = (result.next_wakeup_at - self.world.now(self.process)).total_seconds()
        if seconds <= NEAR_SECONDS:
            waiting = {one.endpoint_id: [one.delivery_id]}
            self.world.engine.spawn(
                self.process, f"{self.process.name} nap", self._nap(max(0.0, seconds) + 0.002, waiting)
            )

    def _nap(self, seconds: float, waiting: Mapping[UUID, list[UUID]]) -> Steps:
        yield seconds
        self.wake(waiting)

    def _overdue(self, sleeper: Sleeper) -> Steps:
        world = self.world
        while True:
            yield from sleeper.until(world, world.earliest(self.process), SCAN_SECONDS)
            try:
                world.look_at_overdue(self.process)
            except Away:
                yield SCAN_SECONDS

    def _clocks(self, sleeper: Sleeper) -> Steps:
        world = self.world
        while True:
            yield from sleeper.until(world, world.earliest_check(self.process), SCAN_SECONDS)
            yield world.latency()
            try:
                waiting = world.turn_clocks(self.process)
            except Away:
                yield SCAN_SECONDS
                continue
            self.wake(waiting)

    # What comes by the bus

    def _receive(self, event: UUID, payload: tuple[object, ...]) -> Steps:
        is_marked = not self.world.rules.inbox_with_effect
        if is_marked:
            if not self.world.reach().first_time("notifier", event):
                return
            yield self.world.latency()
        held, waiting = self.world.plan(event, payload, self, is_marked=is_marked)
        yield self.world.latency()  # committed, and the process may die before it sends
        self.start(held)
        self.wake(waiting)
        for endpoint, ids in waiting.items():
            self.world.engine.spawn(
                self.process, f"{self.process.name} announce", self._announce(endpoint, ids)
            )

    def _announce(self, endpoint: UUID, ids: list[UUID]) -> Steps:
        name = self.world.name_of(endpoint)
        yield from self.world.bus.publish(
            f"dlv.lane.{name}", [(self.world.engine.new_id(), (endpoint, tuple(ids)))]
        )

    def _woken(self, _event: UUID, payload: tuple[object, ...]) -> Steps:
        endpoint, ids = payload
        self.wake({endpoint: ids})  # type: ignore[dict-item]  # as it was put into the message
        yield 0.0


class Reporting:
    """Intake's relays, and casework's consumer."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.process = Process(name, self.boot)

    def boot(self) -> None:
        """Start the tasks."""
        world, name = self.world, self.process.name
        sleeper = Sleeper()
        sleeper.task = world.engine.spawn(
            self.process, f"{name} relay", relay(world, self.process, world.intake, sleeper, is_ledger=False)
        )
        world.sleepers[name, "relay"] = sleeper
        world.engine.spawn(
            self.process, f"{name} casework", world.consume("casework", self.process, self._receive)
        )

    def _receive(self, event: UUID, _payload: tuple[object, ...]) -> Steps:
        self.world.take_in_casework(event)
        yield 0.0


def event(world: "World", kind: str, *payload: object) -> Event:
    """A new outbox row."""
    return Event(world.engine.new_id(), kind, payload, world.engine.now)
