"""A duty is waived by two persons of its own body, with a reason; nothing that cannot be waived ever is."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from common.contracts.notifier import ObligationWaived
from common.testing import FrozenNow
from notifier.domain.proposal import LIFETIME
from notifier.models import audit, deliveries, obligations, proposals
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import open_role, told, turner
from tests.service.notifier.test_reading import handle
from tests.service.notifier.test_release import BODY, COMMISSION, SCHOOL, duty, planned, release

WHY = "Мать уже сообщила комиссии, тел. +7 701 555-01-23"


async def waive(house: House, role: str, obligation: UUID, who: str = "anar", **body: Any) -> httpx.Response:
    return await house.client.post(
        f"/v1/obligations/{obligation}/waiver", headers=house.as_agency(role, subject=who), json=body
    )


async def proposed(house: House, obligation: UUID, role: str = SCHOOL) -> str:
    answer = await waive(house, role, obligation, reason=WHY)
    assert answer.status_code == 202, answer.text
    assert set(answer.json()) == {"proposal", "expires_at"}
    return str(answer.json()["proposal"])


async def test_two_persons_waive_a_duty_and_its_notice_never_leaves(house: House, now: FrozenNow) -> None:
    alert = await planned(house)
    owed = await duty(house, "R136-11.3")
    proposal = await proposed(house, owed.id)
    assert (await duty(house, "R136-11.3")).state == "open"
    now.move(timedelta(minutes=5))
    answer = await waive(house, SCHOOL, owed.id, "bolat", confirms=proposal)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["state"], shown["waived_at"], shown["may"]) == ("waived", "2026-10-23T10:05:00Z", [])
    again = await waive(house, SCHOOL, owed.id, "bolat", confirms=proposal)
    assert (again.status_code, again.json()) == (200, shown)
    assert (await waive(house, SCHOOL, owed.id, "anar", reason=WHY)).json() == shown
    [event] = await told(house.ledger, ObligationWaived)
    assert (event.alert_id, event.obligations, event.waived_at) == (alert, (owed.id,), now())
    [kept] = await house.rows(audit, action="duty.waived")
    assert (kept.actor, kept.subject_id, kept.detail["proposal"]) == ("bolat", owed.id, proposal)
    now.at = owed.breach_at + timedelta(seconds=1)
    await turner(house.ledger)()
    row = await duty(house, "R136-11.3")
    assert (row.state, row.delivery_id, row.breached_at) == ("waived", None, None)
    carried = await house.rows(obligations, rule="R136-11.3")
    assert not [one for one in await house.rows(deliveries) if one.id == carried[0].delivery_id]
    school = house.as_agency(SCHOOL)
    line = (await house.get(f"/v1/alerts/{handle(house, alert, SCHOOL)}/timeline", school)).json()["items"]
    assert [one["rule"] for one in line if one["kind"] == "duty.waived"] == ["R136-11.3"]


async def test_one_person_alone_and_other_bodies_waive_nothing(house: House, now: FrozenNow) -> None:
    await planned(house)
    owed = await duty(house, "R136-11.3")
    proposal = await proposed(house, owed.id)
    same = await waive(house, SCHOOL, owed.id, confirms=proposal)
    assert same.status_code == 409
    assert same.json()["type"].endswith("/problems/second-person-needed")
    missing = await waive(house, BODY, uuid4(), "bolat", confirms=proposal)
    for role in (BODY, COMMISSION, "contact_centre_111"):
        for body in ({"confirms": proposal}, {"reason": WHY}):
            answer = await waive(house, role, owed.id, "bolat", **body)
            assert (answer.status_code, answer.content) == (404, missing.content)
    for role in ("operator", "registrar", "auditor", "service"):
        answer = await house.client.post(
            f"/v1/obligations/{owed.id}/waiver", headers=house.as_role(role), json={"reason": WHY}
        )
        assert answer.status_code in (401, 403)
    now.move(LIFETIME)
    late = await waive(house, SCHOOL, owed.id, "bolat", confirms=proposal)
    assert late.status_code == 409
    assert late.json()["type"].endswith("/problems/proposal-expired")
    assert (await duty(house, "R136-11.3")).state == "open"
    assert await told(house.ledger, ObligationWaived) == []


async def test_a_proposal_about_one_duty_waives_no_other(house: House) -> None:
    await planned(house)
    mine = await duty(house, "R136-12.2")
    other = await duty(house, "R136-12.6")
    proposal = await proposed(house, mine.id, BODY)
    assert (await waive(house, BODY, other.id, "bolat", confirms=proposal)).status_code == 404
    assert (await duty(house, "R136-12.6", id=other.id)).state == "pending"


async def test_what_is_owed_at_once_sent_or_done_is_not_waived(house: House, now: FrozenNow) -> None:
    await planned(house)
    owed = await duty(house, "R136-11.3")
    proposal = await proposed(house, owed.id)
    assert (await release(house, SCHOOL, owed.id)).status_code == 200
    at_once = await duty(house, "R136-8a", obliged=SCHOOL)
    for answer in (
        await waive(house, SCHOOL, owed.id, "bolat", confirms=proposal),
        await waive(house, SCHOOL, owed.id, reason=WHY),
        await waive(house, SCHOOL, at_once.id, reason=WHY),
    ):
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("/problems/obligation-not-waivable")
    assert await house.rows(audit, action="proposal.confirmed") == []
    assert await told(house.ledger, ObligationWaived) == []


async def test_many_confirm_and_release_at_once_and_one_thing_happens(house: House) -> None:
    await planned(house)
    owed = await duty(house, "R136-11.3")
    proposal = await proposed(house, owed.id)
    crowd = [waive(house, SCHOOL, owed.id, f"person-{n}", confirms=proposal) for n in range(4)]
    answers = await asyncio.gather(*crowd, release(house, SCHOOL, owed.id))
    row = await duty(house, "R136-11.3")
    was_waived, was_sent = row.state == "waived", row.delivery_id is not None
    assert was_waived != was_sent
    assert len(await told(house.ledger, ObligationWaived)) == int(was_waived)
    assert all(one.status_code in (200, 409) for one in answers), [one.text for one in answers]


async def test_a_breach_stays_when_the_duty_is_waived_afterwards(house: House, now: FrozenNow) -> None:
    alert = await planned(house)
    await open_role(house.ledger, BODY, now())
    owed = await duty(house, "R136-12.2")
    now.at = owed.breach_at + timedelta(seconds=1)
    await turner(house.ledger)()
    proposal = await proposed(house, owed.id, BODY)
    answer = await waive(house, BODY, owed.id, "bolat", confirms=proposal)
    assert (answer.json()["state"], answer.json()["breached_at"] is None) == ("waived", False)
    assert alert == (await duty(house, "R136-12.2")).alert_id


async def test_the_second_person_finds_the_proposal_and_nobody_else_reads_the_reason(house: House) -> None:
    alert = await planned(house)
    owed = await duty(house, "R136-11.3")
    proposal = await proposed(house, owed.id)

    async def listed(role: str, who: str) -> httpx.Response:
        known = handle(house, alert, role)
        return await house.get(f"/v1/alerts/{known}/obligations", house.as_agency(role, subject=who))

    for who in ("anar", "bolat"):
        [shown] = [one for one in (await listed(SCHOOL, who)).json()["items"] if one["rule"] == "R136-11.3"]
        [waiting] = shown["proposals"]
        assert (waiting["proposal"], waiting["reason"], waiting["mine"]) == (proposal, WHY, who == "anar")
    others = [await listed(role, "bolat") for role in (BODY, "internal_affairs")]
    others.append(await house.get(f"/v1/alerts/{alert}/obligations", house.as_role("operator")))
    for answer in others:
        assert answer.status_code == 200
        assert "555-01-23" not in answer.text
        assert proposal not in answer.text
    stored = await house.rows(proposals)
    assert b"555-01-23" not in stored[0].sealed
    assert "555-01-23" not in str(await house.rows(audit))


async def test_a_waiver_says_either_why_or_what_it_confirms(house: House) -> None:
    await planned(house)
    owed = await duty(house, "R136-11.3")
    for body in (
        {}, {"reason": ""}, {"reason": "   "}, {"reason": "a\u0000b"}, {"reason": "x" * 2001},
        {"reason": WHY, "confirms": str(uuid4())}, {"confirms": "canary-1"}, {"reason": 7},
        {"reason": WHY, "canary": 1},
    ):  # fmt: skip
        answer = await waive(house, SCHOOL, owed.id, **body)
        assert 400 <= answer.status_code < 500, body
        assert "canary" not in answer.text
    assert await house.rows(proposals) == []
