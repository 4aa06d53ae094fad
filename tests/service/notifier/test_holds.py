"""A public report: the hub hears of it at once, the others when it lets it go, or when its time is over."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from common.contracts.notifier import EscalationRaised
from common.contracts.registry import AgencyRetired
from common.contracts.vocabulary import Channel, Occasion
from common.ids import new_id
from common.testing import FrozenNow
from notifier.domain.channel import Answer
from notifier.domain.conservation import Law
from notifier.domain.delivery import Outcome
from notifier.domain.schedule import Urgency
from notifier.models import alerts, audit, deliveries, escalations, notices, obligations
from notifier.repository import claims
from notifier.service.results import judge, write_results
from tests.factories.notifier import T0, an_alert
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import told, turner
from tests.service.notifier.test_conservation import laws
from tests.service.notifier.test_reading import handle

HUB = "contact_centre_111"
POLICE = "internal_affairs"
REGIONAL = "regional_child_rights_body"
HELD = timedelta(minutes=15)


async def reported(house: House, **values: Any) -> UUID:
    given = {"reporter": "child", "occasion": Occasion.INFORMATION, "channel": Channel.WEB}
    alert = an_alert(house.ledger.keys, reporter_agency=None, **(given | values))
    await house.ledger.take(alert)
    return UUID(str(alert.alert_id))


async def roles(house: House) -> set[str]:
    return {row.role for row in await house.rows(deliveries)}


async def release(house: House, alert: UUID, role: str = HUB) -> httpx.Response:
    return await house.client.post(
        f"/v1/alerts/{handle(house, alert, role)}/release", headers=house.as_agency(role)
    )


async def test_the_hub_alone_hears_of_it_and_the_clocks_run_from_receipt(house: House) -> None:
    alert = await reported(house)
    assert await roles(house) == {HUB}
    [delivery] = await house.rows(deliveries)
    [notice] = await house.rows(notices, delivery_id=delivery.id)
    assert (delivery.urgency, json.loads(notice.body)["urgency"]) == (0, "immediate")
    owed = await house.rows(obligations, obliged=HUB)
    assert {row.rule for row in owed} >= {"R136-8a"}
    assert all(row.starts_at == T0 and row.state == "open" for row in owed)
    known = handle(house, alert, HUB)
    shown = (await house.get(f"/v1/alerts/{known}", house.as_agency(HUB))).json()
    assert (shown["held"], shown["held_until"], shown["released_at"]) == (
        "hub", "2026-10-23T10:15:00Z", None,
    )  # fmt: skip
    police = await house.get(f"/v1/alerts/{handle(house, alert, POLICE)}", house.as_agency(POLICE))
    assert police.status_code == 404


async def test_the_hub_releases_it_and_a_second_release_changes_nothing(house: House, now: FrozenNow) -> None:
    alert = await reported(house)
    now.move(timedelta(minutes=2))
    first = await release(house, alert)
    assert first.status_code == 200, first.text
    assert first.json()["released_at"] == "2026-10-23T10:02:00Z"
    sent = await house.rows(deliveries)
    assert {row.role for row in sent} >= {HUB, POLICE, "regional_child_rights_body"}
    assert all(row.planned_at == now() for row in sent if row.role != HUB)
    again = await asyncio.gather(*(release(house, alert) for _ in range(3)))
    assert [(one.status_code, one.json()) for one in again] == [(200, first.json())] * 3
    now.at = T0 + HELD
    await turner(house.ledger)()
    assert {row.id for row in await house.rows(deliveries)} == {row.id for row in sent}
    [kept] = await house.rows(audit, action="alert.released")
    assert (kept.actor, kept.alert_id) == ("client-1", alert)
    line = await house.get(f"/v1/alerts/{alert}/timeline", house.as_role("operator"))
    assert "alert.released" in [one["kind"] for one in line.json()["items"]]


async def test_unreleased_it_leaves_by_itself_after_its_time(house: House, now: FrozenNow) -> None:
    alert = await reported(house)
    now.at = T0 + HELD - timedelta(seconds=1)
    await turner(house.ledger)()
    assert await roles(house) == {HUB}
    now.at = T0 + HELD
    await turner(house.ledger)()
    sent = {row.id for row in await house.rows(deliveries)}
    assert await roles(house) >= {HUB, POLICE}
    assert not await house.rows(obligations, is_held=True)
    late = await release(house, alert)
    assert (late.status_code, late.json()["released_at"]) == (200, None)
    await turner(house.ledger)()
    assert {row.id for row in await house.rows(deliveries)} == sent


async def test_under_a_direct_threat_everything_leaves_at_once(house: House) -> None:
    for clustered in (False, True):
        alert = await reported(house, direct_threat=True, clustered=clustered)
        assert POLICE in {row.role for row in await house.rows(deliveries, alert_id=alert)}
        [row] = await house.rows(alerts, id=alert)
        assert (row.hold, row.needs_a_person) == (None, None)


@pytest.mark.parametrize("clustered", [False, True])
async def test_a_direct_threat_that_is_learned_while_it_waits_lets_it_go(
    house: House, now: FrozenNow, clustered: bool
) -> None:
    """The hub re-rates instead of releasing: nobody waits for the quarter of an hour, nor for a person."""
    alert = await reported(house, clustered=clustered)
    now.move(timedelta(minutes=2))
    path = f"/v1/alerts/{handle(house, alert, HUB)}/rating"
    other = await house.client.post(
        path, json={"reason": "x", "needs_medical_care": True}, headers=house.as_agency(HUB)
    )
    assert other.status_code == 200, other.text
    [row] = await house.rows(alerts, id=alert)
    assert row.released_at is None, "not every re-rating lets it go"
    assert "regional_child_rights_body" not in await roles(house)
    threat = await house.client.post(
        path, json={"reason": "x", "direct_threat": True}, headers=house.as_agency(HUB)
    )
    assert threat.status_code == 200, threat.text
    sent = await house.rows(deliveries)
    assert {row.role for row in sent} >= {HUB, POLICE, "regional_child_rights_body"}
    assert not await house.rows(obligations, is_held=True)
    [row] = await house.rows(alerts, id=alert)
    assert (row.released_at, row.released_by, row.needs_a_person) == (now(), "dabyl", None)
    assert len([row for row in sent if row.role == POLICE and row.notice_no == 1]) == 1
    now.at = T0 + HELD
    await turner(house.ledger)()
    assert (await release(house, alert)).status_code == 200
    assert {row.id for row in await house.rows(deliveries)} >= {row.id for row in sent}
    assert len(await house.rows(deliveries)) == len(sent), "once"


async def rated_and_told(house: House, alert: UUID, now: FrozenNow) -> None:
    """The hub learns that the child is without parents; the regional body gets that notice."""
    now.move(timedelta(minutes=2))
    rated = await house.client.post(
        f"/v1/alerts/{handle(house, alert, HUB)}/rating",
        json={"reason": "x", "without_parental_care": True},
        headers=house.as_agency(HUB),
    )
    assert rated.status_code == 200, rated.text
    [told_] = await house.rows(deliveries, alert_id=alert, role=REGIONAL)
    now.move(timedelta(minutes=1))
    async with house.ledger.db.transaction() as session:
        leases = dict.fromkeys(Urgency, now() + timedelta(seconds=30))
        [one] = await claims.claim(session, [told_.id], uuid4(), now=now(), leases=leases)
        sent = judge(house.ledger.desk, one, Answer(Outcome.ACCEPTED, 200), ended_at=now())
        await write_results(session, house.ledger.desk, [sent], now=now())
    [told_] = await house.rows(deliveries, id=told_.id)
    assert told_.state == "transmitted"


CALLED_OUT = {
    "child_rights_authority",
    "family_mobile_group",
    "psych_support_centre",
    "regional_child_ombudsman",
}


async def test_a_body_that_is_told_of_something_else_meanwhile_still_lets_go_what_it_holds_back(
    house: House, now: FrozenNow
) -> None:
    """Its clocks start with the first notice that it gets, for what is held as well: that keeps its time."""
    await house.ledger.connect(REGIONAL, "http://127.0.0.1:9/hook")
    alert = await reported(house)
    await rated_and_told(house, alert, now)
    held = [row for row in await house.rows(obligations, is_held=True) if row.obliged == REGIONAL]
    assert {row.recipient for row in held} >= CALLED_OUT
    assert {(row.state, row.starts_at, row.dispatch_at) for row in held} == {("open", now(), T0 + HELD)}
    now.at = T0 + HELD
    await turner(house.ledger)()
    assert not await house.rows(obligations, is_held=True)
    assert await roles(house) >= {HUB, POLICE, REGIONAL, *CALLED_OUT}
    assert all(row.delivery_id for row in await house.rows(obligations) if row.id in {one.id for one in held})


async def test_a_clustered_one_still_waits_for_a_person_and_that_is_no_loss(
    house: House, now: FrozenNow
) -> None:
    await house.ledger.connect(REGIONAL, "http://127.0.0.1:9/hook")
    alert = await reported(house, clustered=True)
    await rated_and_told(house, alert, now)
    now.at = T0 + timedelta(hours=1)
    await turner(house.ledger)()
    assert not CALLED_OUT & await roles(house)
    assert Law.NOTICE_WITHOUT_DELIVERY not in await laws(house)
    assert (await release(house, alert)).status_code == 200
    assert await roles(house) >= CALLED_OUT
    assert not await house.rows(obligations, is_held=True)


@pytest.mark.parametrize("clustered", [False, True])
async def test_what_would_never_leave_is_found_however_many_wait_for_a_person(
    house: House, clustered: bool
) -> None:
    """One that lost its time under the hub's hold; one of a cluster that was let go and stayed behind."""
    alert = await reported(house, clustered=clustered)
    for _ in range(2):
        await reported(house, clustered=True)
    assert Law.NOTICE_WITHOUT_DELIVERY not in await laws(house)
    async with house.ledger.db.transaction() as session:
        mine = update(obligations).where(obligations.c.alert_id == alert, obligations.c.is_held.is_(True))
        await session.execute(mine.values(dispatch_at=None))
        if clustered:
            gone = update(alerts).where(alerts.c.id == alert)
            await session.execute(gone.values(released_at=T0, released_by="x"))
    assert Law.NOTICE_WITHOUT_DELIVERY in await laws(house)


