"""An alert changes after it was told: everybody who was told hears it, nothing is closed, nothing is lost."""

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.contracts.intake import AlertCorrected, AlertFacts, AlertReceived, AlertWithdrawn
from common.contracts.vocabulary import Channel, Concern, Occasion, OffenderRelation
from common.sealing import seal
from common.testing import FrozenNow
from notifier.domain.delivery import Outcome
from notifier.jobs import jobs
from notifier.models import (
    alert_handles,
    alerts,
    attempts,
    changes,
    deliveries,
    exclusions,
    fact_versions,
    notices,
    obligations,
)
from tests.factories.notifier import T0, Ledger, a_receipt
from tests.service.notifier.conftest import House

HOUR = timedelta(hours=1)
POLICE = "internal_affairs"
REGIONAL = "regional_child_rights_body"
WORDS = "Көрші айтты: қауіп бар-77d0"


async def planned(house: House, **values: Any) -> AlertReceived:
    alert = house.ledger.alert(**values)
    await house.ledger.take(alert)
    return alert


async def handle(house: House, role: str) -> UUID:
    """The id under which this body knows the only alert, as its inbox or report gave it."""
    [row] = await house.rows(alert_handles, agency_id=house.ledger.agencies[role])
    return UUID(str(row.handle))


async def fetch(house: House, role: str) -> list[dict[str, Any]]:
    """What this body's inbox hands over, as notices; being fetched is being transmitted."""
    answer = await house.get("/v1/inbox", house.as_agency(role))
    return [item["notice"] for item in answer.json()["items"]]


async def rate(house: House, role: str, **learned: Any) -> httpx.Response:
    return await house.client.post(
        f"/v1/alerts/{await handle(house, role)}/rating",
        json={"reason": WORDS} | learned,
        headers=house.as_agency(role),
    )


def correction(ledger: Ledger, alert: AlertReceived, version: int = 2, **facts: Any) -> AlertCorrected:
    routing = {
        "reporter_agency": str(ledger.agencies["education_org"]),
        "implicated": facts.pop("implicated", []),
    }
    sealed = seal(
        ledger.keys.sealing_public("routing"), json.dumps(routing).encode(), str(alert.alert_id).encode()
    )
    given: dict[str, Any] = {
        "territory": "KZ-75",
        "concerns": (Concern.VIOLENCE,),
        "reporter": "education_org",
        "occasion": Occasion.OWN_DUTIES,
        "channel": Channel.SYSTEM,
        "offender_relation": OffenderRelation.OTHER_ADULT,
    }
    return AlertCorrected(
        alert_id=alert.alert_id,
        version=version,
        corrected_at=T0 + version * HOUR,
        facts=AlertFacts(**given | facts),
        routing=base64.b64encode(sealed).decode(),
    )


async def told_of(house: House, kind: str) -> dict[UUID, Any]:
    """The notices of the newest change of this kind, by agency."""
    change = (await house.rows(changes, kind=kind))[-1]
    rows = await house.rows(deliveries, change_id=change.id)
    return {row.agency_id: row for row in rows if row.agency_id is not None}


# --- rating -----------------------------------------------------------------------------------------------


async def test_a_threat_that_is_learned_later_opens_the_stricter_duties_from_then_on(
    house: House, now: FrozenNow
) -> None:
    alert = await planned(house)
    before = {row.id: row for row in await house.rows(obligations)}
    now.move(5 * HOUR)
    answer = await rate(house, REGIONAL, direct_threat=True)
    assert answer.status_code == 200, answer.text
    after = {row.id: row for row in await house.rows(obligations)}
    fresh = [row for key, row in after.items() if key not in before]
    assert fresh
    assert {row.starts_at for row in fresh} == {now()}
    assert {row.since for row in fresh} == {now()}
    assert all(row.due_at is None or row.due_at > now() for row in fresh)
    for key, row in before.items():
        stands = after[key]
        assert (stands.state, stands.starts_at, stands.due_at, stands.breach_at) == (
            row.state, row.starts_at, row.due_at, row.breach_at,
        )  # fmt: skip
    [stored] = await house.rows(alerts)
    assert stored.facts["direct_threat"] is True
    versions = await house.rows(fact_versions, alert_id=alert.alert_id)
    assert [(row.no, row.facts["direct_threat"]) for row in sorted(versions, key=lambda row: row.no)] == [
        (1, False), (2, True),
    ]  # fmt: skip


