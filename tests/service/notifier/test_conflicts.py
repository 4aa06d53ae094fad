"""A conflict of interest that becomes known while an alert runs: a clean loss, and nobody is left untold."""

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.contracts.intake import ContentOpened
from common.ids import pairwise
from common.sealing import unseal
from common.testing import FrozenNow
from notifier.models import audit, deliveries, exclusions, obligations
from notifier.service import clocks, overdue
from tests.service.notifier.conftest import House

POLICE = "internal_affairs"
BODY = "regional_child_rights_body"
SCHOOL = "education_org"
OMBUDSMAN = "regional_child_ombudsman"
REASON = "Қызметкердің ағасы сол бөлімде істейді"


def handle(house: House, alert_id: UUID, role: str) -> UUID:
    return pairwise(house.ledger.keys.secret("pairwise"), alert_id, house.ledger.agencies[role])


@pytest.fixture
async def above(house: House) -> UUID:
    """The body above the police of the district."""
    superior = await house.ledger.register("central_state_body", "KZ")
    police = house.ledger.agencies[POLICE]
    await house.ledger.register(POLICE, agency_id=police, version=2, superior=superior)
    return superior


@pytest.fixture
async def alert_id(house: House, above: UUID) -> UUID:
    alert = house.ledger.alert()
    await house.ledger.take(alert)
    return UUID(str(alert.alert_id))


async def post(
    house: House, alert_id: UUID, by: str, body: dict[str, Any], *, subject: str = "client-1"
) -> httpx.Response:
    return await house.client.post(
        f"/v1/alerts/{handle(house, alert_id, by)}/conflicts",
        json=body,
        headers=house.as_agency(by, subject=subject),
    )


async def flag(house: House, alert_id: UUID, shut: str = POLICE, by: str = BODY) -> httpx.Response:
    body = {"agency": str(house.ledger.agencies[shut]), "reason": REASON}
    return await post(house, alert_id, by, body)


async def pull(house: House, role: str) -> list[dict[str, Any]]:
    answer = await house.get("/v1/inbox", house.as_agency(role))
    return list(answer.json()["items"])


async def test_what_waits_is_cancelled_and_the_body_above_is_told(
    house: House, alert_id: UUID, above: UUID
) -> None:
    answer = await flag(house, alert_id)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"id", "state", "since", "lifted_at"}
    ended, new = sorted(await house.rows(deliveries, role=POLICE), key=lambda row: row.agency_id == above)
    assert (ended.state, ended.transmitted_at) == ("cancelled", None)
    assert (new.agency_id, new.state, new.notice_no) == (above, "waiting", 1)
    [told] = await house.rows(obligations, rule="R136-8a")
    assert (told.delivery_id, told.recipient_agency_id, told.state) == (new.id, above, "open")
    assert await pull(house, POLICE) == []
    headers = house.headers("notifier", agency=above, bodies=("central_state_body",), territory="KZ")
    [item] = (await house.get("/v1/inbox", headers)).json()["items"]
    assert item["notice"]["duties"][0]["rule"] == "R136-8a"
    [met] = await house.rows(obligations, rule="R136-8a")
    assert met.state == "met"


async def test_what_was_sent_is_hidden_and_what_was_known_is_written_down(
    house: House, alert_id: UUID, above: UUID, now: FrozenNow
) -> None:
    [item] = await pull(house, POLICE)
    now.move(timedelta(minutes=3))
    opened = ContentOpened(delivery_id=UUID(item["delivery"]), opened_at=now(), person="client-7")
    await house.ledger.take(opened)
    now.move(timedelta(minutes=3))
    assert (await flag(house, alert_id)).status_code == 201
    assert await pull(house, POLICE) == []
    for path in ("", "/obligations", "/deliveries", "/timeline", "/conflicts"):
        gone = await house.get(f"/v1/alerts/{handle(house, alert_id, POLICE)}{path}", house.as_agency(POLICE))
        assert gone.status_code == 404, path
    assert (await house.get(f"/v1/deliveries/{item['delivery']}", house.as_agency(POLICE))).status_code == 404
    listed = await house.get(f"/v1/alerts/{handle(house, alert_id, BODY)}/conflicts", house.as_agency(BODY))
    # The coordinating body has been sent its notice, but has it been told? By its role in the alert.
    [stands] = listed.json()["items"]
    [known] = stands["known"]
    assert known["delivery"] == item["delivery"]
    assert known["transmitted_at"] < known["opened_at"]
    assert known["acknowledged_at"] is None
    assert stands["raised_by"] == BODY
    assert {row.agency_id for row in await house.rows(deliveries, alert_id=alert_id)} >= {above}
    assert await house.rows(audit, alert_id=alert_id, action="conflict.known")


