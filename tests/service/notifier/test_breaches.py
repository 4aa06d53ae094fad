"""An act that is not done in time alarms the body above; why it was not done stays with the breach."""

import asyncio
import base64
import json
import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.contracts.casework import CaseManagerAppointed
from common.contracts.intake import ContentOpened
from common.contracts.notifier import BreachExplained, EscalationRaised, ObligationBreached
from common.outbox import OUTBOX
from common.sealing import unseal
from common.testing import FrozenNow
from notifier.domain.conservation import Law
from notifier.domain.escalation import Rung
from notifier.models import alerts, audit, breaches, deliveries, escalations, notices, obligations
from tests.factories.notifier import T0, Ledger
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import open_role, told, turner
from tests.service.notifier.test_conflict_races import raise_directly
from tests.service.notifier.test_escalation import answer, broken_laws
from tests.service.notifier.test_planning import rows

OWNER = "regional_child_rights_body"
RULE = "R136-12.2"
SECRET = "Мама ребёнка Асель заболела"


async def with_body_above(ledger: Ledger, role: str = "child_rights_authority") -> UUID:
    """A body above the owner; returns its id."""
    superior = ledger.agencies[role]
    await ledger.register(OWNER, agency_id=ledger.agencies[OWNER], version=2, superior=superior)
    return superior


async def breached(ledger: Ledger, now: FrozenNow) -> Any:
    """The owner knows of the alert and does not appoint a case manager; returns the duty."""
    await ledger.take(ledger.alert())
    await open_role(ledger, OWNER, T0)
    [duty] = await rows(ledger, obligations, rule=RULE)
    assert (duty.kind, duty.state) == ("act", "open")
    now.at = duty.breach_at + timedelta(seconds=1)
    await turner(ledger)()
    [duty] = await rows(ledger, obligations, rule=RULE)
    return duty


async def notice_of(ledger: Ledger, delivery_id: UUID) -> dict[str, Any]:
    [notice] = await rows(ledger, notices, delivery_id=delivery_id)
    return dict(json.loads(notice.body))


async def test_the_body_above_hears_by_a_notice_of_its_own(ledger: Ledger, now: FrozenNow) -> None:
    superior = await with_body_above(ledger)
    duty = await breached(ledger, now)
    assert (duty.breached_at, duty.breach_owner_id) == (duty.breach_at, ledger.agencies[OWNER])
    assert duty.breach_reason == "not_done"
    [alarm] = await rows(ledger, breaches, id=duty.breach_id)
    assert (alarm.owner_id, alarm.role, alarm.superior_id) == (ledger.agencies[OWNER], OWNER, superior)
    [above] = await rows(ledger, deliveries, id=alarm.told_id)
    assert (above.agency_id, above.rung, above.escalates_id, above.bodies) == (superior, 3, None, [])
    assert above.climb_at is not None, "its silence climbs, too"
    said = await notice_of(ledger, above.id)
    assert said["breached"] == {"role": OWNER}
    assert RULE in {one["rule"] for one in said["duties"]}
    assert {one["rule"] for one in said["duties"]} == {
        row.rule for row in await rows(ledger, obligations, breach_id=alarm.id)
    }
    [event] = [one for one in await told(ledger, EscalationRaised) if one.breach_id == alarm.id]
    assert (event.delivery_id, event.rung, event.level) == (above.id, 3, 1)
    assert len(await rows(ledger, audit, action="delivery.planned", subject_id=above.id)) == 1
    assert await broken_laws(ledger, now) == set()


async def test_without_a_body_above_the_operator_is_called(ledger: Ledger, now: FrozenNow) -> None:
    duty = await breached(ledger, now)
    [alarm] = await rows(ledger, breaches, id=duty.breach_id)
    assert (alarm.superior_id, alarm.told_id) == (None, None)
    [event] = [one for one in await told(ledger, EscalationRaised) if one.breach_id == alarm.id]
    assert (event.delivery_id, event.rung) == (None, Rung.OPERATOR)


