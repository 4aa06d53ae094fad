"""One seed is one story: a house, agencies, alerts, and what goes wrong while they come in."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

from notifier.domain.channel import Answer
from notifier.domain.delivery import Outcome, Reason, State
from notifier.domain.planning import Freight
from notifier.domain.receipt import FACT, Receipt, ReceiptStatus
from notifier.domain.schedule import Urgency
from notifier.repository.claims import Result
from tests.simulation.bus import ModelBus
from tests.simulation.decisions import Decisions
from tests.simulation.engine import EPOCH, Engine, Gate, Process, Steps
from tests.simulation.oracle import Oracle
from tests.simulation.store import Attempt, Away, Event, Held, Queue, Row, Store, Violation
from tests.simulation.workers import RELAY_SECONDS, SCAN_SECONDS, Reporting, Sleeper, Worker, event

CHAOS_SECONDS = 150.0
PATIENCE_SECONDS = 4 * 86400.0
CALM_ALERT_AFTER = 90.0
CALM_SECONDS = 10.0
BEHAVIOURS = (
    "honest", "honest", "slow", "flaky", "resetting", "lying", "throttling", "redirecting", "refusing",
    "gone", "hanging", "rejecting",
)  # fmt: skip


Effect = Callable[[UUID, tuple[object, ...]], Steps]
"""What a consumer does with an event's id and payload."""


@dataclass(eq=False)
class Agency:
    """A body with one endpoint at a time."""

    id: UUID
    name: str
    endpoint: UUID
    behaviour: str
    concurrency: int


@dataclass(slots=True)
class Duty:
    """An obligation's clock, and perhaps a notice that leaves later."""

    id: UUID
    alert: UUID
    agency: UUID
    due: datetime
    breach: datetime
    dispatch: datetime | None
    check: datetime | None = None
    alarmed_at: datetime | None = None
    breached_at: datetime | None = None


