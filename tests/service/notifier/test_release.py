"""An obliged body lets its own notices go: once, in one notice an agency, and nobody else can."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from common.testing import FrozenNow
from notifier.models import audit, deliveries, notices, obligations
from tests.factories.notifier import a_receipt
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import open_role, turner
from tests.service.notifier.test_reading import handle

SCHOOL = "education_org"
BODY = "regional_child_rights_body"
COMMISSION = "minors_commission"


async def planned(house: House, **values: Any) -> UUID:
    alert = house.ledger.alert(**values)
    await house.ledger.take(alert)
    return UUID(str(alert.alert_id))


async def duty(house: House, rule: str, **where: Any) -> Any:
    return (await house.rows(obligations, rule=rule, **where))[0]


async def release(house: House, role: str, obligation: UUID, body: Any = None, **who: Any) -> httpx.Response:
    return await house.client.post(
        f"/v1/obligations/{obligation}/release", headers=house.as_agency(role, **who), json=body
    )


async def test_a_released_notice_leaves_now_and_a_second_release_answers_the_same(
    house: House, now: FrozenNow
) -> None:
    alert = await planned(house)
    owed = await duty(house, "R136-11.3")
    now.move(timedelta(minutes=3))
    first = await release(house, SCHOOL, owed.id)
    assert first.status_code == 200, first.text
    [shown] = first.json()["items"]
    assert shown["released_at"] == "2026-10-23T10:03:00Z"
    assert (shown["state"], shown["dispatch_at"], shown["may"]) == ("open", None, [])
    [sent] = await house.rows(deliveries, role=COMMISSION)
    assert str(sent.id) == shown["delivery"]
    now.move(timedelta(minutes=3))
    second = await release(house, SCHOOL, owed.id)
    assert (second.status_code, second.json()) == (200, first.json())
    assert len(await house.rows(deliveries, role=COMMISSION)) == 1
    [kept] = await house.rows(audit, action="duty.released")
    assert (kept.actor, kept.alert_id, kept.subject_id) == ("client-1", alert, owed.id)
    assert (await duty(house, "R136-11.3")).released_by == "client-1"
    school = house.as_agency(SCHOOL)
    told = (await house.get(f"/v1/alerts/{handle(house, alert, SCHOOL)}/timeline", school)).json()
    assert [(one["at"], one["rule"]) for one in told["items"] if one["kind"] == "duty.released"] == [
        ("2026-10-23T10:03:00Z", "R136-11.3")
    ]


async def test_duties_released_together_share_a_notice_and_a_later_one_is_a_further_notice(
    house: House, now: FrozenNow
) -> None:
    await planned(house)
    towards: dict[UUID, list[Any]] = {}
    for row in await house.rows(obligations, obliged=BODY):
        if row.dispatch_at is not None:
            towards.setdefault(row.recipient_agency_id, []).append(row)
    commission = house.ledger.agencies[COMMISSION]
    first, *others = [row for rows in towards.values() for row in rows]
    together = await release(house, BODY, first.id, {"also": [str(row.id) for row in others]})
    assert together.status_code == 200, together.text
    assert len(together.json()["items"]) == 1 + len(others)
    for agency, rows in towards.items():
        carriers = {(await duty(house, row.rule, id=row.id)).delivery_id for row in rows}
        assert len(carriers) == 1, (agency, carriers)
    later = await release(house, SCHOOL, (await duty(house, "R136-11.3")).id)
    assert later.status_code == 200
    numbers = [row.notice_no for row in await house.rows(deliveries, agency_id=commission)]
    assert sorted(numbers) == [1, 2]
    said = [
        json.loads(notice.body)
        for row in await house.rows(deliveries, agency_id=commission)
        for notice in await house.rows(notices, delivery_id=row.id)
    ]
    assert sorted(one["notice"] for one in said) == [1, 2]


async def test_two_bodies_that_release_at_once_get_two_numbers(house: House) -> None:
    await planned(house)
    school = (await duty(house, "R136-11.3")).id
    all_of_body = await house.rows(obligations, rule="R136-12.6")
    body = next(row.id for row in all_of_body if row.recipient == COMMISSION)
    answers = await asyncio.gather(
        *(release(house, SCHOOL, school) for _ in range(3)), *(release(house, BODY, body) for _ in range(3))
    )
    assert [one.status_code for one in answers] == [200] * 6, [one.text for one in answers]
    sent = await house.rows(deliveries, agency_id=house.ledger.agencies[COMMISSION])
    assert sorted(row.notice_no for row in sent) == [1, 2]
    assert len(await house.rows(audit, action="duty.released")) == 2


async def test_a_pending_duty_can_be_released_and_does_not_leave_again(house: House, now: FrozenNow) -> None:
    await planned(house)
    owed = await duty(house, "R136-12.6")
    assert owed.state == "pending"
    assert (await release(house, BODY, owed.id)).status_code == 200
    now.move(timedelta(minutes=1))
    await open_role(house.ledger, BODY, now())
    row = await duty(house, "R136-12.6", id=owed.id)
    assert (row.state, row.dispatch_at) == ("open", None)
    before = len(await house.rows(deliveries))
    now.at = row.due_at - timedelta(hours=4)
    await turner(house.ledger)()
    moved = await duty(house, "R136-12.6", id=owed.id)
    assert moved.delivery_id == row.delivery_id
    sent = await house.rows(deliveries, agency_id=owed.recipient_agency_id)
    assert len([one for one in sent if one.id == row.delivery_id]) == 1
    assert len(await house.rows(deliveries)) >= before


async def test_what_left_by_itself_stays_as_it_is(house: House, now: FrozenNow) -> None:
    await planned(house)
    owed = await duty(house, "R136-11.3")
    now.at = owed.due_at - timedelta(hours=4)
    await turner(house.ledger)()
    answer = await release(house, SCHOOL, owed.id)
    assert answer.status_code == 200
    assert answer.json()["items"][0]["released_at"] is None
    assert await house.rows(audit, action="duty.released") == []


async def test_nobody_else_releases_and_nothing_else_is_released(house: House) -> None:
    await planned(house)
    owed = await duty(house, "R136-11.3")
    missing = await release(house, SCHOOL, uuid4())
    assert missing.status_code == 404
    for role in (BODY, COMMISSION, "internal_affairs", "contact_centre_111"):
        answer = await release(house, role, owed.id)
        assert (answer.status_code, answer.content) == (404, missing.content)
    for role in ("operator", "registrar", "auditor"):
        answer = await house.client.post(f"/v1/obligations/{owed.id}/release", headers=house.as_role(role))
        assert answer.status_code == 403
    # One that left at once, and an act that no notice belongs to.
    at_once = await duty(house, "R136-8a", obliged=SCHOOL)
    both = await release(house, SCHOOL, owed.id, {"also": [str(at_once.id)]})
    act = await duty(house, "R136-12.2")
    for answer in (both, await release(house, SCHOOL, at_once.id), await release(house, BODY, act.id)):
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("/problems/obligation-not-releasable")
    foreign = await duty(house, "R136-12.6")
    assert (await release(house, SCHOOL, owed.id, {"also": [str(foreign.id)]})).status_code == 404
    assert (await duty(house, "R136-11.3")).released_at is None
    assert await house.rows(deliveries, role=COMMISSION) == []


async def test_duties_of_two_alerts_are_not_released_together(house: House) -> None:
    one, two = await planned(house), await planned(house)
    first = await duty(house, "R136-11.3", alert_id=one)
    second = await duty(house, "R136-11.3", alert_id=two)
    assert (await release(house, SCHOOL, first.id, {"also": [str(second.id)]})).status_code == 404


async def test_only_the_obliged_body_is_offered_its_acts(house: House) -> None:
    alert = await planned(house)

    async def offered(role: str) -> dict[str, list[str]]:
        known = handle(house, alert, role)
        told = (await house.get(f"/v1/alerts/{known}/obligations", house.as_agency(role))).json()
        return {one["rule"]: one["may"] for one in told["items"]}

    school = await offered(SCHOOL)
    assert "release" in school["R136-11.3"]
    assert "release" not in school["R136-8a"]
    owed = await duty(house, "R136-11.3")
    await release(house, SCHOOL, owed.id)
    assert "release" not in (await offered(SCHOOL))["R136-11.3"]
    operator = await house.get(f"/v1/alerts/{alert}/obligations", house.as_role("operator"))
    assert all(one["may"] == [] == one["facts"] for one in operator.json()["items"])


async def test_a_released_notice_that_was_answered_meets_the_duty(house: House, now: FrozenNow) -> None:
    await planned(house)
    owed = await duty(house, "R136-11.3")
    await release(house, SCHOOL, owed.id)
    [sent] = await house.rows(deliveries, role=COMMISSION)
    [notice] = await house.rows(notices, delivery_id=sent.id)
    answer = await house.client.post(
        f"/v1/deliveries/{sent.id}/receipt",
        headers=house.as_agency(COMMISSION),
        json=a_receipt(sent.id, notice.body, at=now().isoformat()),
    )
    assert answer.status_code == 201
    assert (await duty(house, "R136-11.3")).state == "met"
    again = await release(house, SCHOOL, owed.id)
    assert (again.status_code, again.json()["items"][0]["state"]) == (200, "met")