async def test_looking_often_and_at_once_alarms_once(ledger: Ledger, now: FrozenNow) -> None:
    await with_body_above(ledger)
    await ledger.take(ledger.alert())
    await open_role(ledger, OWNER, T0)
    [duty] = await rows(ledger, obligations, rule=RULE)
    now.at = duty.breach_at + timedelta(days=3)
    turns = [turner(ledger) for _ in range(4)]
    await asyncio.gather(*(turn() for turn in turns))
    await turner(ledger)()
    acts = [row for row in await rows(ledger, obligations, kind="act") if row.breached_at is not None]
    assert acts
    assert all(row.breach_id is not None for row in acts)
    found = await rows(ledger, breaches)
    assert {row.breach_id for row in acts} == {row.id for row in found}
    assert len(found) == len({(row.owner_id, row.breached_at) for row in found})
    assert len(await rows(ledger, deliveries, rung=3, escalates_id=None)) == len(
        [row for row in found if row.told_id is not None]
    )


async def test_who_is_told_of_a_breach_owes_nothing_by_that(ledger: Ledger, now: FrozenNow) -> None:
    """Neither the notice nor the further ways of its ladder start a clock of the law."""
    superior = await with_body_above(ledger, "internal_affairs")
    await ledger.connect("internal_affairs", "https://police.example/1", rung=1)
    await ledger.take(ledger.alert())
    await open_role(ledger, OWNER, T0)
    [duty] = await rows(ledger, obligations, rule=RULE)
    pending = {row.id for row in await rows(ledger, obligations, obliged_agency_id=superior, state="pending")}
    assert pending
    now.at = duty.breach_at + timedelta(seconds=1)
    await turner(ledger)()
    [duty] = await rows(ledger, obligations, rule=RULE)
    [alarm] = await rows(ledger, breaches, id=duty.breach_id)
    now.move(timedelta(hours=7))
    await turner(ledger)()
    [second] = await rows(ledger, deliveries, escalates_id=alarm.told_id, rung=1)
    for way in (alarm.told_id, second.id):
        await ledger.take(ContentOpened(delivery_id=way, opened_at=now(), person="client-1"))
    still = {row.id for row in await rows(ledger, obligations, obliged_agency_id=superior, state="pending")}
    assert still == pending
    assert (await notice_of(ledger, second.id))["breached"] == {"role": OWNER}
    assert {one["rule"] for one in (await notice_of(ledger, second.id))["duties"]} == {
        row.rule for row in await rows(ledger, obligations, breach_id=alarm.id)
    }


async def test_a_silent_body_above_is_climbed_over_and_its_answer_ends_that(
    house: House, now: FrozenNow
) -> None:
    ledger = house.ledger
    superior = await with_body_above(ledger)
    await ledger.connect("child_rights_authority", "https://above.example/1", rung=1)
    top = await ledger.register("prosecutor", "KZ")
    await ledger.register("child_rights_authority", "KZ", agency_id=superior, version=2, superior=top)
    duty = await breached(ledger, now)
    [alarm] = await rows(ledger, breaches, id=duty.breach_id)
    for hours in (7, 6):
        now.move(timedelta(hours=hours))
        await turner(ledger)()
    climbed = {row.rung: row for row in await rows(ledger, deliveries, escalates_id=alarm.told_id)}
    assert sorted(climbed) == [1, 3]
    assert climbed[3].agency_id == top
    said = await notice_of(ledger, climbed[3].id)
    assert (said["silent"], said["breached"]) == ({"role": "child_rights_authority"}, {"role": OWNER})
    await answer(house, climbed[1], "child_rights_authority")
    states = {row.id: row.state for row in await rows(ledger, deliveries)}
    assert states[alarm.told_id] == "acknowledged"
    [still] = await rows(ledger, obligations, rule=RULE)
    assert (still.state, still.breached_at) == ("open", duty.breach_at)
    # No worker runs here, so that what should have been sent sleeps.
    assert await broken_laws(ledger, now) <= {Law.ASLEEP}
    before = await rows(ledger, escalations, delivery_id=alarm.told_id)
    now.move(timedelta(days=2))
    await turner(ledger)()
    assert await rows(ledger, escalations, delivery_id=alarm.told_id) == before


async def test_a_body_above_that_may_not_know_is_passed_over(ledger: Ledger, now: FrozenNow) -> None:
    implicated = await ledger.register("prosecutor")
    top = await ledger.register("supreme_body", "KZ")
    await ledger.register("prosecutor", agency_id=implicated, version=2, superior=top)
    await ledger.register(OWNER, agency_id=ledger.agencies[OWNER], version=2, superior=implicated)
    await ledger.take(ledger.alert(implicated=(implicated,)))
    await open_role(ledger, OWNER, T0)
    [duty] = await rows(ledger, obligations, rule=RULE)
    now.at = duty.breach_at + timedelta(seconds=1)
    await turner(ledger)()
    [duty] = await rows(ledger, obligations, rule=RULE)
    [alarm] = await rows(ledger, breaches, id=duty.breach_id)
    assert alarm.superior_id == top
    assert await rows(ledger, deliveries, agency_id=implicated) == []


