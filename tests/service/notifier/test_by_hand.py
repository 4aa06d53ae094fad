"""Answers by phone and on paper: two persons, sealed, never another agency's; and reading out by phone."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.testing import FrozenNow
from notifier.models import audit, deliveries, obligations, proposals, read_outs, receipts
from tests.factories.notifier import T0, a_receipt
from tests.service.notifier.conftest import House
from tests.service.notifier.test_receipts import addressed, answer

POLICE = "internal_affairs"
HUB = "contact_centre_111"
NAME = "Қабылдаған Адам"


def said(**values: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "means": "phone",
        "status": "accepted",
        "person": {"name": NAME, "position": "duty officer"},
        "reference": "K-5",
        "at": T0.isoformat(),
    }
    return {"answer": fields | values}


async def enter(house: House, delivery: UUID, body: Any, role: str = POLICE, who: str = "first") -> Any:
    path = f"/v1/deliveries/{delivery}/receipt-by-hand"
    return await house.client.post(path, json=body, headers=house.as_agency(role, subject=who))


async def test_a_system_alone_is_nobody_who_enters(house: House) -> None:
    """Two clients of one agency's system: the door says that it takes a person."""
    delivery, _ = await addressed(house)
    path = f"/v1/deliveries/{delivery}/receipt-by-hand"
    first = await enter(house, delivery, said())
    for who, body in (("one", said()), ("other", {"confirms": first.json()["proposal"]})):
        headers = house.as_agency(POLICE, subject=who, is_person=False)
        answer = await house.client.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "person-needed")
    [row] = await house.rows(deliveries, id=delivery)
    assert row.state == "waiting"


async def told_to_the_hub(house: House) -> UUID:
    """A delivery to the police of an alert that the hub reported itself, and so knows."""
    hub = house.ledger.agencies[HUB]
    await house.ledger.take(house.ledger.alert(reporter_agency=hub, reporter=HUB))
    [delivery] = await house.rows(deliveries, role=POLICE)
    return UUID(str(delivery.id))


@pytest.mark.parametrize("means", ["phone", "paper"])
async def test_two_persons_enter_an_answer_and_it_says_how_it_came(house: House, means: str) -> None:
    delivery, _ = await addressed(house)
    first = await enter(house, delivery, said(means=means))
    assert first.status_code == 202, first.text
    [row] = await house.rows(deliveries, id=delivery)
    assert row.state == "waiting", "one person alone changes nothing"
    word = {"confirms": first.json()["proposal"]}
    alone = await enter(house, delivery, word)
    assert (alone.status_code, alone.json()["type"].rpartition("/")[2]) == (409, "second-person-needed")
    second = await enter(house, delivery, word, who="second")
    assert second.status_code == 201, second.text
    receipt = second.json()["receipt"]
    assert (receipt["means"], receipt["status"]) == (means, "accepted")
    assert receipt["entered_by"] == ["first", "second"]
    assert receipt["person"]["name"] == NAME
    again = await enter(house, delivery, word, who="second")
    assert (again.status_code, again.json()["receipt"]) == (200, receipt)
    [row] = await house.rows(deliveries, id=delivery)
    assert (row.state, row.next_wakeup_at) == ("acknowledged", None)
    [stored] = await house.rows(receipts)
    assert (stored.means, stored.is_signed) == (means, False)
    assert NAME.encode() not in stored.sealed
    [duty] = await house.rows(obligations, rule="R136-8a")
    assert duty.state == "met"
    shown = (await house.get(f"/v1/deliveries/{delivery}", house.as_role("operator"))).json()
    assert shown["receipt"]["means"] == means
    assert "person" not in shown["receipt"]
    assert len(await house.told("delivery.acknowledged")) == 1


async def test_nothing_of_it_is_readable_in_the_tables(house: House) -> None:
    delivery, _ = await addressed(house)
    first = await enter(house, delivery, said(reason="Құпия сөз"))
    await enter(house, delivery, {"confirms": first.json()["proposal"]}, who="second")
    for table in (proposals, receipts, audit, deliveries):
        for row in await house.rows(table):
            for value in row:
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                assert NAME not in text
                assert "Құпия" not in text