async def test_no_reason_is_kept_in_the_open(house: House, alert_id: UUID) -> None:
    await flag(house, alert_id)
    [row] = await house.rows(exclusions)
    assert REASON.encode() not in row.reason
    assert REASON not in str(await house.rows(audit))
    for kind in ("conflict.raised", "obligation.opened"):
        for data in await house.told(kind):
            assert str(house.ledger.agencies[POLICE]) not in str(data)


async def test_the_others_hear_it_sealed(house: House, alert_id: UUID) -> None:
    await flag(house, alert_id)
    [data] = await house.told("conflict.raised")
    told = json.loads(data)
    police = str(house.ledger.agencies[POLICE])
    aad = str(alert_id).encode()
    marks = unseal(house.ledger.keys.opening("denial"), base64.b64decode(told["denied"]), aad)
    assert json.loads(marks) == [f"agency:{police}"]
    closed = unseal(house.ledger.keys.opening("assignee"), base64.b64decode(told["shut_out"]), aad)
    assert json.loads(closed)["agencies"] == [police]


async def test_a_flag_twice_changes_nothing(house: House, alert_id: UUID) -> None:
    first, second = await flag(house, alert_id), await flag(house, alert_id, by=OMBUDSMAN)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len(await house.rows(deliveries, role=POLICE)) == 2
    assert len(await house.told("conflict.raised")) == 1


async def test_what_a_school_owed_passes_on_with_a_notice_that_names_it(
    house: House, alert_id: UUID, now: FrozenNow
) -> None:
    await pull(house, BODY)
    owed = await house.rows(obligations, alert_id=alert_id, obliged_agency_id=house.ledger.agencies[SCHOOL])
    unmet = {row.id: row.rule for row in owed if row.state in ("pending", "open")}
    assert set(unmet.values()) >= {"R136-11.1"}
    assert (await flag(house, alert_id, shut=SCHOOL)).status_code == 201
    now.move(timedelta(minutes=2))
    for row in await house.rows(obligations, alert_id=alert_id):
        if row.id in unmet:
            assert row.obliged_agency_id == house.ledger.agencies[BODY]
            assert row.state == "pending"
    further = max(await pull(house, BODY), key=lambda item: int(item["notice"]["notice"]))
    assert further["notice"]["notice"] == 2
    assert "R136-11.1" in {duty["rule"] for duty in further["notice"]["duties"]}
    [passed] = await house.rows(obligations, rule="R136-11.1")
    assert (passed.state, passed.starts_at) == ("open", now())


async def test_every_school_of_the_district_by_its_role(house: House, alert_id: UUID) -> None:
    answer = await post(house, alert_id, POLICE, {"role": SCHOOL, "reason": REASON})
    assert answer.status_code == 201
    school = await house.get(f"/v1/alerts/{handle(house, alert_id, SCHOOL)}", house.as_agency(SCHOOL))
    assert school.status_code == 404


async def test_a_redrive_or_an_alarm_reaches_nobody_who_is_shut_out(
    house: House, alert_id: UUID, above: UUID, now: FrozenNow
) -> None:
    await pull(house, POLICE)
    await flag(house, alert_id)
    for _ in range(12):
        now.move(timedelta(days=1))
        async with house.ledger.db.transaction() as session:
            await overdue.look_at_overdue(session, house.ledger.desk, now=now())
            await clocks.turn_clocks(session, house.ledger.desk, now=now())
    police = house.ledger.agencies[POLICE]
    own = [row for row in await house.rows(deliveries, alert_id=alert_id) if row.agency_id == police]
    assert [row.state for row in own] == ["cancelled"]
    assert await pull(house, POLICE) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": REASON},
        {"agency": str(uuid4())},
        {"agency": str(uuid4()), "role": SCHOOL, "reason": REASON},
        {"confirms": str(uuid4()), "reason": REASON},
        {"agency": "x", "reason": REASON},
        {"agency": str(uuid4()), "reason": " "},
        {"role": "A'; --", "reason": REASON},
        {"agency": str(uuid4()), "reason": REASON, "lower": 1},
        {"agency": str(uuid4()), "reason": REASON, "more": True},
    ],
)
async def test_hostile_flags_are_refused(house: House, alert_id: UUID, body: dict[str, Any]) -> None:
    answer = await post(house, alert_id, BODY, body)
    assert answer.status_code == 422, answer.text
    assert await house.rows(exclusions) == []