@pytest.mark.parametrize("is_last", [False, True])
async def test_a_body_above_that_is_shut_out_later_gives_its_place_to_the_next(
    ledger: Ledger, now: FrozenNow, is_last: bool
) -> None:
    superior = await with_body_above(ledger)
    top = None if is_last else await ledger.register("prosecutor", "KZ")
    await ledger.register("child_rights_authority", "KZ", agency_id=superior, version=2, superior=top)
    duty = await breached(ledger, now)
    [before] = await rows(ledger, breaches, id=duty.breach_id)
    assert before.superior_id == superior
    await raise_directly(ledger, duty.alert_id, "child_rights_authority")
    [taken] = await rows(ledger, deliveries, id=before.told_id)
    assert taken.state == "cancelled"
    [alarm] = await rows(ledger, breaches, id=duty.breach_id)
    assert (alarm.superior_id, alarm.raised_at) == (top, before.raised_at)
    events = [one for one in await told(ledger, EscalationRaised) if one.breach_id == alarm.id]
    assert [(one.level, one.delivery_id) for one in events] == [(1, before.told_id), (2, alarm.told_id)]
    if top is None:
        assert alarm.told_id is None
        assert events[-1].rung == Rung.OPERATOR
    else:
        [above] = await rows(ledger, deliveries, id=alarm.told_id)
        assert (above.agency_id, above.rung, above.state) == (top, 3, "waiting")
        said, was = await notice_of(ledger, above.id), await notice_of(ledger, taken.id)
        assert said["breached"] == was["breached"] == {"role": OWNER}
        assert {one["rule"] for one in said["duties"]} == {one["rule"] for one in was["duties"]}
    # Once more says nothing new.
    await raise_directly(ledger, duty.alert_id, "child_rights_authority")
    assert len(await rows(ledger, breaches)) == 1
    assert len([one for one in await told(ledger, EscalationRaised) if one.breach_id == alarm.id]) == 2
    assert await broken_laws(ledger, now) <= {Law.ASLEEP}


