"""An organisation that is shut out finds nothing, wherever it looks; the others are told all the same."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.contracts.vocabulary import OffenderRelation
from common.ids import pairwise
from common.testing import FrozenNow
from notifier.domain.exclusion import Exclusion
from notifier.models import deliveries, exclusions, obligations
from notifier.repository.exclusions import add_exclusions
from notifier.service import clocks
from notifier.service.exclusions import row_of
from tests.factories.notifier import an_agency
from tests.service.notifier.conftest import House

POLICE = "internal_affairs"
BODY = "regional_child_rights_body"
SCHOOL = "education_org"


def handle(house: House, alert_id: UUID, agency: UUID) -> UUID:
    return pairwise(house.ledger.keys.secret("pairwise"), alert_id, agency)


async def shut(house: House, alert_id: UUID, agency: UUID, now: FrozenNow) -> None:
    """An exclusion that was stored after the notices went out."""
    row = row_of(Exclusion(alert_id, agency_id=agency), raised_by=BODY, since=now())
    async with house.ledger.db.transaction() as session:
        assert await add_exclusions(session, [row]) == 1


async def everything(house: House, role: str, alert_id: UUID) -> dict[str, Any]:
    """Each answer that this body gets about an alert: status and body by door."""
    headers = house.as_agency(role)
    known = handle(house, alert_id, house.ledger.agencies[role])
    own = await house.rows(deliveries, alert_id=alert_id)
    doors = [
        "/v1/alerts", "/v1/deliveries", "/v1/inbox", f"/v1/alerts/{known}",
        *(f"/v1/alerts/{known}/{part}" for part in ("obligations", "deliveries", "timeline")),
        *(f"/v1/deliveries/{row.id}" for row in own),
    ]  # fmt: skip
    answers = {}
    for door in doors:
        answer = await house.get(door, headers)
        answers[door] = (answer.status_code, answer.json())
    return answers


async def test_every_door_is_shut_to_an_agency_that_was_told_before(house: House, now: FrozenNow) -> None:
    other, alert = house.ledger.alert(), house.ledger.alert()
    await house.ledger.take(other)
    now.move(timedelta(seconds=1))
    await house.ledger.take(alert)
    before = await everything(house, POLICE, alert.alert_id)
    assert len(before["/v1/alerts"][1]["items"]) == 2
    assert len(before["/v1/deliveries"][1]["items"]) == 2
    await shut(house, alert.alert_id, house.ledger.agencies[POLICE], now)
    after = await everything(house, POLICE, alert.alert_id)
    known = str(handle(house, alert.alert_id, house.ledger.agencies[POLICE]))
    for door, (status, body) in after.items():
        assert known not in str(body), door
        if door not in ("/v1/alerts", "/v1/deliveries", "/v1/inbox"):
            assert status == 404, door
    assert [one["id"] for one in after["/v1/alerts"][1]["items"]] == [
        str(handle(house, other.alert_id, house.ledger.agencies[POLICE]))
    ]
    assert len(after["/v1/deliveries"][1]["items"]) == 1
    assert len(after["/v1/inbox"][1]["items"]) == 1
    unknown = await house.get(f"/v1/alerts/{uuid4()}", house.as_agency(POLICE))
    assert after[f"/v1/alerts/{known}"][1] == unknown.json()
    # Whoever else was told sees no less than before.
    assert (await everything(house, BODY, alert.alert_id))["/v1/alerts"][1]["items"]


async def test_pages_have_the_length_that_was_asked_for(house: House, now: FrozenNow) -> None:
    """A hidden row between two others must not make a page shorter: a gap can be counted."""
    alerts = [house.ledger.alert(received_at=now() + timedelta(minutes=one)) for one in range(5)]
    for alert in alerts:
        await house.ledger.take(alert)
        now.move(timedelta(seconds=1))
    for alert in alerts[1:3]:
        await shut(house, alert.alert_id, house.ledger.agencies[POLICE], now)
    for door in ("/v1/alerts", "/v1/deliveries", "/v1/inbox"):
        page = (await house.get(door, house.as_agency(POLICE), limit=2)).json()
        assert len(page["items"]) == 2, door
        rest = (await house.get(door, house.as_agency(POLICE), limit=2, after=page["next"])).json()
        assert len(rest["items"]) == 1, door


async def test_a_receipt_of_somebody_shut_out_is_like_one_for_nothing(house: House, now: FrozenNow) -> None:
    alert = house.ledger.alert()
    await house.ledger.take(alert)
    [row] = await house.rows(deliveries, role=POLICE)
    await shut(house, alert.alert_id, house.ledger.agencies[POLICE], now)
    answers = []
    for delivery in (row.id, uuid4()):
        body = {"delivery": str(delivery)}
        target = f"/v1/deliveries/{delivery}/receipt"
        answers.append(await house.client.post(target, json=body, headers=house.as_agency(POLICE)))
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize("relation", [OffenderRelation.EDUCATION_STAFF, OffenderRelation.ORGANISATION_STAFF])
async def test_without_a_name_every_school_of_the_place_is_shut_out_the_reporting_one_too(
    house: House, relation: OffenderRelation
) -> None:
    alert = house.ledger.alert(offender_relation=relation)
    await house.ledger.take(alert)
    school, body = house.ledger.agencies[SCHOOL], house.ledger.agencies[BODY]
    seen = await everything(house, SCHOOL, alert.alert_id)
    assert seen["/v1/alerts"][1]["items"] == []
    assert all(status == 404 for door, (status, _) in seen.items() if str(alert.alert_id) in door)
    assert school not in {row.agency_id for row in await house.rows(deliveries)}
    owed = await house.rows(obligations, obliged="education_org_head")
    assert {row.obliged_agency_id for row in owed} == {body}
    assert {row.state for row in await house.rows(exclusions)} == {"in_force"}
    told = {row.role for row in await house.rows(deliveries)}
    assert {POLICE, BODY, "regional_child_ombudsman"} <= told


async def test_a_school_of_another_region_reports_and_sees_its_report(house: House) -> None:
    elsewhere = uuid4()
    await house.ledger.take(an_agency(elsewhere, SCHOOL, territory="KZ-10"))
    alert = house.ledger.alert(reporter_agency=elsewhere, offender_relation=OffenderRelation.EDUCATION_STAFF)
    await house.ledger.take(alert)
    headers = house.headers("notifier", agency=elsewhere, bodies=(SCHOOL,), territory="KZ-10")
    known = handle(house, alert.alert_id, elsewhere)
    assert (await house.get(f"/v1/alerts/{known}", headers)).status_code == 200


async def test_the_body_above_is_told_in_place_of_the_one_that_is_named(house: House) -> None:
    ledger = house.ledger
    above = await ledger.register("central_state_body", "KZ")
    police = ledger.agencies[POLICE]
    await ledger.register(POLICE, agency_id=police, version=2, superior=above)
    alert = ledger.alert(implicated=(police,))
    await ledger.take(alert)
    [row] = await house.rows(deliveries, role=POLICE)
    assert (row.agency_id, row.state) == (above, "waiting")
    headers = house.headers("notifier", agency=above, bodies=("central_state_body",), territory="KZ")
    page = (await house.get("/v1/inbox", headers)).json()
    assert [item["delivery"] for item in page["items"]] == [str(row.id)]
    assert (await everything(house, POLICE, alert.alert_id))["/v1/inbox"][1]["items"] == []


async def test_a_duty_that_waited_for_its_day_leaves_for_the_body_above(house: House, now: FrozenNow) -> None:
    """Re-route by time: the commission was told nothing yet when the conflict became known."""
    ledger = house.ledger
    commission = ledger.agencies["minors_commission"]
    above = await ledger.register("local_exec_body")
    await ledger.register("minors_commission", agency_id=commission, version=2, superior=above)
    alert = ledger.alert()
    await ledger.take(alert)
    await shut(house, alert.alert_id, commission, now)

    now.move(timedelta(days=7))
    async with ledger.db.transaction() as session:
        await clocks.turn_clocks(session, ledger.desk, now=now())
    told = {row.agency_id for row in await house.rows(deliveries, alert_id=alert.alert_id)}
    assert commission not in told
    assert above in told


async def test_a_list_in_a_row_stays_one_value(house: House) -> None:
    """Many rows at once travel as arrays on PostgreSQL: a list among them is no further dimension."""
    await house.ledger.take(house.ledger.alert())
    told = await house.rows(deliveries)
    assert len(told) > 3
    assert all(isinstance(row.bodies, list) and row.role in row.bodies for row in told)