async def test_whoever_owes_something_new_gets_a_further_notice_that_says_so(house: House) -> None:
    await planned(house)
    last = {row.agency_id: row.notice_no for row in await house.rows(deliveries)}
    await rate(house, REGIONAL, direct_threat=True)
    fresh = [row for row in await house.rows(obligations) if row.since]
    told = await told_of(house, "rerated")
    author = house.ledger.agencies[REGIONAL]
    owing = {row.obliged_agency_id for row in fresh} - {author, None}
    assert owing
    assert owing <= set(told)
    for agency, row in told.items():
        assert row.notice_no == last.get(agency, 0) + 1
        [notice] = await house.rows(notices, delivery_id=row.id)
        said = json.loads(notice.body)
        assert said["change"] == "rerated"
        own = {duty.rule for duty in fresh if duty.obliged_agency_id == agency != author}
        assert own <= {duty["rule"] for duty in said["duties"]}
        assert WORDS not in notice.body.decode()


async def test_who_learned_it_owes_at_once_and_the_others_when_they_hear_it(house: House) -> None:
    await planned(house)
    await rate(house, POLICE, direct_threat=True)
    fresh = [row for row in await house.rows(obligations) if row.since]
    police = house.ledger.agencies[POLICE]
    for row in fresh:
        knows = row.obliged_agency_id == police
        starts = house.ledger.desk.lawbook.edition(row.edition).rule(row.rule).starts
        assert (row.state == "open") is (knows and starts != "notice"), row.rule
    waiting = next(row for row in fresh if row.state == "pending")
    role = next(role for role, agency in house.ledger.agencies.items() if agency == waiting.obliged_agency_id)
    await fetch(house, role)
    [begun] = [row for row in await house.rows(obligations) if row.id == waiting.id]
    assert begun.state == "open"


async def test_what_still_waits_gets_more_urgent_and_never_less(house: House) -> None:
    await planned(house)
    before = {row.id: row.urgency for row in await house.rows(deliveries)}
    assert max(before.values()) > 0
    await rate(house, REGIONAL, direct_threat=True)
    raised = {row.id: row.urgency for row in await house.rows(deliveries)}
    assert {raised[key] for key in before} == {0}
    await rate(house, REGIONAL, direct_threat=False)
    assert {row.id: row.urgency for row in await house.rows(deliveries)}.items() >= raised.items()


async def test_a_duty_that_is_overtaken_is_marked_and_stands(house: House) -> None:
    await planned(house, direct_threat=True)
    owed = {row.rule for row in await house.rows(obligations)}
    await rate(house, REGIONAL, direct_threat=False)
    rows = await house.rows(obligations)
    assert {row.rule for row in rows} >= owed
    overtaken = [row for row in rows if row.overtaken_at]
    assert overtaken
    assert {row.state for row in overtaken} <= {"pending", "open"}
    shown = await house.get(
        f"/v1/alerts/{await handle(house, REGIONAL)}/obligations", house.as_agency(REGIONAL)
    )
    own = [one for one in shown.json()["items"] if one["overtaken_at"]]
    assert all("No longer asked for on these facts" in one["explanation"]["en"][-1] for one in own)
    await rate(house, REGIONAL, direct_threat=True)
    again = {row.id: row.overtaken_at for row in await house.rows(obligations)}
    assert {again[row.id] for row in overtaken} == {None}, "asked for again"


