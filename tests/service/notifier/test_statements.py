"""An obliged body states what it did: the duty is met by it, once, and nobody states it for others."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from common.contracts.notifier import ObligationMet
from common.testing import FrozenNow
from notifier.models import audit, evidence, obligations
from tests.factories.notifier import T0
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import told, turner
from tests.service.notifier.test_reading import handle
from tests.service.notifier.test_release import BODY, SCHOOL, duty, planned

HEAD = "R136-10"
PROOF = "journal:2026/117"


async def say(house: House, role: str, obligation: UUID, **body: Any) -> httpx.Response:
    words = {"fact": "head.told", "happened_at": T0.isoformat(), "reference": PROOF} | body
    return await house.client.post(
        f"/v1/obligations/{obligation}/evidence", headers=house.as_agency(role), json=words
    )


@pytest.fixture
async def owed(house: House, now: FrozenNow) -> Any:
    """The school's staff reported: they owe it to their head to tell."""
    await planned(house, reported_by="staff")
    now.move(timedelta(minutes=10))
    return await duty(house, HEAD)


async def test_a_stated_act_meets_its_duty_as_of_when_it_happened(house: House, owed: Any) -> None:
    answer = await say(house, SCHOOL, owed.id)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["state"], shown["met_at"], shown["may"]) == ("met", "2026-10-23T10:00:00Z", [])
    [kept] = await house.rows(evidence)
    assert shown["evidence"] == str(kept.id)
    assert PROOF.encode() not in kept.sealed
    again = await say(house, SCHOOL, owed.id)
    assert (again.status_code, again.json()) == (200, shown)
    assert [owed.id in event.obligations for event in await told(house.ledger, ObligationMet)] == [True]
    [stated] = await house.rows(audit, action="duty.evidenced")
    assert (stated.actor, stated.detail["fact"]) == ("client-1", "head.told")


async def test_a_contradiction_is_refused_and_changes_nothing(
    house: House, owed: Any, now: FrozenNow
) -> None:
    first = await say(house, SCHOOL, owed.id)
    for other in ({"reference": "journal:2026/118"}, {"happened_at": now().isoformat()}):
        answer = await say(house, SCHOOL, owed.id, **other)
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("/problems/evidence-differs")
    assert (await say(house, SCHOOL, owed.id)).json() == first.json()


async def test_many_say_it_at_once_and_it_is_said_once(house: House, owed: Any) -> None:
    answers = await asyncio.gather(*(say(house, SCHOOL, owed.id) for _ in range(5)))
    assert [one.status_code for one in answers] == [200] * 5
    assert len({one.text for one in answers}) == 1
    assert len(await house.rows(evidence)) == 1


async def test_it_neither_lies_ahead_nor_before_the_alert(house: House, owed: Any, now: FrozenNow) -> None:
    for at in (now() + timedelta(minutes=6), T0 - timedelta(seconds=1)):
        answer = await say(house, SCHOOL, owed.id, happened_at=at.isoformat())
        assert answer.status_code == 422
        assert answer.json()["type"].endswith("/problems/evidence-out-of-time")
    assert (await duty(house, HEAD)).state == "open"


async def test_only_what_the_rule_takes_from_its_body_is_taken(house: House, owed: Any) -> None:
    appointed = await duty(house, "R136-12.2")
    for answer in (
        await say(house, SCHOOL, owed.id, fact="ambulance.called"),
        await say(house, BODY, appointed.id, fact="case_manager.appointed"),
        await say(house, SCHOOL, owed.id, fact="delivery.transmitted"),
    ):
        assert answer.status_code == 422
        assert answer.json()["type"].endswith("/problems/fact-not-evidence")
    assert await house.rows(evidence) == []


async def test_nobody_states_it_for_others(house: House, owed: Any) -> None:
    missing = await say(house, SCHOOL, uuid4())
    assert missing.status_code == 404
    for role in (BODY, "internal_affairs", "contact_centre_111"):
        answer = await say(house, role, owed.id)
        assert (answer.status_code, answer.content) == (404, missing.content)
    assert await house.rows(evidence) == []


async def test_a_reference_holds_no_words(house: House, owed: Any) -> None:
    for reference in ("", "Айгерим болды", "a b", "x" * 201, "a\nb"):
        answer = await say(house, SCHOOL, owed.id, reference=reference)
        assert answer.status_code == 422
        assert "Айгерим" not in answer.text


async def test_what_was_done_late_stays_breached(house: House, owed: Any, now: FrozenNow) -> None:
    # No rule of today gives a stated act a legal limit; the ledger must be right the day one does.
    limit = T0 + timedelta(hours=1)
    async with house.ledger.db.transaction() as session:
        await session.execute(
            update(obligations)
            .where(obligations.c.id == owed.id)
            .values(due_at=limit, breach_at=limit, next_check_at=limit)
        )
    now.at = limit + timedelta(minutes=1)
    await turner(house.ledger)()
    answer = await say(house, SCHOOL, owed.id, happened_at=now().isoformat())
    assert (answer.json()["state"], answer.json()["breached_at"]) == ("met", "2026-10-23T11:00:00Z")


async def test_the_list_says_what_may_be_stated(house: House, owed: Any) -> None:
    known = handle(house, owed.alert_id, SCHOOL)
    told_ = (await house.get(f"/v1/alerts/{known}/obligations", house.as_agency(SCHOOL))).json()["items"]
    [shown] = [one for one in told_ if one["rule"] == HEAD]
    assert ("evidence" in shown["may"], shown["facts"]) == (True, ["head.told"])
