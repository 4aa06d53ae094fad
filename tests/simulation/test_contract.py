"""The model store says what the repositories do: the same operations, the same answers, on every database."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from common.keys import KeyRing
from common.testing import FrozenNow
from notifier.domain.channel import Answer
from notifier.domain.delivery import Fact, Outcome, Reason, State
from notifier.domain.schedule import BY_ORDER, ORDER, TIERS, Urgency
from notifier.models import attempts, deliveries
from notifier.repository import claims, held
from notifier.repository import deliveries as delivery_rows
from notifier.repository import overdue as overdue_rows
from notifier.repository import receipts as receipt_rows
from notifier.repository.claims import Result
from notifier.service import overdue
from tests.conftest import DatabaseUrls
from tests.factories.notifier import Ledger
from tests.simulation.decisions import Decisions
from tests.simulation.store import Held, Row, Store

STEPS = 120
OUTCOMES = [one for one in Outcome if one not in (Outcome.PULLED, Outcome.LEASE_EXPIRED)]


class Both:
    """Each operation on the model and on the real tables."""

    def __init__(self, ledger: Ledger, now: FrozenNow, seed: int) -> None:
        self.ledger, self.now, self.dice = ledger, now, random.Random(seed)
        self.model, self.rules = Store(Decisions()), Decisions()
        self.held: list[Held] = []
        self.endpoints: list[UUID] = []

    def _new_id(self) -> UUID:
        return UUID(int=self.dice.getrandbits(128), version=4)

    async def fill(self, alert: UUID) -> None:
        roles = ("internal_affairs", "regional_child_rights_body")
        self.endpoints = [
            await self.ledger.connect(role, f"https://{n}.example/hook") for n, role in enumerate(roles)
        ]
        rows = []
        for n in range(16):
            agency = self.ledger.agencies[roles[n % 2]]
            rows.append(
                Row(
                    self._new_id(), alert, agency, 100 + n, self.dice.choice(list(Urgency)),
                    self.now() + timedelta(seconds=self.dice.choice((60, 900, 90_000))), self.now(),
                    State.WAITING, Reason.NEW, self.now(), endpoint=self.endpoints[n % 2],
                )
            )  # fmt: skip
        self.model.add_deliveries([replace(row) for row in rows], [])
        async with self.ledger.db.transaction() as session:
            await delivery_rows.add_deliveries(session, [_as_stored(row) for row in rows])
            await delivery_rows.add_notices(
                session,
                [
                    {"delivery_id": r.id, "body": b"{}", "digest": "0" * 64, "rendered_at": self.now()}
                    for r in rows
                ],
            )

    def _some(self) -> list[UUID]:
        return self.dice.sample(list(self.model.rows), self.dice.randint(1, 4))

    async def move(self) -> None:
        self.now.move(timedelta(seconds=self.dice.choice((0.5, 5, 31, 200))))

    async def claim(self) -> None:
        ids, token = self._some(), self._new_id()
        leases = {urgency: self.now() + tier.lease for urgency, tier in TIERS.items()}
        mine = self.model.claim(ids, token, now=self.now(), leases=leases)
        async with self.ledger.db.transaction() as session:
            theirs = await claims.claim(session, ids, token, now=self.now(), leases=leases)
        shown = [
            (one.delivery_id, one.attempt, one.urgency, one.leased_until, one.endpoint_id) for one in mine
        ]
        assert sorted(shown) == sorted(
            (one.delivery_id, one.attempt, one.urgency, one.leased_until, one.endpoint_id) for one in theirs
        )
        assert [ORDER[one.urgency] for one in theirs] == sorted(ORDER[one.urgency] for one in mine)
        self.held += mine

    async def finish(self) -> None:
        """Results of anything that was ever claimed: also of what was fenced out long ago."""
        if not self.held:
            return
        by_delivery = {one.delivery_id: one for one in self.dice.sample(self.held, min(3, len(self.held)))}
        results: list[Result] = [
            self.rules.judge(one, Answer(self.dice.choice(OUTCOMES)), ended_at=self.now(), chance=0.5)
            for one in by_delivery.values()
        ]
        mine = self.model.write_results(results)
        async with self.ledger.db.transaction() as session:
            theirs = await claims.write_results(session, results)
        assert [sorted(each) for each in mine] == [sorted(m.delivery_id for m in each) for each in theirs]

    async def find(self) -> None:
        for urgency in Urgency:
            without = self.dice.sample(self.endpoints, self.dice.randint(0, 1))
            mine = self.model.find_sendable(urgency, now=self.now(), without=without, limit=500)
            async with self.ledger.db.reading() as session:
                found = await held.find_sendable(session, urgency, now=self.now(), without=without, limit=500)
            assert sorted(mine) == sorted(one for one in found if one[0] in self.model.rows)

    async def ask(self) -> None:
        if self.held:
            one = self.dice.choice(self.held)
            async with self.ledger.db.reading() as session:
                stands = await claims.list_held(session, [(one.delivery_id, one.token)])
            assert (one.delivery_id in stands) == self.model.is_held(one.delivery_id, one.token)

    async def look(self) -> None:
        mine = self.model.lock_overdue(now=self.now(), limit=200)
        async with self.ledger.db.transaction() as session:
            found = [
                one
                for is_leased in (True, False)
                for one in await overdue_rows.lock_overdue(
                    session, is_leased=is_leased, now=self.now(), limit=500
                )
            ]
            theirs = [one for one in found if one.delivery_id in self.model.rows]
            assert {row.id for row in mine} == {one.delivery_id for one in theirs}
            lost = [one for one in theirs if one.state is State.LEASED]
            await overdue._reap(session, lost, now=self.now())
        # What silence climbs is the ladder's matter, with its own tests; who is looked at is the same.
        for row in mine:
            if row.state is State.LEASED:
                self.model.reap(row, now=self.now())

    async def answer(self) -> None:
        one = self.dice.choice(list(self.model.rows))
        fact, state = self.dice.choice([(Fact.RECEIPT, State.ACKNOWLEDGED), (Fact.REJECTION, State.REJECTED)])
        if self.dice.random() < 0.7:
            return  # few, so that most rows stay alive
        async with self.ledger.db.transaction() as session:
            took = await receipt_rows.answer(session, one, fact, state, at=self.now())
        assert took == self.model.answer(one, fact, state, at=self.now())

    async def cancel(self) -> None:
        if self.dice.random() < 0.7:
            return
        one = self.dice.choice(list(self.model.rows))
        async with self.ledger.db.transaction() as session:
            done = await delivery_rows.cancel(session, one)
        assert done == self.model.cancel(one)

    async def revoke(self) -> None:
        if self.dice.random() < 0.9:
            return
        endpoint = self.dice.choice(self.endpoints)
        async with self.ledger.db.transaction() as session:
            await delivery_rows.take_from_endpoint(session, endpoint, to=None, now=self.now())
        self.model.take_from_endpoint(endpoint, to=None, now=self.now())

    async def agree(self) -> None:
        async with self.ledger.db.reading() as session:
            rows = await session.execute(select(deliveries).where(deliveries.c.id.in_(list(self.model.rows))))
            tries = await session.execute(select(attempts))
        theirs = {row.id: _shown(_from_stored(row)) for row in rows.all()}
        assert theirs == {row.id: _shown(row) for row in self.model.rows.values()}
        found = {
            (one.delivery_id, one.no): (one.claim_token, one.outcome, one.ended_at)
            for one in tries.all()
            if one.delivery_id in self.model.rows
        }
        assert found == {
            key: (one.token, one.outcome, one.ended_at) for key, one in self.model.attempts.items()
        }


def _as_stored(row: Row) -> dict[str, Any]:
    return {
        "id": row.id, "alert_id": row.alert, "agency_id": row.agency, "role": "body", "bodies": ["body"],
        "notice_no": row.number, "rung": 0, "generation": 1, "state": row.state, "reason": row.reason,
        "urgency": ORDER[row.urgency], "deadline_at": row.deadline, "planned_at": row.planned_at,
        "next_wakeup_at": row.wakeup, "attempt_no": 0, "claim_token": None, "endpoint_id": row.endpoint,
        "endpoint_version": 1, "escalation_level": 0, "is_test": False, "traceparent": None,
    }  # fmt: skip


def _from_stored(row: Any) -> Row:
    return Row(
        row.id, row.alert_id, row.agency_id, row.notice_no, BY_ORDER[row.urgency], row.deadline_at,
        row.planned_at, State(row.state), Reason(row.reason) if row.reason else None, row.next_wakeup_at, "",
        row.attempt_no, row.claim_token, row.endpoint_id, row.transmitted_at, row.acknowledged_at,
        row.escalation_level,
    )  # fmt: skip


def _shown(row: Row) -> tuple[object, ...]:
    return (
        row.state, row.reason, row.wakeup, row.attempt, row.token, row.endpoint, row.transmitted_at,
        row.acknowledged_at, row.level, row.deadline, row.urgency,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
async def test_the_model_store_answers_as_the_repositories_do(
    seed: int, db_url: DatabaseUrls, keys: KeyRing, now: FrozenNow
) -> None:
    ledger = Ledger.open(db_url("notifier"), keys, now)
    await ledger.register_all()
    alert = ledger.alert()
    await ledger.take(alert)
    both = Both(ledger, now, seed)
    await both.fill(alert.alert_id)
    acts = [
        both.move, both.claim, both.claim, both.finish, both.finish, both.find, both.ask, both.look,
        both.answer, both.cancel, both.revoke,
    ]  # fmt: skip
    for _ in range(STEPS):
        await both.dice.choice(acts)()
        await both.agree()
    assert len(both.model.attempts) > 6
    await ledger.db.close()