class World:
    """Builds a story out of a seed, plays it, and lets the oracle look on.

    Args:
        seed: decides everything.
        rules: decisions; the house's own unless a bug is planted.
        store: the model store's class; a bug may bring its own.
        crash_at: end this process at that of its steps, and nothing else at random.
    """

    def __init__(
        self,
        seed: int,
        rules: Decisions | None = None,
        store: type[Store] = Store,
        *,
        crash_at: tuple[str, int] | None = None,
    ) -> None:
        self.seed = seed
        self.rules = rules or Decisions()
        self.engine = Engine(seed)
        self.dice = self.engine.dice
        self.store = store(self.rules)
        self.intake, self.casework = Queue(), Queue()
        self.bus = ModelBus(self.engine)
        self.oracle = Oracle(self.engine, self.store, Decisions().tiers)
        self.oracle.listeners.append(self._on_change)
        self.sleepers: dict[tuple[str, str], Sleeper] = {}
        self.agencies: dict[UUID, Agency] = {}
        self.places: dict[UUID, int] = {}
        self.owner: dict[UUID, Agency] = {}
        self.duties: dict[UUID, Duty] = {}
        self.skew: dict[str, timedelta] = {}
        self.is_away = False
        self.is_calm = False
        self.calm_alert: UUID | None = None
        self.is_broken = crash_at is None
        self.engine.crash_at = crash_at
        self.workers = [Worker(self, f"worker-{n}") for n in (1, 2)]
        self.others = [Reporting(self, f"intake-{n}") for n in (1, 2)]
        self._plot()

    # The story

    def _plot(self) -> None:
        dice, later = self.dice, self.engine.call_later
        for n in range(dice.randint(3, 5)):
            agency = Agency(
                self.engine.new_id(),
                f"a{n}",
                self.engine.new_id(),
                dice.choice(BEHAVIOURS),
                dice.choice((1, 2, 4)),
            )
            self.agencies[agency.id] = agency
            self._open_endpoint(agency)
        if self.is_broken:
            self.engine.crash_chance = dice.choice((0.0, 0.001, 0.004))
            self.bus.drop, self.bus.double = dice.choice((0.0, 0.4)), dice.choice((0.0, 0.3))
            self.bus.unconfirmed = dice.choice((0.0, 0.2))
            self._windows()
            if dice.random() < 0.3:
                self.skew[dice.choice(self.workers).process.name] = timedelta(hours=dice.choice((-1, 1)))
        for _ in range(dice.randint(3, 6)):
            later(dice.uniform(0, CHAOS_SECONDS * 0.7), self._report)
        if self.is_broken and dice.random() < 0.5:
            later(dice.uniform(5, CHAOS_SECONDS), self._revoke)
        for _ in range(dice.choice((0, 0, 1, 3))):
            later(dice.uniform(1, CHAOS_SECONDS), self._withdraw)
        later(CHAOS_SECONDS, self._calm_down)
        later(CHAOS_SECONDS + CALM_ALERT_AFTER, self._report)
        for process in self.processes:
            self.engine.start(process)

    def _windows(self) -> None:
        dice, later = self.dice, self.engine.call_later
        if dice.random() < 0.5:
            begin = dice.uniform(0, CHAOS_SECONDS * 0.6)
            later(begin, lambda: setattr(self.bus, "is_down", True))
            later(begin + dice.uniform(1, 60), self.bus.up)
        if dice.random() < 0.4:
            begin = dice.uniform(0, CHAOS_SECONDS * 0.8)
            later(begin, self._go_away)
            later(begin + dice.choice((1, 20, 45, 100)), lambda: setattr(self, "is_away", False))
        if dice.random() < 0.5:
            worker = dice.choice(self.workers)
            later(
                dice.uniform(0, CHAOS_SECONDS * 0.8),
                lambda: self._stall(worker, dice.choice((5.0, 35.0, 100.0))),
            )

    def _go_away(self) -> None:
        self.is_away = True
        self.oracle.excuse_all()

    def _stall(self, worker: Worker, seconds: float) -> None:
        """SIGSTOP, then SIGCONT; at a bad moment, if one comes."""
        if not self.oracle.in_hand[worker.process.name] and self.engine.seconds < CHAOS_SECONDS * 0.8:
            self.engine.call_later(0.05, lambda: self._stall(worker, seconds))
            return
        self.oracle.excuse_process(worker.process)
        worker.process.stalled_until = min(self.engine.seconds + seconds, CHAOS_SECONDS)

    def _calm_down(self) -> None:
        self.is_calm, self.is_away = True, False
        self.engine.crash_chance = self.bus.drop = self.bus.double = self.bus.unconfirmed = 0.0
        self.bus.up()

    def _report(self) -> None:
        """Intake accepts an alert: the row and its event commit together."""
        dice, alert = self.dice, self.engine.new_id()
        chosen = dice.sample(list(self.agencies.values()), dice.randint(1, min(3, len(self.agencies))))
        freight: list[tuple[UUID, float]] = []
        for agency in chosen:
            wants = [dice.choice((60.0, 900.0, 3600.0, 30000.0, 400000.0)) for _ in range(dice.randint(1, 2))]
            freight += [(agency.id, seconds) for seconds in wants]
            self.oracle.promised.setdefault(alert, {})[agency.id] = [_urgency(min(wants))]
        if self.is_calm:
            self.calm_alert = alert
        self._publish(self.intake, event(self, "alert.received", alert, tuple(freight)))

    def _withdraw(self) -> None:
        alerts = list(self.oracle.promised)
        tried = [one.alert for one in self.store.rows.values() if one.state is State.WAITING and one.attempt]
        if alerts:
            alert = self.dice.choice(tried or alerts)
            self.oracle.withdrawn.add(alert)
            self._publish(self.intake, event(self, "alert.withdrawn", alert))

    def _revoke(self) -> None:
        """A key leaked: the old endpoint must hear nothing more, the new one takes what waits."""
        agency = self.dice.choice(list(self.agencies.values()))
        old, agency.endpoint = agency.endpoint, self.engine.new_id()
        self._open_endpoint(agency)
        self.store.revoked.add(old)
        for row in self.store.rows.values():
            if row.endpoint == old and row.state is State.LEASED:
                self.oracle.excused[row.id].add(row.attempt)
        self.store.take_from_endpoint(old, to=agency.endpoint, now=self.engine.now)
        self.oracle.revoked_at[old] = self.engine.seconds

    def _open_endpoint(self, agency: Agency) -> None:
        self.places[agency.endpoint] = agency.concurrency
        self.owner[agency.endpoint] = agency

    @property
    def processes(self) -> list[Process]:
        """Everything that can be ended."""
        return [each.process for each in self.workers] + [each.process for each in self.others]

    # What actors ask

    def now(self, process: Process) -> datetime:
        """The present as this process sees it."""
        skew = timedelta(0) if self.rules.clock_of_database else self.skew.get(process.name, timedelta(0))
        return self.engine.now + skew

    def second_of(self, moment: datetime) -> float:
        """Seconds since the beginning."""
        return (moment - EPOCH).total_seconds()

    def latency(self) -> float:
        """Of a database."""
        return self.dice.choice((0.0004, 0.001, 0.003))

    def reach(self, *, is_ledger: bool = True) -> Store:
        """Notifier's database, if it can be reached."""
        if self.is_away and is_ledger:
            raise Away
        return self.store

    def name_of(self, endpoint: UUID) -> str:
        """Whose lane."""
        return self.owner[endpoint].name

    def queue_of(self, one: Event) -> str:
        """Which service reads it."""
        return "ev.notifier" if one.type.startswith("alert.") else "ev.casework"

    def earliest(self, process: Process) -> float | None:
        """When this process thinks that the next row is due."""
        wakeups = [row.wakeup for row in self.store.rows.values() if row.wakeup is not None]
        if not wakeups:
            return None
        return self.engine.seconds + (min(wakeups) - self.now(process)).total_seconds()

    def earliest_check(self, process: Process) -> float | None:
        """The same for clocks."""
        checks = [duty.check for duty in self.duties.values() if duty.check is not None]
        if not checks:
            return None
        return self.engine.seconds + (min(checks) - self.now(process)).total_seconds()

    def _on_change(self, row: Row) -> None:
        self.oracle.urgency(row)
        if row.wakeup is not None:
            at = self.second_of(row.wakeup)
            for (_, loop), sleeper in self.sleepers.items():
                if loop in ("scan", "overdue"):
                    sleeper.hurry(self, at, SCAN_SECONDS)

    def _publish(self, queue: Queue, one: Event) -> None:
        queue.add(one)
        relays = self.others if queue is self.intake else self.workers
        for each in relays:
            if sleeper := self.sleepers.get((each.process.name, "relay")):
                sleeper.hurry(self, self.engine.seconds, RELAY_SECONDS)

    # Consumers and doors

    def consume(
        self, name: str, process: Process, effect: Callable[[UUID, tuple[object, ...]], Steps]
    ) -> Steps:
        """Take, let it take effect, acknowledge."""
        queue = name if name.startswith("dlv.") else f"ev.{name}"
        while True:
            message = self.bus.take(queue, process)
            if message is None:
                yield self.bus.gates[queue]
                continue
            yield self.latency()
            try:
                yield from effect(message.id, message.payload)
            except Away:
                yield RELAY_SECONDS
                self.bus.release(message)
                continue
            yield self.latency()
            self.bus.ack(message)

    def through_door(self, one: Event) -> bool:
        """The consumer's internal door: takes effect, and may lose its answer."""
        if self.dice.random() < 0.2 and not self.is_calm:
            return False
        try:
            if self.queue_of(one) == "ev.casework":
                self.take_in_casework(one.id)
            else:
                self.plan(one.id, (one.type, *one.payload), None)
        except Away:
            return False
        return self.is_calm or self.dice.random() < 0.8

    def take_in_casework(self, event_id: UUID) -> None:
        """A consumer with an inbox."""
        if self.rules.inbox_before_effect and not self.casework.first_time("casework", event_id):
            return
        if self.rules.effect_in_casework(event_id):
            self.oracle.effects["casework", event_id] += 1

    def plan(
        self, event_id: UUID, payload: tuple[object, ...], worker: Worker | None, *, is_marked: bool = False
    ) -> tuple[list[Held], dict[UUID, list[UUID]]]:
        """One event in notifier, in one transaction: what was claimed, and what waits."""
        store = self.reach()
        kind, alert = payload[0], payload[1]
        if self.rules.inbox_before_effect and not is_marked and not store.first_time("notifier", event_id):
            return [], {}
        self.oracle.effects["notifier", event_id] += 1
        assert isinstance(alert, UUID)
        if kind == "alert.withdrawn":
            for row in [one for one in store.rows.values() if self.rules.is_same_alert(one.alert, alert)]:
                store.cancel(row.id)
            return [], {}
        now = self.engine.now
        freight = []
        for agency, seconds in payload[2]:  # type: ignore[attr-defined]  # pairs, as intake wrote them
            due = now + timedelta(seconds=seconds)
            urgency = self.rules.urgency_of(timedelta(seconds=seconds))
            freight.append(
                Freight(
                    obligation_id=self.engine.new_id(),
                    role="body",
                    agency=agency,
                    urgency=urgency,
                    due_at=due,
                )
            )
            dispatch = None
            if seconds == 30000.0 and self.dice.random() < 0.5:
                dispatch = now + timedelta(seconds=self.dice.uniform(20, 120))
                self.oracle.promised[alert][agency].append("urgent")
            duty = Duty(
                self.engine.new_id(),
                alert,
                agency,
                due,
                due + timedelta(seconds=self.dice.choice((5, 500))),
                dispatch,
            )
            self.duties[duty.id] = duty
            self._set_check(duty)
        return self._load(alert, freight, worker, now)

    def _load(
        self, alert: UUID, freight: Sequence[Freight], worker: Worker | None, now: datetime
    ) -> tuple[list[Held], dict[UUID, list[UUID]]]:
        store = self.store
        rows: list[Row] = []
        attempts: list[Attempt] = []
        held: list[Held] = []
        waiting: dict[UUID, list[UUID]] = {}
        token = self.engine.new_id()
        for each in self.rules.load(freight, store.last_numbers(alert), self.engine.new_id):
            assert each.agency is not None
            endpoint = self.agencies[each.agency].endpoint
            digest = f"{alert.hex[:8]}/{each.agency.hex[:8]}/{each.number}/{len(each.obligations)}"
            row = Row(
                each.id, alert, each.agency, each.number, each.urgency, each.deadline, now, State.WAITING,
                Reason.NEW, now, digest=digest, endpoint=endpoint,
            )  # fmt: skip
            rows.append(row)
            if worker is not None and worker.has_room(endpoint, each.urgency):
                until = now + self.rules.tiers[each.urgency].lease
                row.state, row.reason, row.token, row.attempt, row.wakeup = (
                    State.LEASED,
                    None,
                    token,
                    1,
                    until,
                )
                if self.rules.attempt_row_first:
                    attempts.append(Attempt(row.id, 1, token, endpoint, now))
                held.append(
                    Held(row.id, token, 1, endpoint, row.urgency, row.deadline, until, digest, str(endpoint))
                )
            else:
                waiting.setdefault(endpoint, []).append(row.id)
        store.add_deliveries(rows, attempts)
        return held, waiting

    # Time

    def look_at_overdue(self, process: Process) -> None:
        """One pass of the overdue scan."""
        store = self.reach()
        now = self.now(process)
        for row in store.lock_overdue(now=now, limit=200):
            if row.state is State.LEASED:
                store.reap(row, now=now)
            else:
                store.raise_alarm(row, now=now)

    def turn_clocks(self, process: Process) -> dict[UUID, list[UUID]]:
        """Notices that leave by themselves, alarms, breaches; each at its second."""
        store, now = self.reach(), self.now(process)
        waiting: dict[UUID, list[UUID]] = {}
        for duty in self.duties.values():
            if duty.check is None or duty.check > now:
                continue
            if duty.dispatch is not None and duty.dispatch <= now:
                duty.dispatch = None
                one = Freight(
                    obligation_id=duty.id,
                    role="body",
                    agency=duty.agency,
                    urgency=Urgency.URGENT,
                    due_at=duty.due,
                )
                _, later = self._load(duty.alert, [one], None, now)
                waiting |= later
            if duty.alarmed_at is None and duty.due <= now:
                duty.alarmed_at = now
            if duty.breached_at is None and duty.breach <= now:
                duty.breached_at = duty.breach
            self._set_check(duty)
        assert store is self.store
        return waiting

    def _set_check(self, duty: Duty) -> None:
        duty.check = self.rules.next_check(
            state="open",
            dispatch=duty.dispatch,
            due_at=duty.due,
            breach_at=duty.breach,
            alarmed=duty.alarmed_at is not None,
            breached=duty.breached_at is not None,
        )
        if duty.check is not None:
            for (_, loop), sleeper in self.sleepers.items():
                if loop == "clocks":
                    sleeper.hurry(self, self.second_of(duty.check), SCAN_SECONDS)

    def write_results(self, results: list[Result]) -> list[UUID]:
        """Results, and the events about them, in one transaction."""
        store = self.reach()
        before = {one.delivery_id: replace(store.rows[one.delivery_id]) for one in results}
        transmitted, _ = store.write_results(results)
        self.oracle.on_results_written(before, results)
        if self.rules.events_with_facts:
            self.report(transmitted)
        return transmitted

    def report(self, transmitted: Sequence[UUID]) -> None:
        """Tell casework."""
        for delivery in transmitted:
            self._publish(self.store, event(self, "delivery.transmitted", delivery))

    # Agencies

    def network(
        self, process: Process, held: Held, timeout: float
    ) -> "Generator[float | Gate, None, Answer]":
        """One attempt on the wire, from the first byte to what the worker learns."""
        oracle, dice = self.oracle, self.dice
        oracle.on_send(process, held)
        agency = self.owner[held.endpoint_id]
        yield dice.uniform(0.0005, 0.02)
        fate = dice.random()
        if not self.is_calm and fate < 0.05:
            return Answer(Outcome.UNREACHABLE)
        if not self.is_calm and fate < 0.1:
            yield timeout
            return Answer(Outcome.NO_ANSWER)  # the request was lost on its way
        stored, answer, seconds = self._behave(agency, held)
        if not self.is_calm and fate > 0.93:
            seconds = timeout + 1  # the answer is lost on its way
        if seconds > timeout or answer is None:
            oracle.excuse(held)
        oracle.on_take(agency.id, held, stored=stored)
        if stored:
            self._think_of_receipts(agency, held)
        if answer is None:
            yield min(seconds, timeout)
            return Answer(Outcome.NO_ANSWER)
        yield min(seconds, timeout)
        return Answer(Outcome.NO_ANSWER) if seconds > timeout else answer

    def _behave(self, agency: Agency, held: Held) -> tuple[bool, Answer | None, float]:
        """Whether it has the notice now, what it answers (``None`` is a reset) and after how long."""
        dice, kind = self.dice, agency.behaviour
        ok = Answer(Outcome.ACCEPTED, 200)
        if kind == "gone":
            return False, Answer(Outcome.GONE, 410), 0.01
        wish = timedelta(seconds=dice.choice((1, 10, 600, 21600, 2_000_000)))
        moods: dict[str, tuple[float, tuple[bool, Answer | None, float]]] = {
            "slow": (1.0, (True, ok, dice.uniform(1, 25))),
            "hanging": (1.0, (dice.random() < 0.5, None, 1000.0)),
            "resetting": (0.7, (True, None, 0.01)),
            "throttling": (0.8, (False, Answer(Outcome.THROTTLED, 429, wish), 0.01)),
            "redirecting": (0.7, (False, Answer(Outcome.REDIRECTED, 302), 0.01)),
            "refusing": (0.8, (False, Answer(Outcome.REFUSED, 404), 0.01)),
            "flaky": (0.6, (False, Answer(Outcome.FAILED, 500), 0.01)),
        }
        chance, mood = moods.get(kind, (0.0, (True, ok, 0.0)))
        if not self.is_calm and dice.random() < chance:
            return mood
        return True, ok, dice.uniform(0.001, 0.05)

    def _think_of_receipts(self, agency: Agency, held: Held) -> None:
        later, dice = self.engine.call_later, self.dice
        if agency.behaviour == "lying":
            if dice.random() < 0.3:  # a receipt for another agency's delivery, or over another digest
                others = [row for row in self.store.rows.values() if row.agency != agency.id]
                if others:
                    foreign = dice.choice(others)
                    later(0.5, lambda: self._lie(agency, foreign.id, foreign.digest))
                later(0.6, lambda: self._lie(agency, held.delivery_id, "forged"))
                moment = self.engine.now + timedelta(days=1)
                later(0.7, lambda: self._lie(agency, held.delivery_id, held.digest, at=moment))
            return
        status = "rejected" if agency.behaviour == "rejecting" else "received"
        wait = dice.choice((0.0, 0.0004, 0.5, 8.0))
        tries = count()

        def answer() -> None:
            self.oracle.genuine[held.delivery_id].add((agency.id, status))
            given = self._post(agency, held.delivery_id, held.digest, status)
            if given in ("not possible", "differs") and self.store.rows[held.delivery_id].acknowledged_at:
                raise Violation("I3: the same receipt again was refused")
            if given is None and next(tries) < 500:
                later(3.0, answer)

        later(wait, answer)
        if dice.random() < 0.3:
            later(wait + 1.0, answer)

    def _lie(self, agency: Agency, delivery: UUID, digest: str, *, at: datetime | None = None) -> None:
        self._post(agency, delivery, digest, "received", at=at)

    def _post(
        self, agency: Agency, delivery: UUID, digest: str, status: str, *, at: datetime | None = None
    ) -> str | None:
        """A receipt at the door (``service.receipts``); ``None`` when no answer came."""
        if self.is_away or (not self.is_calm and self.dice.random() < 0.1):
            return None
        store, rules, now = self.store, self.rules, self.engine.now
        row = store.rows[delivery]
        if not rules.is_same_agency(row.agency, agency.id):
            return "foreign"
        receipt = Receipt(delivery, digest, ReceiptStatus(status), at or now, "", "")
        flaw = rules.find_flaw(
            receipt, delivery_id=row.id, notice_digest=row.digest, planned_at=row.planned_at, now=now
        )
        if flaw is not None:
            return str(flaw.value)
        stored = store.receipts.get(delivery)
        if stored is not None and rules.repeats_stored_receipt:
            return "repeated" if stored[0] == status else "differs"
        state = rules.step(row.state, FACT[receipt.status])
        if state is None:
            return "not possible"
        if not store.add_receipt(delivery, status, agency.id) and rules.repeats_stored_receipt:
            raise Violation("I3: two receipts for one delivery")
        first = row.transmitted_at is None
        if store.answer(delivery, FACT[receipt.status], state, at=now) and first:
            self._publish(store, event(self, "delivery.transmitted", delivery))
        return None if not self.is_calm and self.dice.random() < 0.1 else "recorded"

    # The end

    def play(self) -> str:
        """Chaos, calm, quiescence, verdict; returns the hash of everything that happened."""
        self.engine.run(CHAOS_SECONDS + CALM_ALERT_AFTER + CALM_SECONDS)
        self._check_calm_alert()
        looks = count()
        self.engine.run(PATIENCE_SECONDS, done=lambda: next(looks) % 64 == 0 and not self.unsettled())
        left = self.unsettled()
        if left:
            raise Violation(f"I1: not at rest after four days: {left[0]}")
        sent = [*self.intake.outbox.values(), *self.store.outbox.values()]
        self.oracle.conservation({(self.queue_of(one).removeprefix("ev."), one.id) for one in sent})
        self._check_clocks()
        return self.engine.hash

    def unsettled(self) -> list[str]:
        """What still has to come to rest."""
        if self.bus.waiting or any(one.published_at is None for one in self.intake.outbox.values()):
            return ["an event in the broker or in intake's outbox"]
        if any(one.published_at is None for one in self.store.outbox.values()):
            return ["an event in notifier's outbox"]
        if any(duty.dispatch is not None for duty in self.duties.values()):
            return ["a notice that leaves later"]
        left = []
        for row in self.store.rows.values():
            final = row.state in (State.ACKNOWLEDGED, State.REJECTED, State.CANCELLED, State.DEAD)
            behaviour = self.agencies[row.agency].behaviour
            silent = behaviour == "lying" and row.state is State.TRANSMITTED
            if not (final or silent):
                left.append(f"{row.state} {row.urgency} of a {behaviour} agency, attempt {row.attempt}")
        return left

    def _check_calm_alert(self) -> None:
        """When nothing is wrong, an immediate notice is at an agency within seconds."""
        for row in self.store.rows.values():
            agency = self.agencies[row.agency]
            if (
                row.alert != self.calm_alert
                or row.number != 1
                or agency.concurrency < 4
                or agency.behaviour == "gone"
            ):
                continue
            if row.urgency is Urgency.IMMEDIATE and row.transmitted_at is None:
                raise Violation(f"an immediate notice was not sent within {CALM_SECONDS} s of a calm moment")

    def _check_clocks(self) -> None:
        """Alarms and breaches at their second (F29), as far as the clocks have come."""
        for duty in self.duties.values():
            now, slack = self.engine.now, timedelta(seconds=3)
            quiet = EPOCH + timedelta(seconds=CHAOS_SECONDS + 45)
            if duty.due + slack < now and duty.alarmed_at is None:
                raise Violation("clock: no alarm at the due time")
            if duty.breach + slack < now and duty.breached_at is None:
                raise Violation("clock: a breach was not recorded")
            if duty.alarmed_at is not None and duty.due > quiet and duty.alarmed_at > duty.due + slack:
                raise Violation(f"clock: the alarm came {duty.alarmed_at - duty.due} late")
            if duty.breached_at is not None and duty.breached_at != duty.breach:
                raise Violation("clock: a breach at another second")


def _urgency(seconds: float) -> str:
    if seconds <= 3600:
        return "immediate"
    return "urgent" if seconds <= 86400 else "routine"


def play(
    seed: int,
    rules: Mapping[str, object] | None = None,
    store: type[Store] = Store,
    *,
    crash_at: tuple[str, int] | None = None,
) -> World:
    """Play one seed.

    Raises:
        Violation: with the seed beside it.
    """
    world = World(seed, replace(Decisions(), **rules) if rules else None, store, crash_at=crash_at)  # type: ignore[arg-type]  # names of rules
    world.play()
    return world