async def test_a_clustered_report_waits_for_a_person_with_an_alarm(house: House, now: FrozenNow) -> None:
    alert = await reported(house, clustered=True)
    assert await roles(house) == {HUB}
    [alarm] = [one for one in await told(house.ledger, EscalationRaised) if one.alert_id == alert]
    assert alarm.level == 1
    shown = (await house.get(f"/v1/alerts/{alert}", house.as_role("operator"))).json()
    assert (shown["needs_a_person"], shown["held"], shown["held_until"]) == ("clustered", "cluster", None)
    now.at = T0 + timedelta(hours=3)
    await turner(house.ledger)()
    assert POLICE not in await roles(house)
    assert (await release(house, alert)).status_code == 200
    assert POLICE in await roles(house)
    shown = (await house.get(f"/v1/alerts/{alert}", house.as_role("operator"))).json()
    assert shown["needs_a_person"] is None


async def test_nobody_but_the_hub_releases_it(house: House) -> None:
    alert = await reported(house)
    for role in (POLICE, "regional_child_rights_body"):
        assert (await release(house, alert, role)).status_code == 404
    for role in ("operator", "registrar", "auditor"):
        answer = await house.client.post(f"/v1/alerts/{alert}/release", headers=house.as_role(role))
        assert answer.status_code == 403
    assert await roles(house) == {HUB}