async def test_what_was_known_changes_nothing_however_often_it_is_said(house: House) -> None:
    await planned(house)
    await rate(house, REGIONAL, direct_threat=True)
    before = (len(await house.rows(deliveries)), len(await house.rows(obligations)))
    assert (await rate(house, POLICE, direct_threat=True)).status_code == 200
    assert (len(await house.rows(deliveries)), len(await house.rows(obligations))) == before
    assert len(await house.rows(changes)) == 1


async def test_a_concern_is_added_and_none_is_taken_away(house: House) -> None:
    await planned(house)
    await rate(house, "education_org", concerns=["bullying"])
    [stored] = await house.rows(alerts)
    assert stored.facts["concerns"] == ["bullying", "violence"]


async def test_others_may_not_rate_and_strangers_find_nothing(house: House) -> None:
    await planned(house)
    refused = await rate(house, "family_mobile_group", direct_threat=True)
    assert refused.status_code == 403
    assert WORDS not in refused.text
    mine = await handle(house, POLICE)
    for headers in (house.as_agency(REGIONAL), house.headers("notifier", agency=uuid4(), bodies=(POLICE,))):
        answer = await house.client.post(
            f"/v1/alerts/{mine}/rating", json={"reason": WORDS, "direct_threat": True}, headers=headers
        )
        missing = await house.client.post(
            f"/v1/alerts/{uuid4()}/rating", json={"reason": WORDS, "direct_threat": True}, headers=headers
        )
        assert (answer.status_code, answer.content) == (404, missing.content)
    assert (await house.client.post(
        f"/v1/alerts/{mine}/rating", json={"reason": WORDS}, headers=house.as_role("operator")
    )).status_code == 403  # fmt: skip
    assert await house.rows(changes) == []


async def test_the_reason_lies_sealed(house: House) -> None:
    await planned(house)
    await rate(house, REGIONAL, direct_threat=True)
    [row] = await house.rows(changes)
    assert WORDS.encode() not in row.sealed
    assert WORDS not in str(row)


# --- corrections ------------------------------------------------------------------------------------------


async def test_a_correction_reaches_all_who_were_told_and_is_confirmed_one_by_one(house: House) -> None:
    alert = await planned(house)
    await fetch(house, POLICE)
    first = {row.agency_id: row for row in await house.rows(deliveries)}
    await house.ledger.take(correction(house.ledger, alert))
    told = await told_of(house, "corrected")
    assert set(told) == set(first)
    police = house.ledger.agencies[POLICE]
    for agency, row in told.items():
        assert row.notice_no == first[agency].notice_no + 1
        assert row.urgency <= first[agency].urgency
        [former] = await house.rows(deliveries, id=first[agency].id)
        assert former.state == ("transmitted" if agency == police else "superseded")
    [duty] = await house.rows(
        obligations, rule="R136-8b", recipient_agency_id=house.ledger.agencies[REGIONAL]
    )
    assert duty.delivery_id == told[house.ledger.agencies[REGIONAL]].id

    mine = f"/v1/alerts/{await handle(house, 'education_org')}"
    school = house.as_agency("education_org")
    [change] = (await house.get(mine, school)).json()["changes"]
    assert (change["change"], change["no"], change["confirmed"]) == ("corrected", 2, 0)
    [notice] = [one for one in await fetch(house, POLICE) if one.get("change") == "corrected"]
    [stored] = await house.rows(notices, delivery_id=UUID(notice["delivery"]))
    receipt = a_receipt(notice["delivery"], stored.body)
    answer = await house.client.post(
        f"/v1/deliveries/{notice['delivery']}/receipt", json=receipt, headers=house.as_agency(POLICE)
    )
    assert answer.status_code == 201
    [change] = (await house.get(mine, school)).json()["changes"]
    confirmed = {body["role"]: body["confirmed_at"] is not None for body in change["bodies"]}
    assert confirmed.pop(POLICE) is True
    assert not any(confirmed.values())
    [whole] = (await house.get(f"/v1/alerts/{alert.alert_id}", house.as_role("operator"))).json()["changes"]
    assert (whole["told"], whole["confirmed"]) == (len(first), 1)


