"""The do-not-notify-parent lock: no duty reaches a parent under it, and lifting takes two persons."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.contracts.vocabulary import OffenderRelation
from common.ids import pairwise
from common.testing import FrozenNow
from notifier.domain.later import LaterFact
from notifier.models import alerts, obligations, parent_locks
from notifier.service.facts import take_fact
from tests.service.notifier.conftest import House
from tests.service.notifier.test_changes import correction

BODY = "regional_child_rights_body"
POLICE = "internal_affairs"
REASON = "Анасы қауіпсіз, тексерілді"


def handle(house: House, alert_id: UUID, role: str) -> UUID:
    return pairwise(house.ledger.keys.secret("pairwise"), alert_id, house.ledger.agencies[role])


async def post(
    house: House, alert_id: UUID, body: dict[str, Any], by: str = BODY, subject: str = "client-1"
) -> httpx.Response:
    target = f"/v1/alerts/{handle(house, alert_id, by)}/parent-lock"
    return await house.client.post(target, json=body, headers=house.as_agency(by, subject=subject))


async def reported(house: House, **values: Any) -> UUID:
    alert = house.ledger.alert(**values)
    await house.ledger.take(alert)
    return UUID(str(alert.alert_id))


async def towards_parents(house: House, alert_id: UUID) -> dict[str, str]:
    """State of each duty that has a parent as recipient, by rule."""
    return {
        row.rule: row.state for row in await house.rows(obligations, alert_id=alert_id, recipient="legal_rep")
    }


async def withheld(house: House, alert_id: UUID) -> set[str]:
    [alert] = await house.rows(alerts, id=alert_id)
    return {row["rule"] for row in alert.withheld if row["recipient"] == "legal_rep"}


LOCKING: list[dict[str, Any]] = [
    {"offender_relation": OffenderRelation.PARENT},
    {"offender_relation": OffenderRelation.GUARDIAN},
    {"offender_relation": OffenderRelation.RELATIVE},
    {"offender_relation": OffenderRelation.HOUSEHOLD_MEMBER},
    {"parents_may_be_informed": False},
]


@pytest.mark.parametrize("facts", LOCKING)
async def test_it_is_on_by_itself_and_two_persons_lift_it(
    house: House, now: FrozenNow, facts: dict[str, Any]
) -> None:
    alert_id = await reported(house, **facts)
    assert await towards_parents(house, alert_id) == {}
    assert "R136-11.1" in await withheld(house, alert_id)
    asked = await post(house, alert_id, {"locked": False, "reason": REASON})
    assert asked.status_code == 202, asked.text
    confirms = {"confirms": asked.json()["proposal"]}
    assert (await post(house, alert_id, confirms)).status_code == 409
    assert (await post(house, alert_id, confirms, by=POLICE)).status_code == 403
    assert await towards_parents(house, alert_id) == {}
    now.move(timedelta(hours=2))
    done = await post(house, alert_id, confirms, subject="client-2")
    assert (done.status_code, done.json()["locked"]) == (200, False)
    assert await towards_parents(house, alert_id) == {"R136-11.1": "open"}
    assert await withheld(house, alert_id) == set()
    [opened] = await house.rows(obligations, alert_id=alert_id, rule="R136-11.1")
    assert (opened.starts_at, opened.due_at) == (now(), now() + timedelta(minutes=15))
    again = await post(house, alert_id, confirms, subject="client-2")
    assert again.json() == done.json()
    assert len(await house.rows(parent_locks)) == 1


async def test_a_late_lock_withholds_what_is_open_and_what_opens_later(house: House, now: FrozenNow) -> None:
    alert_id = await reported(house)
    assert await towards_parents(house, alert_id) == {"R136-11.1": "open"}
    locked = await post(house, alert_id, {"locked": True, "reason": REASON}, by=POLICE)
    assert (locked.status_code, locked.json()["locked"]) == (200, True)
    assert await towards_parents(house, alert_id) == {"R136-11.1": "cancelled"}
    assert await withheld(house, alert_id) == {"R136-11.1"}
    fact = LaterFact(id=uuid4(), code="plan.drafted", at=now())
    async with house.ledger.db.transaction() as session:
        await take_fact(session, house.ledger.desk, fact, [alert_id], actor="casework", now=now())
    later = await withheld(house, alert_id) - {"R136-11.1"}
    assert later
    assert await towards_parents(house, alert_id) == {"R136-11.1": "cancelled"}
    again = await post(house, alert_id, {"locked": True, "reason": REASON}, by=POLICE)
    assert again.json() == locked.json()
    asked = await post(house, alert_id, {"locked": False, "reason": REASON})
    now.move(timedelta(days=1))
    confirms = {"confirms": asked.json()["proposal"]}
    # A proposal is good for a day and no longer.
    assert (await post(house, alert_id, confirms, subject="client-2")).status_code == 409
    asked = await post(house, alert_id, {"locked": False, "reason": REASON})
    confirms = {"confirms": asked.json()["proposal"]}
    assert (await post(house, alert_id, confirms, subject="client-2")).status_code == 200
    states = await towards_parents(house, alert_id)
    assert set(states) == {"R136-11.1", *later}
    assert set(states.values()) == {"open"}
    assert {row.starts_at for row in await house.rows(obligations, recipient="legal_rep")} == {now()}


async def rate(house: House, alert_id: UUID, learned: dict[str, Any]) -> None:
    target = f"/v1/alerts/{handle(house, alert_id, POLICE)}/rating"
    answer = await house.client.post(
        target, json={**learned, "reason": REASON}, headers=house.as_agency(POLICE)
    )
    assert answer.status_code in (200, 201), answer.text


@pytest.mark.parametrize("facts", LOCKING)
@pytest.mark.parametrize("by", ["rating", "correction"])
async def test_no_rating_and_no_correction_lifts_it(house: House, by: str, facts: dict[str, Any]) -> None:
    """An address that is mended must not tell the parents: the form comes with the relation unknown."""
    alert = house.ledger.alert(**facts)
    await house.ledger.take(alert)
    alert_id = UUID(str(alert.alert_id))
    if by == "rating":
        await rate(house, alert_id, {"offender_relation": "unknown", "parents_may_be_informed": True})
    else:
        relation: dict[str, Any] = {"offender_relation": OffenderRelation.UNKNOWN}
        await house.ledger.take(correction(house.ledger, alert, **relation))
    assert await towards_parents(house, alert_id) == {}
    assert await withheld(house, alert_id) == {"R136-11.1"}
    [row] = await house.rows(parent_locks, alert_id=alert_id)
    assert row.locked
    seen = await house.get(f"/v1/alerts/{handle(house, alert_id, BODY)}", house.as_agency(BODY))
    assert seen.json()["parents_locked"] is True


@pytest.mark.parametrize("facts", LOCKING)
@pytest.mark.parametrize("by", ["rating", "correction"])
async def test_what_is_learned_late_locks_what_is_open(house: House, by: str, facts: dict[str, Any]) -> None:
    alert = house.ledger.alert()
    await house.ledger.take(alert)
    alert_id = UUID(str(alert.alert_id))
    assert await towards_parents(house, alert_id) == {"R136-11.1": "open"}
    if by == "rating":
        await rate(house, alert_id, facts)
    else:
        await house.ledger.take(correction(house.ledger, alert, **facts))
    assert await towards_parents(house, alert_id) == {"R136-11.1": "cancelled"}
    assert await withheld(house, alert_id) == {"R136-11.1"}
    assert len(await house.rows(parent_locks, alert_id=alert_id)) == 1


async def test_what_two_persons_lifted_only_something_new_locks_again(house: House, now: FrozenNow) -> None:
    alert_id = await reported(house, offender_relation=OffenderRelation.RELATIVE)
    asked = await post(house, alert_id, {"locked": False, "reason": REASON})
    confirms = {"confirms": asked.json()["proposal"]}
    assert (await post(house, alert_id, confirms, subject="client-2")).status_code == 200
    now.move(timedelta(minutes=1))
    await rate(house, alert_id, {"direct_threat": True})
    assert (await towards_parents(house, alert_id))["R136-11.1"] == "open", "they knew of the relative"
    await rate(house, alert_id, {"offender_relation": "other_adult"})
    now.move(timedelta(minutes=1))
    await rate(house, alert_id, {"offender_relation": "parent"})
    assert (await towards_parents(house, alert_id))["R136-11.1"] == "cancelled"
    assert [row.locked for row in await house.rows(parent_locks, alert_id=alert_id)] == [False, True]


async def test_only_the_coordinating_body_asks_to_lift_it(house: House) -> None:
    alert_id = await reported(house, offender_relation=OffenderRelation.PARENT)
    assert (await post(house, alert_id, {"locked": False, "reason": REASON}, by=POLICE)).status_code == 403
    assert (await post(house, uuid4(), {"locked": False, "reason": REASON})).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {}, {"locked": True}, {"reason": REASON}, {"locked": 1, "reason": REASON},
        {"locked": True, "reason": " "}, {"confirms": str(uuid4()), "locked": False},
        {"confirms": "x"}, {"locked": True, "reason": "x" * 3000}, {"locked": True, "reason": "x", "more": 1},
    ],
)  # fmt: skip
async def test_hostile_bodies_are_refused(house: House, body: dict[str, Any]) -> None:
    alert_id = await reported(house)
    answer = await post(house, alert_id, body)
    assert answer.status_code == 422, answer.text
    assert await house.rows(parent_locks) == []


async def test_the_reason_is_sealed(house: House) -> None:
    alert_id = await reported(house)
    await post(house, alert_id, {"locked": True, "reason": REASON})
    [row] = await house.rows(parent_locks)
    assert REASON.encode() not in row.reason


@pytest.mark.parametrize(
    ("opens", "asked", "owed", "met_by"),
    [
        ("service.planned", "R264-15a.ask", "R264-15a", "consent.substituted"),
        ("plan.drafted", "R136-A2.cons.ask", "R136-A2.cons", "plan.consent_unobtainable"),
    ],
)
async def test_under_the_lock_nobody_is_asked_and_what_stands_for_the_consent_is_recorded(
    house: House, now: FrozenNow, opens: str, asked: str, owed: str, met_by: str
) -> None:
    alert_id = await reported(house, offender_relation=OffenderRelation.PARENT)

    async def tell(code: str) -> None:
        now.move(timedelta(hours=1))
        fact = LaterFact(id=uuid4(), code=code, at=now())
        async with house.ledger.db.transaction() as session:
            await take_fact(session, house.ledger.desk, fact, [alert_id], actor="casework", now=now())

    async def state() -> tuple[str, str | None]:
        [row] = await house.rows(obligations, alert_id=alert_id, rule=owed)
        return row.state, row.recipient

    await tell(opens)
    assert await towards_parents(house, alert_id) == {}
    assert asked in await withheld(house, alert_id)
    assert await state() == ("open", None)
    await tell(met_by)
    assert await state() == ("met", None)
    assert await towards_parents(house, alert_id) == {}