async def test_what_an_agency_reported_is_never_held(house: House) -> None:
    await house.ledger.take(house.ledger.alert())
    [row] = await house.rows(alerts)
    assert row.hold is None
    assert not await house.rows(obligations, is_held=True)
    answer = await house.client.post(
        f"/v1/alerts/{handle(house, row.id, POLICE)}/release", headers=house.as_agency(POLICE)
    )
    assert answer.status_code == 404


@pytest.mark.parametrize("reporter", ["child", "parent", "citizen", "anonymous"])
async def test_whoever_reports_without_an_account_goes_through_the_hub(house: House, reporter: str) -> None:
    await reported(house, reporter=reporter)
    assert await roles(house) == {HUB}


async def test_the_flood_guards_alarm_is_the_first_step_of_the_hubs_ladder(
    house: House, now: FrozenNow
) -> None:
    """Every later step is a level of its own: nothing fails, and nobody else waits for it."""
    ledger = house.ledger
    await ledger.connect(HUB, "https://hub.example/1", rung=1)
    await ledger.connect(HUB, "https://hub.example/2", rung=2)
    await ledger.connect(POLICE, "https://police.example/0")
    await ledger.connect(POLICE, "https://police.example/1", rung=1)
    alert = await reported(house, clustered=True)
    await ledger.take(ledger.alert())
    [hub] = await house.rows(deliveries, role=HUB, alert_id=alert)
    [police] = await house.rows(deliveries, role=POLICE, rung=0)
    turn = turner(ledger)
    for minute, climbed in ((2, [1]), (5, [1, 2])):
        now.at = T0 + timedelta(minutes=minute, seconds=-20)
        async with ledger.db.transaction() as session:
            leases = dict.fromkeys(Urgency, now.at + timedelta(seconds=10))
            due = [row.id for row in await house.rows(deliveries, role=POLICE, state="waiting")]
            assert await claims.claim(session, due, new_id(), now=now(), leases=leases)
        now.at = T0 + timedelta(minutes=minute)
        await turn()
        further = await house.rows(deliveries, escalates_id=hub.id)
        assert sorted(row.rung for row in further) == climbed
        steps = sorted(await house.rows(escalations, delivery_id=hub.id), key=lambda row: row.level)
        assert [(row.level, row.rung) for row in steps] == [
            (1, None), *((rung + 1, rung) for rung in climbed)
        ]  # fmt: skip
        assert steps[0].reason == "clustered"
        [again] = await house.rows(deliveries, id=hub.id)
        assert again.escalation_level == len(steps)
        assert await house.rows(deliveries, escalates_id=police.id, rung=1)
        assert not await house.rows(deliveries, state="leased"), "who lost its lease is reaped"


async def test_a_clustered_report_for_which_there_is_no_hub_keeps_both_its_alarms(
    house: House, now: FrozenNow
) -> None:
    await house.ledger.take(AgencyRetired(agency_id=house.ledger.agencies[HUB], version=2, retired_at=T0))
    alert = await reported(house, clustered=True)
    [lost] = await house.rows(deliveries, alert_id=alert)
    assert lost.agency_id is None
    steps = {(row.level, row.reason) for row in await house.rows(escalations, delivery_id=lost.id)}
    assert steps == {(1, "no_route"), (2, "clustered")}
    now.move(timedelta(minutes=6))
    await turner(house.ledger)()
    found = await house.rows(escalations, delivery_id=lost.id)
    assert sorted(row.level for row in found) == [1, 2, 3]
