"""Answers of agencies: what counts, what does not, and what follows."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from sqlalchemy import update

from common.contracts.casework import CaseManagerAppointed
from common.contracts.intake import ContentOpened
from common.contracts.registry import EndpointRegistered, EndpointRevoked
from common.testing import FrozenNow
from notifier.domain.delivery import Outcome
from notifier.domain.escalation import Rung
from notifier.models import deliveries, escalations, notices, obligations, receipts, security_events
from notifier.repository import receipts as receipt_rows
from tests.factories.notifier import T0, a_receipt
from tests.service.notifier.conftest import House
from tests.service.notifier.test_redriving import try_once

POLICE = "internal_affairs"
REGIONAL = "regional_child_rights_body"


async def addressed(house: House, role: str = POLICE) -> tuple[UUID, bytes]:
    await house.ledger.take(house.ledger.alert())
    [delivery] = await house.rows(deliveries, role=role)
    [notice] = await house.rows(notices, delivery_id=delivery.id)
    return delivery.id, notice.body


async def answer(
    house: House, delivery: UUID, body: Any, headers: dict[str, str], kind: str = "application/json"
) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await house.client.post(
        f"/v1/deliveries/{delivery}/receipt", content=content, headers={**headers, "Content-Type": kind}
    )


async def state(house: House, delivery: UUID) -> Any:
    [row] = await house.rows(deliveries, id=delivery)
    return row


async def test_a_receipt_acknowledges_and_a_repeat_gets_the_same_one(house: House, now: FrozenNow) -> None:
    delivery, body = await addressed(house)
    police = house.as_agency(POLICE)
    first = await answer(house, delivery, a_receipt(delivery, body), police)
    assert first.status_code == 201, first.text
    row = await state(house, delivery)
    assert (row.state, row.next_wakeup_at) == ("acknowledged", None)
    assert row.acknowledged_at == row.transmitted_at == now()
    now.move(timedelta(minutes=3))
    police = house.as_agency(POLICE)
    again = await answer(house, delivery, a_receipt(delivery, body, reference="B-2"), police)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(await house.told("delivery.acknowledged")) == 1


async def test_an_answer_proves_that_the_sender_has_told_them(house: House) -> None:
    delivery, body = await addressed(house, REGIONAL)
    await answer(house, delivery, a_receipt(delivery, body), house.as_agency(REGIONAL))
    [sent] = await house.rows(obligations, rule="R136-8b")
    assert sent.state == "met"
    [own] = await house.rows(obligations, rule="R136-12.2")
    assert (own.state, own.starts_at) == ("open", T0)


async def test_the_persons_name_is_sealed_at_rest_and_shown_to_its_own_agency_only(house: House) -> None:
    delivery, body = await addressed(house)
    police = house.as_agency(POLICE)
    await answer(house, delivery, a_receipt(delivery, body), police)
    [stored] = await house.rows(receipts)
    assert "Кезекші".encode() not in stored.sealed
    shown = (await house.get(f"/v1/deliveries/{delivery}", police)).json()
    assert shown["receipt"]["person"]["name"] == "Кезекші Маман"
    operators = (await house.get(f"/v1/deliveries/{delivery}", house.as_role("operator"))).text
    assert "Кезекші" not in operators
    assert "A-17" not in operators


@pytest.mark.parametrize("status", ["accepted", "rejected"])
async def test_accepted_and_rejected_are_answers_too(house: House, status: str) -> None:
    delivery, body = await addressed(house)
    given = a_receipt(delivery, body, status=status, reason="not ours" if status == "rejected" else None)
    assert (await answer(house, delivery, given, house.as_agency(POLICE))).status_code == 201
    row = await state(house, delivery)
    assert row.state == ("rejected" if status == "rejected" else "acknowledged")
    # Who refuses leaves somebody to decide who helps instead: an operator is called at once.
    alarms = [(each.rung, each.reason) for each in await house.rows(escalations, delivery_id=delivery)]
    assert alarms == ([(Rung.OPERATOR, "rejected")] if status == "rejected" else [])
    other = a_receipt(delivery, body, status="received")
    assert (await answer(house, delivery, other, house.as_agency(POLICE))).status_code == 409


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"notice_digest": "0" * 64}, "receipt_wrong_digest"),
        ({"delivery": str(uuid4())}, "receipt_wrong_delivery"),
        ({"at": (T0 + timedelta(hours=1)).isoformat()}, "receipt_from_the_future"),
        ({"at": (T0 - timedelta(days=1)).isoformat()}, "receipt_before_the_notice"),
    ],
)
async def test_a_wrong_receipt_changes_nothing_and_is_a_security_event(
    house: House, change: dict[str, Any], kind: str
) -> None:
    delivery, body = await addressed(house)
    refused = await answer(house, delivery, a_receipt(delivery, body) | change, house.as_agency(POLICE))
    assert refused.status_code == 422
    assert (await state(house, delivery)).state == "waiting"
    [event] = await house.rows(security_events)
    assert (event.kind, event.delivery_id) == (kind, delivery)
    assert await house.rows(receipts) == []


async def test_another_agencys_receipt_is_as_if_there_were_no_delivery(house: House) -> None:
    delivery, body = await addressed(house)
    foreign = await answer(house, delivery, a_receipt(delivery, body), house.as_agency("minors_commission"))
    unknown = await answer(house, uuid4(), a_receipt(delivery, body), house.as_agency("minors_commission"))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    assert (await state(house, delivery)).state == "waiting"
    [event] = await house.rows(security_events)
    assert event.kind == "receipt_foreign"


@pytest.mark.parametrize("role", ["operator", "registrar", "auditor"])
async def test_only_agencies_answer(house: House, role: str) -> None:
    delivery, body = await addressed(house)
    assert (await answer(house, delivery, a_receipt(delivery, body), house.as_role(role))).status_code == 403


async def test_who_registered_a_receipt_key_must_sign(house: House) -> None:
    key = OKPKey.generate_key("Ed25519")
    other = OKPKey.generate_key("Ed25519")
    await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook", receipt_key=str(key.as_dict()["x"]))
    delivery, body = await addressed(house)
    police = house.as_agency(POLICE)
    given = json.dumps(a_receipt(delivery, body))

    def signed(by: OKPKey) -> bytes:
        return jws.serialize_compact({"alg": "Ed25519"}, given, by, algorithms=["Ed25519"]).encode()

    assert (await answer(house, delivery, given.encode(), police)).status_code == 403
    assert (await answer(house, delivery, signed(other), police, "application/jose")).status_code == 403
    whole = signed(key)
    altered = whole[:-8] + (b"A" * 8 if not whole.endswith(b"A" * 8) else b"B" * 8)
    assert (await answer(house, delivery, altered, police, "application/jose")).status_code == 403
    none = b"eyJhbGciOiJub25lIn0." + whole.split(b".")[1] + b"."
    assert (await answer(house, delivery, none, police, "application/jose")).status_code == 403
    assert (await state(house, delivery)).state == "waiting"
    kinds = sorted(row.kind for row in await house.rows(security_events))
    assert kinds == ["receipt_unsigned", *["receipt_wrong_signature"] * 3]
    assert (await answer(house, delivery, whole, police, "application/jose")).status_code == 201
    [stored] = await house.rows(receipts)
    assert stored.is_signed


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"delivery": 1, "delivery": 2}', "application/json", 400),
        (b"NaN", "application/json", 400),
        (b"{}", "application/json", 422),
        (b"hello", "text/plain", 415),
        (b"\xff\xfe", "application/json", 400),
        (b"..", "application/jose", 403),
    ],
)
async def test_what_is_no_receipt_is_refused_without_an_echo(
    house: House, body: bytes, kind: str, status: int
) -> None:
    delivery, _ = await addressed(house)
    refused = await answer(house, delivery, body, house.as_agency(POLICE), kind)
    assert refused.status_code == status, refused.text
    assert "hello" not in refused.text


async def test_of_many_receipts_at_once_one_is_stored(house: House) -> None:
    delivery, body = await addressed(house)
    police = house.as_agency(POLICE)
    found = await asyncio.gather(
        *(answer(house, delivery, a_receipt(delivery, body, reference=f"R{n}"), police) for n in range(6))
    )
    assert sorted(one.status_code for one in found) == [200] * 5 + [201]
    assert len({one.text for one in found}) == 1


async def test_opening_is_a_fact_of_its_own_and_starts_the_recipients_clocks(house: House) -> None:
    delivery, _ = await addressed(house, REGIONAL)
    opened = ContentOpened(delivery_id=delivery, opened_at=T0 + timedelta(minutes=2), person="client-9")
    await house.ledger.take(opened)
    row = await state(house, delivery)
    assert row.opened_at == T0 + timedelta(minutes=2)
    assert row.acknowledged_at is None
    [own] = await house.rows(obligations, rule="R136-12.2")
    assert (own.state, own.starts_at) == ("open", T0 + timedelta(minutes=2))
    later = opened.model_copy(update={"opened_at": T0 + timedelta(hours=2)})
    await house.ledger.take(later)
    assert (await state(house, delivery)).opened_at == T0 + timedelta(minutes=2)
    assert len(await house.told("delivery.opened")) == 1


async def test_appointing_a_case_manager_meets_the_duty_of_every_alert_of_the_case(house: House) -> None:
    alerts = [house.ledger.alert() for _ in range(2)]
    for alert in alerts:
        await house.ledger.take(alert)
    evidence = uuid4()
    await house.ledger.take(
        CaseManagerAppointed(
            case_id=uuid4(),
            alert_ids=tuple(alert.alert_id for alert in alerts),
            evidence_id=evidence,
            appointed_at=T0 + timedelta(hours=3),
        )
    )
    rows = await house.rows(obligations, rule="R136-12.2")
    assert [(row.state, row.met_at, row.evidence_id) for row in rows] == [
        ("met", T0 + timedelta(hours=3), evidence)
    ] * 2
    assert len(await house.told("obligation.met")) == 2


async def test_a_new_receipt_key_and_the_one_before_are_valid_side_by_side_for_a_day(
    house: House, now: FrozenNow
) -> None:
    old, new = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
    endpoint = await house.ledger.connect(
        POLICE, "http://127.0.0.1:9/hook", receipt_key=str(old.as_dict()["x"])
    )

    async def change(version: int, key: OKPKey, concurrency: int = 4) -> None:
        await house.ledger.take(
            EndpointRegistered(
                endpoint_id=endpoint,
                agency_id=house.ledger.agencies[POLICE],
                version=version,
                kind="webhook",
                url="http://127.0.0.1:9/hook",
                concurrency=concurrency,
                receipt_key=str(key.as_dict()["x"]),
            )
        )

    async def status(delivery: UUID, body: bytes, by: OKPKey) -> int:
        given = json.dumps(a_receipt(delivery, body, at=now().isoformat()))
        whole = jws.serialize_compact({"alg": "Ed25519"}, given, by, algorithms=["Ed25519"]).encode()
        told = await answer(house, delivery, whole, house.as_agency(POLICE), "application/jose")
        return int(told.status_code)

    delivery, body = await addressed(house)
    await change(2, new)
    assert await status(delivery, body, OKPKey.generate_key("Ed25519")) == 403
    assert await status(delivery, body, old) == 201
    assert await status(delivery, body, new) == 200  # a repeat, by another machine of theirs
    now.move(timedelta(hours=23))
    await change(3, new, concurrency=5)  # another change does not lengthen the life of the old key
    delivery, body = await newest(house)
    now.move(timedelta(hours=2))
    assert await status(delivery, body, old) == 403
    assert await status(delivery, body, new) == 201


async def test_what_was_sent_before_a_receipt_key_changed_is_answered_with_the_new_one(
    house: House, now: FrozenNow
) -> None:
    """The one before may have been stolen: it ends after a day for what was sent under it, too."""
    old, new = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
    endpoint = await house.ledger.connect(
        POLICE, "http://127.0.0.1:9/hook", receipt_key=str(old.as_dict()["x"])
    )
    sent = [await addressed(house), *[await newest(house) for _ in range(2)]]
    async with house.ledger.db.transaction() as session:
        await session.execute(
            update(deliveries)
            .where(deliveries.c.endpoint_id == endpoint)
            .values(state="transmitted", reason=None, transmitted_at=now())
        )
    await house.ledger.take(
        EndpointRegistered(
            endpoint_id=endpoint,
            agency_id=house.ledger.agencies[POLICE],
            version=2,
            kind="webhook",
            url="http://127.0.0.1:9/hook",
            receipt_key=str(new.as_dict()["x"]),
        )
    )

    async def status(which: int, by: OKPKey) -> int:
        delivery, body = sent[which]
        given = json.dumps(a_receipt(delivery, body, at=now().isoformat()))
        whole = jws.serialize_compact({"alg": "Ed25519"}, given, by, algorithms=["Ed25519"]).encode()
        told = await answer(house, delivery, whole, house.as_agency(POLICE), "application/jose")
        return int(told.status_code)

    assert await status(0, new) == 201
    now.move(timedelta(hours=23))
    assert await status(1, old) == 201
    now.move(timedelta(hours=2))
    assert await status(2, old) == 403
    assert await status(2, new) == 201
    [flaw] = await house.rows(security_events)
    assert flaw.kind == "receipt_wrong_signature"


def signed(receipt: dict[str, Any], by: OKPKey) -> bytes:
    given = json.dumps(receipt)
    return jws.serialize_compact({"alg": "Ed25519"}, given, by, algorithms=["Ed25519"]).encode()


@pytest.mark.parametrize("way", ["pulled", "tried"])
async def test_a_delivery_that_lost_its_endpoint_is_measured_against_its_agencys_keys(
    house: House, now: FrozenNow, way: str
) -> None:
    """A pause, or a pull during one, takes the endpoint from the row and not the key from the agency."""
    old, new = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
    endpoint = await house.ledger.connect(
        POLICE, "http://127.0.0.1:9/hook", receipt_key=str(old.as_dict()["x"])
    )
    police = house.as_agency(POLICE)
    pause = f"/v1/endpoints/{endpoint}/pause"
    if way == "pulled":
        assert (await house.client.post(pause, json={}, headers=police)).status_code == 200
    sent = [await addressed(house), await newest(house), await newest(house)]
    if way == "pulled":
        assert len((await house.get("/v1/inbox", police)).json()["items"]) == 3
    else:
        # It has the bytes, and its 200 was lost: the row waits for a further try when the pause comes.
        await try_once(house.ledger, [delivery for delivery, _ in sent], Outcome.NO_ANSWER, None)
        assert (await house.client.post(pause, json={}, headers=police)).status_code == 200
    before = "transmitted" if way == "pulled" else "waiting"
    rows = [await state(house, delivery) for delivery, _ in sent]
    assert {(row.state, row.endpoint_id) for row in rows} == {(before, None)}
    await house.ledger.take(
        EndpointRegistered(
            endpoint_id=endpoint,
            agency_id=house.ledger.agencies[POLICE],
            version=2,
            kind="webhook",
            url="http://127.0.0.1:9/hook",
            receipt_key=str(new.as_dict()["x"]),
        )
    )
    delivery, body = sent[0]
    given = a_receipt(delivery, body)
    assert (await answer(house, delivery, given, police)).status_code == 403
    stranger = OKPKey.generate_key("Ed25519")
    foreign = signed(given, stranger)
    assert (await answer(house, delivery, foreign, police, "application/jose")).status_code == 403
    assert (await state(house, delivery)).state == before
    kinds = sorted(event.kind for event in await house.rows(security_events, delivery_id=delivery))
    assert kinds == ["receipt_unsigned", "receipt_wrong_signature"]
    for (one, text), key, status in ((sent[0], new, 201), (sent[1], old, 201), (sent[2], old, 403)):
        if status == 403:
            now.move(timedelta(hours=25))
        whole = signed(a_receipt(one, text, at=now().isoformat()), key)
        told = await answer(house, one, whole, house.as_agency(POLICE), "application/jose")
        assert told.status_code == status
    assert all(row.is_signed for row in await house.rows(receipts))


async def test_the_key_of_a_revoked_endpoint_counts_only_where_its_agency_has_no_other(house: House) -> None:
    lost, kept = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
    endpoint = await house.ledger.connect(
        POLICE, "http://127.0.0.1:9/hook", receipt_key=str(lost.as_dict()["x"])
    )
    first, second = await addressed(house), await newest(house)
    await try_once(house.ledger, [first[0], second[0]], Outcome.NO_ANSWER, None)
    await house.ledger.take(
        EndpointRevoked(
            endpoint_id=endpoint, agency_id=house.ledger.agencies[POLICE], version=2, revoked_at=T0
        )
    )
    police = house.as_agency(POLICE)
    (delivery, body), (other, text) = first, second
    assert (await state(house, delivery)).endpoint_id is None
    assert (await answer(house, delivery, a_receipt(delivery, body), police)).status_code == 403
    whole = signed(a_receipt(delivery, body), lost)
    assert (await answer(house, delivery, whole, police, "application/jose")).status_code == 201
    # On another rung, so that what waits does not move there.
    await house.ledger.connect(
        POLICE, "http://127.0.0.1:9/second", receipt_key=str(kept.as_dict()["x"]), rung=1
    )
    for key, status in ((lost, 403), (kept, 201)):
        whole = signed(a_receipt(other, text), key)
        assert (await answer(house, other, whole, police, "application/jose")).status_code == status


async def newest(house: House) -> tuple[UUID, bytes]:
    """A further alert's delivery to the police, and its notice."""
    known = {row.id for row in await house.rows(deliveries, role=POLICE)}
    await house.ledger.take(house.ledger.alert(received_at=house.parts.now()))
    [fresh] = [row for row in await house.rows(deliveries, role=POLICE) if row.id not in known]
    [notice] = await house.rows(notices, delivery_id=fresh.id)
    return fresh.id, notice.body