async def test_each_notice_of_a_change_is_watched_until_it_is_answered(house: House) -> None:
    alert = await planned(house)
    await house.ledger.take(correction(house.ledger, alert))
    for row in (await told_of(house, "corrected")).values():
        assert row.next_wakeup_at is not None
        assert row.climb_at is not None


@pytest.mark.parametrize("outcome", [None, Outcome.NO_ANSWER, Outcome.LEASE_EXPIRED])
async def test_what_may_have_been_sent_is_not_superseded(house: House, outcome: Outcome | None) -> None:
    alert = await planned(house)
    [sent] = await house.rows(deliveries, role=POLICE)
    attempt = {
        "delivery_id": sent.id,
        "no": 1,
        "claim_token": uuid4(),
        "endpoint_id": None,
        "endpoint_version": None,
        "started_at": T0,
        "outcome": outcome,
        "ended_at": None if outcome is None else T0,
    }
    async with house.ledger.db.transaction() as session:
        await session.execute(attempts.insert().values(**attempt))
    await house.ledger.take(correction(house.ledger, alert))
    [former] = await house.rows(deliveries, id=sent.id)
    assert former.state == "waiting"
    told = await told_of(house, "corrected")
    assert told[former.agency_id].notice_no == former.notice_no + 1
    [duty] = await house.rows(obligations, rule="R136-8a")
    assert duty.delivery_id == former.id


async def test_corrections_that_overtake_one_another_end_with_the_newest(house: House) -> None:
    alert = await planned(house)
    third = correction(house.ledger, alert, 3, needs_medical_care=True)
    second = correction(house.ledger, alert, 2, direct_threat=True)
    await house.ledger.take(third)
    before = len(await house.rows(deliveries))
    await house.ledger.take(second)
    await house.ledger.take(third)
    [stored] = await house.rows(alerts)
    assert (stored.facts["needs_medical_care"], stored.facts["direct_threat"]) == (True, False)
    assert len(await house.rows(deliveries)) == before
    assert sorted(row.no for row in await house.rows(changes)) == [2, 3]


async def test_a_change_before_its_alert_waits_and_is_not_lost(house: House) -> None:
    alert = house.ledger.alert()
    await house.ledger.take(correction(house.ledger, alert, direct_threat=True))
    await house.ledger.take(AlertWithdrawn(alert_id=alert.alert_id, withdrawn_at=T0 + HOUR))
    await house.ledger.take(alert)
    [job] = [
        job
        for job in jobs(house.ledger.db, house.ledger.desk, house.ledger.now)
        if job.name == "settle_changes"
    ]
    await job.run()
    [stored] = await house.rows(alerts)
    assert stored.facts["direct_threat"] is True
    assert all(row.applied_at for row in await house.rows(changes))
    assert set(await told_of(house, "withdrawn")) == set(await told_of(house, "corrected"))


async def test_a_correction_that_implicates_a_body_tells_it_nothing(house: House) -> None:
    alert = await planned(house)
    centre = house.ledger.agencies["psych_support_centre"]
    await fetch(house, "psych_support_centre")
    await house.ledger.take(correction(house.ledger, alert, implicated=[str(centre)]))
    told = await told_of(house, "corrected")
    assert told
    assert centre not in told
    own = [row for row in await house.rows(deliveries) if row.agency_id == centre]
    assert {row.state for row in own} == {"cancelled"}
    owed = [row for row in await house.rows(obligations) if row.obliged_agency_id == centre]
    assert not [row for row in owed if row.state in ("pending", "open")]
    assert len(await house.told("conflict.raised")) == 1