async def test_whoever_was_not_told_raises_nothing(house: House, alert_id: UUID) -> None:
    body = {"agency": str(uuid4()), "reason": REASON}
    stranger = house.as_agency("minors_commission")
    answers = [
        await house.client.post(f"/v1/alerts/{known}/conflicts", json=body, headers=stranger)
        for known in (handle(house, alert_id, "minors_commission"), handle(house, alert_id, POLICE), uuid4())
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    for role, status in (("operator", 403), ("registrar", 403), ("auditor", 403)):
        answer = await house.client.post(
            f"/v1/alerts/{alert_id}/conflicts", json=body, headers=house.as_role(role)
        )
        assert answer.status_code == status


async def lowering(house: House, alert_id: UUID, by: str, **more: Any) -> httpx.Response:
    body = {"agency": str(house.ledger.agencies[SCHOOL]), "reason": "тексерілді", "lower": True}
    return await post(house, alert_id, by, body, **more)


async def test_two_bodies_lower_it_together(house: House, alert_id: UUID) -> None:
    await flag(house, alert_id, shut=SCHOOL)
    asked = await lowering(house, alert_id, BODY)
    assert asked.status_code == 202, asked.text
    proposal = asked.json()["proposal"]
    for by, subject in ((BODY, "client-1"), (BODY, "client-2")):
        again = await post(house, alert_id, by, {"confirms": proposal}, subject=subject)
        assert again.status_code == 409, again.text
    assert (await post(house, alert_id, OMBUDSMAN, {"confirms": proposal})).status_code == 403
    assert (await post(house, alert_id, POLICE, {"confirms": str(uuid4())})).status_code == 404
    hidden = await house.get(f"/v1/alerts/{handle(house, alert_id, SCHOOL)}", house.as_agency(SCHOOL))
    assert hidden.status_code == 404
    done = await post(house, alert_id, POLICE, {"confirms": proposal}, subject="client-9")
    assert (done.status_code, done.json()["state"]) == (200, "lifted")
    seen = await house.get(f"/v1/alerts/{handle(house, alert_id, SCHOOL)}", house.as_agency(SCHOOL))
    assert seen.status_code == 200
    once_more = await post(house, alert_id, POLICE, {"confirms": proposal}, subject="client-9")
    assert once_more.json() == done.json()
    assert len(await house.told("conflict.lowered")) == 1
    raised = await flag(house, alert_id, shut=SCHOOL)
    assert raised.status_code == 201
    assert raised.json()["since"] > done.json()["lifted_at"]


@pytest.mark.parametrize("role", [POLICE, BODY, "guardianship_body"])
async def test_who_must_help_is_shut_out_by_name_only(house: House, alert_id: UUID, role: str) -> None:
    """Every holder of the role, those above included, would leave nobody in their place."""
    answer = await post(house, alert_id, SCHOOL, {"role": role, "reason": REASON})
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"].endswith("conflict-must-be-named")
    assert await house.rows(exclusions) == []


async def test_without_police_two_persons_of_the_other_body_lower_it(
    house: House, alert_id: UUID, above: UUID
) -> None:
    await flag(house, alert_id, shut=POLICE)
    asked = await lower_police(house, alert_id, "client-1", {"reason": "тексерілді", "lower": True})
    confirms = {"confirms": asked.json()["proposal"]}
    # The body above stands in for the police: it is asked, not a colleague.
    assert (await lower_police(house, alert_id, "client-2", confirms)).status_code == 409
    assert (await flag(house, alert_id, shut="central_state_body")).status_code == 201
    offered = await house.get(
        f"/v1/alerts/{handle(house, alert_id, BODY)}", house.as_agency(BODY, subject="client-2")
    )
    assert [each["may_confirm"] for each in offered.json()["proposals"]] == [True]
    assert (await lower_police(house, alert_id, "client-1", confirms)).status_code == 409
    done = await lower_police(house, alert_id, "client-2", confirms)
    assert (done.status_code, done.json()["state"]) == (200, "lifted")


async def lower_police(house: House, alert_id: UUID, subject: str, body: dict[str, Any]) -> httpx.Response:
    named = {} if "confirms" in body else {"agency": str(house.ledger.agencies[POLICE])}
    return await post(house, alert_id, BODY, named | body, subject=subject)


async def test_nobody_takes_the_last_body_that_could_help(house: House, alert_id: UUID) -> None:
    for role in (POLICE, "central_state_body"):
        assert (await flag(house, alert_id, shut=role)).status_code == 201
    before = {row.id: row.state for row in await house.rows(deliveries)}
    refused = await flag(house, alert_id, shut=BODY, by=OMBUDSMAN)
    assert refused.status_code == 409, refused.text
    assert refused.json()["type"].endswith("conflict-leaves-nobody")
    assert {row.id: row.state for row in await house.rows(deliveries)} == before
    assert len(await house.rows(exclusions)) == 2
    assert len(await house.told("conflict.raised")) == 2


async def test_nobody_else_asks_to_lower_it(house: House, alert_id: UUID) -> None:
    await flag(house, alert_id, shut=SCHOOL)
    assert (await lowering(house, alert_id, OMBUDSMAN)).status_code == 403
    listed = await house.get(
        f"/v1/alerts/{handle(house, alert_id, OMBUDSMAN)}/conflicts", house.as_agency(OMBUDSMAN)
    )
    assert listed.status_code == 404