async def test_owner_and_body_above_say_why_and_nobody_else_reads_it(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    await with_body_above(ledger)
    duty = await breached(ledger, now)
    path = f"/v1/obligations/{duty.id}/breach"
    owner, above = house.as_agency(OWNER), house.as_agency("child_rights_authority")
    first = await house.client.post(path, json={"reason": SECRET}, headers=owner)
    assert first.status_code == 200, first.text
    again = await house.client.post(path, json={"reason": SECRET}, headers=owner)
    assert again.json() == first.json()
    now.move(timedelta(minutes=1))
    both = await house.client.post(path, json={"reason": "Взяли на контроль"}, headers=above)
    assert [(one["by"], one["reason"]) for one in both.json()["statements"]] == [
        ("owner", SECRET),
        ("superior", "Взяли на контроль"),
    ]
    assert both.json()["owner"] == str(ledger.agencies[OWNER])
    events = await told(ledger, BreachExplained)
    assert [(one.by, one.obligation_id) for one in events] == [("owner", duty.id), ("superior", duty.id)]
    for row in await rows(ledger, OUTBOX):
        assert "Асель" not in (row.data if isinstance(row.data, str) else row.data.decode())
    opened = unseal(
        ledger.keys.opening("assignee"),
        base64.b64decode(events[0].explanation),
        str(duty.alert_id).encode() + events[0].statement_id.bytes,
    )
    assert json.loads(opened) == {"agency": str(ledger.agencies[OWNER]), "reason": SECRET}
    [alert_of_owner] = (await house.get("/v1/alerts", owner)).json()["items"]
    listed = (await house.get(f"/v1/alerts/{alert_of_owner['id']}/obligations", owner)).json()["items"]
    [shown] = [one["breach"] for one in listed if one["id"] == str(duty.id)]
    assert [one["reason"] for one in shown["statements"]] == [SECRET, "Взяли на контроль"]
    operator = await house.get(f"/v1/alerts/{duty.alert_id}/obligations", house.as_role("operator"))
    [seen] = [one["breach"] for one in operator.json()["items"] if one["id"] == str(duty.id)]
    assert [one["reason"] for one in seen["statements"]] == [None, None]
    assert "Асель" not in operator.text
    nothing = await house.client.post(
        "/v1/obligations/00000000-0000-4000-8000-000000000000/breach", json={"reason": "x"}, headers=above
    )
    for role in ("internal_affairs", "education_org", "contact_centre_111"):
        refused = await house.client.post(path, json={"reason": "x"}, headers=house.as_agency(role))
        assert (refused.status_code, refused.content) == (404, nothing.content)


async def test_what_is_done_late_stays_breached_with_its_owner(house: House, now: FrozenNow) -> None:
    """Also when the fact comes before the clock was looked at."""
    ledger = house.ledger
    await with_body_above(ledger)
    await ledger.take(ledger.alert())
    await open_role(ledger, OWNER, T0)
    [duty] = await rows(ledger, obligations, rule=RULE)
    early = await house.client.post(
        f"/v1/obligations/{duty.id}/breach", json={"reason": "x"}, headers=house.as_agency(OWNER)
    )
    assert early.status_code == 409
    assert early.json()["type"].endswith("/duty-not-breached")
    now.at = duty.breach_at + timedelta(hours=2)
    event = CaseManagerAppointed(
        case_id=uuid4(), alert_ids=(duty.alert_id,), evidence_id=uuid4(), appointed_at=now()
    )
    await ledger.take(event)
    [late] = await rows(ledger, obligations, rule=RULE)
    assert (late.state, late.breached_at, late.breach_owner_id, late.breach_reason) == (
        "met",
        duty.breach_at,
        ledger.agencies[OWNER],
        "not_done",
    )
    assert await rows(ledger, breaches) == []
    [breach] = [one for one in await told(ledger, ObligationBreached) if duty.id in one.obligations]
    assert breach.breached_at == duty.breach_at
    said = await house.client.post(
        f"/v1/obligations/{duty.id}/breach", json={"reason": "Поздно"}, headers=house.as_agency(OWNER)
    )
    assert said.json()["statements"][0]["by"] == "owner"


@pytest.mark.parametrize("seed", range(12))
async def test_in_any_order_each_breach_has_one_alarm_and_keeps_its_owner(
    ledger: Ledger, now: FrozenNow, seed: int
) -> None:
    """Looks, late facts, repeats, reads of the notices: a breach is never lost, doubled or taken back."""
    chance = random.Random(seed)
    await with_body_above(ledger)
    await ledger.take(ledger.alert())
    turn = turner(ledger)
    appointed = CaseManagerAppointed(
        case_id=uuid4(),
        alert_ids=((await rows(ledger, alerts))[0].id,),
        evidence_id=uuid4(),
        appointed_at=T0 + timedelta(hours=chance.choice((2, 30, 300))),
    )
    known: dict[UUID, tuple[Any, ...]] = {}
    for _ in range(14):
        now.move(timedelta(hours=chance.choice((0, 1, 20, 60))))
        for way in chance.sample(await rows(ledger, deliveries), 2):
            await ledger.take(ContentOpened(delivery_id=way.id, opened_at=now(), person="client-1"))
        if now() >= appointed.appointed_at and chance.random() < 0.5:
            await ledger.take(appointed)
        await asyncio.gather(*(turn() for _ in range(chance.randint(1, 3))))
        duties = await rows(ledger, obligations)
        for row in duties:
            if row.breached_at is not None:
                mark = (row.breached_at, row.breach_owner_id, row.breach_reason, row.breach_id)
                assert known.setdefault(row.id, mark) == mark
                assert row.breached_at == row.breach_at
                if row.kind == "act" and row.state == "open":
                    assert row.breach_id is not None
        assert set(known) <= {row.id for row in duties if row.breached_at is not None}
    alarms = await rows(ledger, breaches)
    assert {mark[3] for mark in known.values()} - {None} == {row.id for row in alarms}
    told_by = [row.told_id for row in alarms if row.told_id is not None]
    above = await rows(ledger, deliveries, rung=3, escalates_id=None)
    assert sorted(told_by, key=str) == sorted((row.id for row in above), key=str)