@pytest.mark.parametrize("is_of_report", [True, False])
async def test_a_correction_after_a_conflict_was_lowered(house: House, is_of_report: bool) -> None:
    """It repeats what the report had named, and that stays lowered; whom it names anew is shut out again."""
    centre = house.ledger.agencies["psych_support_centre"]
    alert = await planned(house, **({"implicated": (centre,)} if is_of_report else {}))
    said = {"agency": str(centre), "reason": "тексерілді"}
    assert (await say(house, REGIONAL, said)).status_code == (200 if is_of_report else 201)
    asked = await say(house, REGIONAL, said | {"lower": True})
    lowered = await say(house, POLICE, {"confirms": asked.json()["proposal"]}, "client-9")
    assert lowered.json()["state"] == "lifted", lowered.text
    raised = len(await house.told("conflict.raised"))
    for version in (2, 3):
        await house.ledger.take(correction(house.ledger, alert, version, implicated=[str(centre)]))
        [row] = await house.rows(exclusions)
        assert row.state == ("lifted" if is_of_report else "in_force")
        assert len(await house.told("conflict.raised")) == raised + (not is_of_report)


async def say(house: House, role: str, body: dict[str, Any], subject: str = "client-1") -> httpx.Response:
    return await house.client.post(
        f"/v1/alerts/{await handle(house, role)}/conflicts",
        json=body,
        headers=house.as_agency(role, subject=subject),
    )


async def test_a_withdrawn_report_still_obliges(house: House) -> None:
    alert = await planned(house)
    await fetch(house, POLICE)
    before = {row.id: (row.state, row.due_at) for row in await house.rows(obligations)}
    await house.ledger.take(AlertWithdrawn(alert_id=alert.alert_id, withdrawn_at=T0 + HOUR))
    assert {row.id: (row.state, row.due_at) for row in await house.rows(obligations)} == before
    [notice] = [one for one in await fetch(house, POLICE) if "change" in one]
    assert (notice["change"], notice["notice"]) == ("withdrawn", 2)


# --- unfounded --------------------------------------------------------------------------------------------


async def test_a_finding_needs_two_persons_and_travels(house: House) -> None:
    await planned(house)
    await fetch(house, POLICE)
    path = f"/v1/alerts/{await handle(house, POLICE)}/unfounded"
    anar, bolat = house.as_agency(POLICE, subject="anar"), house.as_agency(POLICE, subject="bolat")
    proposed = await house.client.post(path, json={"reason": WORDS}, headers=anar)
    assert proposed.status_code == 202
    assert await house.rows(changes) == []
    alone = await house.client.post(path, json={"confirms": proposed.json()["proposal"]}, headers=anar)
    assert alone.status_code == 409
    body = {"confirms": proposed.json()["proposal"]}
    for _ in range(2):
        found = await house.client.post(path, json=body, headers=bolat)
        assert found.status_code == 200
    told = await told_of(house, "unfounded")
    assert house.ledger.agencies[REGIONAL] in told
    assert house.ledger.agencies[POLICE] not in told
    assert len(await house.rows(changes)) == 1
    assert not [row for row in await house.rows(obligations) if row.state in ("cancelled", "waived")]
    refused = await house.client.post(
        f"/v1/alerts/{await handle(house, 'education_org')}/unfounded",
        json={"reason": WORDS},
        headers=house.as_agency("education_org"),
    )
    assert refused.status_code == 403


async def test_the_timeline_says_what_became_of_it(house: House) -> None:
    alert = await planned(house)
    await house.ledger.take(correction(house.ledger, alert))
    page = await house.get(f"/v1/alerts/{alert.alert_id}/timeline", house.as_role("operator"))
    assert [one["kind"] for one in page.json()["items"]].count("alert.corrected") == 1


async def test_who_was_not_told_does_not_learn_that_something_changed(house: House) -> None:
    await planned(house)
    await rate(house, REGIONAL, needs_medical_care=True)
    told = await told_of(house, "rerated")
    for role in ("internal_affairs", "psych_support_centre"):
        if house.ledger.agencies[role] not in told:
            shown = await house.get(f"/v1/alerts/{await handle(house, role)}", house.as_agency(role))
            assert shown.json()["changes"] == []