async def test_two_clients_one_of_which_crashes_and_one_receipt(house: House) -> None:
    """F28: what was fetched and not answered is offered again; of two answers one counts."""
    delivery, body = await addressed(house)
    police = house.as_agency(POLICE)

    async def fetched() -> set[str]:
        page = (await house.client.get("/v1/inbox", headers=police)).json()
        return {item["delivery"] for item in page["items"]}

    first, second = await asyncio.gather(fetched(), fetched())
    assert str(delivery) in first & second
    assert str(delivery) in await fetched()  # the first crashed with it in hand
    given = [json.dumps(a_receipt(delivery, body, reference=one)).encode() for one in ("A-1", "B-2")]
    answers = await asyncio.gather(*(answer(house, delivery, one, police) for one in given))
    assert sorted(one.status_code for one in answers) == [200, 201]
    assert answers[0].json() == answers[1].json()
    assert str(delivery) not in await fetched()
    foreign = house.as_agency("psych_support_centre")
    assert (await answer(house, delivery, given[0], foreign)).status_code == 404
    assert len(await house.rows(receipts)) == 1


async def test_a_receipt_that_is_refused_is_not_stored(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delivery is cancelled between look and answer; a repeat must not be told otherwise."""
    delivery, body = await addressed(house)
    original = receipt_rows.add_receipt

    async def add_and_be_overtaken(session: Any, row: Any) -> bool:
        added = await original(session, row)
        await session.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery)
            .values(state="cancelled", reason=None, next_wakeup_at=None)
        )
        return added

    monkeypatch.setattr(receipt_rows, "add_receipt", add_and_be_overtaken)
    refused = await answer(house, delivery, a_receipt(delivery, body), house.as_agency(POLICE))
    assert refused.status_code == 409, refused.text
    monkeypatch.undo()
    assert await house.rows(receipts) == []
    again = await answer(house, delivery, a_receipt(delivery, body), house.as_agency(POLICE))
    assert again.status_code == 409