async def test_the_hub_enters_answers_of_alerts_that_it_knows(house: House) -> None:
    delivery = await told_to_the_hub(house)
    first = await enter(house, delivery, said(), HUB, "hub-1")
    assert first.status_code == 202
    other = await enter(house, delivery, {"confirms": first.json()["proposal"]}, POLICE, "police-1")
    assert other.status_code == 404, "two persons of the same body"
    second = await enter(house, delivery, {"confirms": first.json()["proposal"]}, HUB, "hub-2")
    assert second.status_code == 201


async def test_another_agencys_delivery_does_not_exist(house: House) -> None:
    delivery, _ = await addressed(house)
    nothing = await enter(house, uuid4(), said(), "regional_child_ombudsman")
    other = await enter(house, delivery, said(), "regional_child_ombudsman")
    assert (nothing.status_code, other.status_code) == (404, 404)
    assert nothing.json()["type"] == other.json()["type"]
    # The hub knows nothing of an alert that it was neither told nor reported.
    unknown = await house.rows(deliveries, role=HUB)
    if not unknown:
        assert (await enter(house, delivery, said(), HUB)).status_code == 404
    # And a proposal of the police is none of the ombudsman's.
    mine = await enter(house, delivery, said())
    word = {"confirms": mine.json()["proposal"]}
    assert (await enter(house, delivery, word, "regional_child_ombudsman", "x")).status_code == 404
    for role in ("operator", "registrar", "auditor"):
        path = f"/v1/deliveries/{delivery}/receipt-by-hand"
        assert (await house.client.post(path, json=said(), headers=house.as_role(role))).status_code == 403


async def test_the_systems_own_answer_stands_before_one_by_hand(house: House) -> None:
    delivery, body = await addressed(house)
    first = await enter(house, delivery, said(status="rejected", reason="not ours"))
    assert (
        await answer(house, delivery, a_receipt(delivery, body), house.as_agency(POLICE))
    ).status_code == 201
    late = await enter(house, delivery, {"confirms": first.json()["proposal"]}, who="second")
    assert late.status_code == 409
    assert (await enter(house, delivery, said(), who="third")).status_code == 409
    [row] = await house.rows(deliveries, id=delivery)
    assert row.state == "acknowledged"
    [stored] = await house.rows(receipts)
    assert stored.means == "system"


@pytest.mark.parametrize(
    "body",
    [
        {}, said(means="system"), said(means="dove"), said(at=(T0 + timedelta(hours=1)).isoformat()),
        said(at=(T0 - timedelta(days=1)).isoformat()), said(person={"name": " ", "position": "x"}),
        said(status="opened"), {"answer": None}, {"confirms": 7},
    ],
)  # fmt: skip
async def test_what_cannot_be_an_answer_is_refused(house: House, body: Any) -> None:
    delivery, _ = await addressed(house)
    answered = await enter(house, delivery, body)
    assert answered.status_code == 422, answered.text
    assert "dove" not in answered.text
    assert await house.rows(proposals) == []


async def test_reading_out_is_on_record_and_gives_the_listener_the_information(
    house: House, now: FrozenNow
) -> None:
    delivery = await told_to_the_hub(house)
    path = f"/v1/deliveries/{delivery}/read-out"
    body = {"person": {"name": NAME, "position": "duty officer"}}
    for role in (POLICE, "regional_child_ombudsman"):
        refused = await house.client.post(path, json=body, headers=house.as_agency(role))
        assert refused.status_code == 404, "only the hub reads out"
    done = await house.client.post(path, json=body, headers=house.as_agency(HUB, subject="hub-1"))
    assert done.status_code == 201, done.text
    [row] = await house.rows(read_outs)
    assert (row.delivery_id, row.by_agency_id, row.actor) == (delivery, house.ledger.agencies[HUB], "hub-1")
    assert NAME.encode() not in row.sealed
    [told] = [one for one in await house.rows(audit) if one.action == "content.read_out"]
    assert (told.actor, told.subject_id) == ("hub-1", delivery)
    assert NAME not in str(told)
    [sent] = await house.rows(deliveries, id=delivery)
    assert sent.opened_at == now()
    [duty] = await house.rows(obligations, delivery_id=delivery, recipient=POLICE)
    assert duty.state == "met"
