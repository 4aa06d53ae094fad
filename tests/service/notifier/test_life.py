"""The life of deliveries as a state machine: anything in any order, and the invariants hold after each step.

A model knows what must be true; the store is real (SQLite here, PostgreSQL with ``--db both``). What is lost
or doubled are wake-ups: they exist only as calls here, so losing one is not making it, and every claim below
may name ids that are not due, are held by another worker or were never planned.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from common.identity import Principal
from common.ids import new_id
from common.keys import KeyRing
from common.testing import FrozenNow
from notifier.domain.channel import Answer
from notifier.domain.delivery import FINAL, Outcome, Reason, State
from notifier.domain.receipt import Receipt, ReceiptStatus
from notifier.domain.schedule import Urgency
from notifier.errors import NoWayToSend, ReceiptNotPossible, RedriveNotPossible
from notifier.models import attempts, audit, deliveries, notices, receipts
from notifier.repository import claims
from notifier.repository import deliveries as delivery_rows
from notifier.repository.claims import Claimed
from notifier.service import endpoints, redrives, results
from notifier.service.overdue import look_at_overdue, reap_leases
from notifier.service.receipts import find_addressed, record_receipt
from notifier.service.results import judge, write_results
from tests.factories.notifier import T0, Ledger

POLICE = "internal_affairs"
OPERATORS = (
    Principal("operator-1", "operator", person="operator-1"),
    Principal("operator-2", "operator", person="operator-2"),
)
LEASE = timedelta(seconds=30)
OUTCOMES = (
    Outcome.ACCEPTED, Outcome.FAILED, Outcome.NO_ANSWER, Outcome.GONE, Outcome.UNREACHABLE, Outcome.THROTTLED,
)  # fmt: skip


class Life(RuleBasedStateMachine):
    """Plans, claims, answers, crashes, pauses, redrives and receipts of one agency's deliveries."""

    open_ledger: Callable[[FrozenNow], Ledger]
    run: Callable[[Any], Any]

    flights = Bundle("flights")

    def __init__(self) -> None:
        super().__init__()
        self.now = FrozenNow(T0)
        self.ledger = type(self).open_ledger(self.now)
        self.endpoint = self.do(self.connected())
        # Per delivery: generations begun by people, attempts claimed, and what can never be undone.
        # In their sequence: ids are random, and a story that is told again must be the same.
        self.planned: list[UUID] = []
        results._CHANCE.seed(0)
        self.claims: dict[UUID, int] = {}
        self.redriven: dict[UUID, int] = {}
        self.through: set[UUID] = set()
        self.ended: dict[UUID, str] = {}
        self.bodies: dict[UUID, bytes] = {}
        self.paused = False

    def do(self, work: Any) -> Any:
        return type(self).run(work)

    def teardown(self) -> None:
        self.do(self.ledger.db.close())

    async def connected(self) -> UUID:
        await self.ledger.register(POLICE)
        await self.ledger.register("education_org")
        return await self.ledger.connect(POLICE, "http://127.0.0.1:9/hook")

    async def rows(self, table: Any, *where: Any) -> list[Any]:
        async with self.ledger.db.reading() as session:
            return list((await session.execute(select(table).where(*where))).all())

    async def mine(self) -> list[Any]:
        return await self.rows(deliveries, deliveries.c.role == POLICE)

    # What happens

    @initialize()
    def begin(self) -> None:
        self.plan()
        self.plan()

    @precondition(lambda self: len(self.planned) < 4)
    @rule()
    def plan(self) -> None:
        async def work() -> None:
            number = f"7K4M-{len(self.planned):04d}-9"
            await self.ledger.take(self.ledger.alert(number=number, received_at=self.now()))
            for row in await self.mine():
                if row.id not in self.planned:
                    [notice] = await self.rows(notices, notices.c.delivery_id == row.id)
                    self.bodies[row.id] = notice.body
                    self.planned.append(row.id)

        self.do(work())

    @rule(target=flights)
    def claim_once(self) -> Any:
        """A wake-up as it should be; the same again below, so that claims are as frequent as they are."""
        return self.claim(doubled=False, stray=False)

    @rule(target=flights, doubled=st.booleans(), stray=st.booleans())
    def claim(self, doubled: bool, stray: bool) -> Any:
        """A wake-up: of everything, doubled, with ids that nobody planned."""

        async def work() -> list[Claimed]:
            ids = [*self.planned, *([new_id()] if stray else [])]
            leases = {urgency: self.now() + LEASE for urgency in Urgency}
            found: list[Claimed] = []
            for _ in range(2 if doubled else 1):
                async with self.ledger.db.transaction() as session:
                    found += await claims.claim(session, ids, new_id(), now=self.now(), leases=leases)
            return found

        claimed = self.do(work())
        for one in claimed:
            self.claims[one.delivery_id] = self.claims.get(one.delivery_id, 0) + 1
            assert one.delivery_id not in self.ended, "what ended is not sent again"
            assert one.body == self.bodies[one.delivery_id], "the same bytes, always"
            assert (one.url is None) == self.paused, "nothing goes to a paused endpoint"
        return multiple(*sorted(claimed, key=lambda one: (self.planned.index(one.delivery_id), one.attempt)))

    @rule(flight=consumes(flights), outcome=st.sampled_from(OUTCOMES))
    def finish(self, flight: Claimed, outcome: Outcome) -> None:
        """In time or long after the lease was lost; a worker that died never comes here."""
        if flight.url is None:
            outcome = Outcome.UNSENDABLE

        async def work() -> None:
            result = judge(self.ledger.desk, flight, Answer(outcome, 200), ended_at=self.now())
            async with self.ledger.db.transaction() as session:
                await write_results(session, self.ledger.desk, [result], now=self.now())

        self.do(work())
        if outcome is Outcome.ACCEPTED:
            self.through.add(flight.delivery_id)

    @rule(target=flights)
    def lose_the_lease_and_claim_again(self) -> Any:
        """A worker stalls; another takes over. What the first one brings back comes later, or never."""
        self.time_passes(31)
        return self.claim(doubled=False, stray=False)

    @rule(seconds=st.sampled_from((1, 5, 31, 600, 7200)))
    def time_passes(self, seconds: int) -> None:
        self.now.move(timedelta(seconds=seconds))

        async def work() -> None:
            async with self.ledger.db.transaction() as session:
                await reap_leases(session, self.ledger.desk, now=self.now())
                await look_at_overdue(session, self.ledger.desk, now=self.now())

        self.do(work())

    @rule()
    def pause_or_resume(self) -> None:
        turn = endpoints.resume if self.paused else endpoints.pause

        async def work() -> None:
            async with self.ledger.db.transaction() as session:
                await turn(session, self.ledger.desk, OPERATORS[0], self.endpoint, now=self.now())

        self.do(work())
        self.paused = not self.paused

    @rule(data=st.data(), people=st.integers(min_value=1, max_value=3))
    def redrive(self, data: st.DataObject, people: int) -> None:
        """So many people who all saw the same generation."""
        chosen = data.draw(st.sampled_from(tuple(self.planned)))

        async def work() -> int:
            [row] = await self.rows(deliveries, deliveries.c.id == chosen)
            begun = 0
            for number in range(people):
                try:
                    async with self.ledger.db.transaction() as session:
                        found = await redrives.redrive(
                            session, self.ledger.desk, OPERATORS[number % 2], chosen,
                            seen=row.generation, now=self.now(),
                        )  # fmt: skip
                    begun += found.is_new
                except (RedriveNotPossible, NoWayToSend):
                    continue
            return begun

        begun = self.do(work())
        assert begun <= 1, "one generation wins"
        self.redriven[chosen] = self.redriven.get(chosen, 0) + begun

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(tuple(self.planned)))

        async def work() -> bool:
            [row] = await self.rows(deliveries, deliveries.c.id == chosen)
            async with self.ledger.db.transaction() as session:
                cancelled = await delivery_rows.cancel(session, chosen)
            assert not cancelled or row.state == State.WAITING
            return bool(cancelled)

        if self.do(work()):
            self.ended[chosen] = State.CANCELLED

    @rule(data=st.data(), status=st.sampled_from(ReceiptStatus))
    def receipt(self, data: st.DataObject, status: ReceiptStatus) -> None:
        chosen = data.draw(st.sampled_from(tuple(self.planned)))
        caller = Principal("police-1", "agency", self.ledger.agencies[POLICE], (POLICE,), "KZ-75")

        async def work() -> bool:
            [row] = await self.rows(deliveries, deliveries.c.id == chosen)
            [notice] = await self.rows(notices, notices.c.delivery_id == chosen)
            answer = Receipt(chosen, notice.digest, status, self.now(), "A", "B")
            try:
                async with self.ledger.db.transaction() as session:
                    addressed = await find_addressed(session, caller, chosen, now=self.now())
                    recorded = await record_receipt(
                        session, self.ledger.desk, caller, addressed, answer, is_signed=False, now=self.now()
                    )
            except ReceiptNotPossible:
                assert row.state == State.CANCELLED, "only what was cancelled takes no answer"
                return False
            return recorded.is_new

        if chosen in self.ended and self.ended[chosen] != State.CANCELLED:
            return  # a second answer is another test's
        if self.do(work()):
            rejected = status is ReceiptStatus.REJECTED
            self.ended[chosen] = State.REJECTED if rejected else State.ACKNOWLEDGED
            self.through.add(chosen)

    # What holds

    @invariant()
    def nothing_is_forgotten_lost_or_undone(self) -> None:
        async def work() -> None:
            found = {row.id: row for row in await self.mine()}
            assert set(found) == set(self.planned)
            tries = await self.rows(attempts)
            answers = {row.delivery_id: row for row in await self.rows(receipts)}
            acts = [(row.action, row.subject_id) for row in await self.rows(audit)]
            for id_, row in found.items():
                # I1: final, or it wakes up.
                assert State(row.state) in FINAL or row.next_wakeup_at is not None
                # I3: answered means a receipt, and a receipt means answered.
                answered = row.state in (State.ACKNOWLEDGED, State.REJECTED)
                assert answered == (id_ in answers)
                # I4: each claim has its attempt, written with it; none more.
                mine = [one for one in tries if one.delivery_id == id_]
                assert len(mine) == row.attempt_no == self.claims.get(id_, 0)
                assert sorted(one.no for one in mine) == list(range(1, len(mine) + 1))
                assert len({one.claim_token for one in mine}) == len(mine)
                # Late success wins, and is not undone.
                if id_ in self.through and self.ended.get(id_) != State.CANCELLED:
                    assert row.state in (State.TRANSMITTED, State.ACKNOWLEDGED, State.REJECTED)
                if id_ in self.ended:
                    assert row.state == self.ended[id_]
                # F25: a generation more for each redrive that took effect, and each is on record.
                assert row.generation == 1 + self.redriven.get(id_, 0)
                assert acts.count(("delivery.redriven", id_)) == self.redriven.get(id_, 0)
                if self.paused:
                    assert row.reason not in (Reason.NEW, Reason.RETRY) or row.endpoint_id is not None
            # Nothing else was sent or answered (I2).
            assert {one.delivery_id for one in tries} <= set(self.planned)
            assert set(answers) <= set(self.planned)

        self.do(work())


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.timeout(120)
def test_whatever_happens_in_whatever_order(
    db_url: Callable[[str], Any], keys: KeyRing, runner: asyncio.Runner
) -> None:
    class ThisLife(Life):
        run = staticmethod(runner.run)

        @staticmethod
        def open_ledger(now: FrozenNow) -> Ledger:
            return Ledger.open(db_url("notifier"), keys, now)

    run_state_machine_as_test(
        ThisLife,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
