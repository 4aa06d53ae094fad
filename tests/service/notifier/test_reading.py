"""Who sees what: operator ids and states, agencies their own, everybody else nothing."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.ids import pairwise
from common.testing import FrozenNow
from notifier.domain.calendar import LOCAL
from notifier.models import deliveries, obligations
from tests.service.notifier.conftest import House

POLICE = "internal_affairs"
SCHOOL = "education_org"


def handle(house: House, alert_id: UUID, role: str) -> UUID:
    return pairwise(house.ledger.keys.secret("pairwise"), alert_id, house.ledger.agencies[role])


@pytest.fixture
async def alert_id(house: House) -> UUID:
    alert = house.ledger.alert()
    await house.ledger.take(alert)
    return UUID(str(alert.alert_id))


async def items(house: House, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await house.get(path, headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_the_operator_uses_the_internal_id_or_any_handle(house: House, alert_id: UUID) -> None:
    for known in (alert_id, handle(house, alert_id, POLICE), handle(house, alert_id, SCHOOL)):
        answer = await house.get(f"/v1/alerts/{known}", house.as_role("operator"))
        assert answer.status_code == 200
        assert answer.json()["id"] == str(alert_id)
        assert answer.json()["number"] == "7K4M-Q2XP-9"


async def test_an_operator_reads_no_facts(house: House, alert_id: UUID) -> None:
    for path in ("", "/deliveries", "/obligations", "/timeline"):
        text = (await house.get(f"/v1/alerts/{alert_id}{path}", house.as_role("operator"))).text
        for fact in ("KZ-75", '"violence"', "other_adult"):
            assert fact not in text


async def test_an_agency_uses_its_own_id_only(house: House, alert_id: UUID) -> None:
    police = house.as_agency(POLICE)
    assert (await house.get(f"/v1/alerts/{handle(house, alert_id, POLICE)}", police)).status_code == 200
    for other in (alert_id, handle(house, alert_id, SCHOOL), uuid4()):
        for path in ("", "/deliveries", "/obligations", "/timeline"):
            answer = await house.get(f"/v1/alerts/{other}{path}", police)
            assert answer.status_code == 404
            assert str(other) not in answer.text


@pytest.mark.parametrize("role", ["registrar", "auditor"])
async def test_nobody_else_sees_any_alert(house: House, alert_id: UUID, role: str) -> None:
    for path in ("", "/deliveries", "/obligations", "/timeline"):
        answer = await house.get(f"/v1/alerts/{alert_id}{path}", house.as_role(role))
        assert answer.status_code == 404
    assert (await house.get("/v1/alerts", house.as_role(role))).status_code == 404
    assert (await house.get("/v1/deliveries", house.as_role(role))).status_code == 404


async def test_without_a_token_there_is_nothing(house: House, alert_id: UUID) -> None:
    assert (await house.get(f"/v1/alerts/{alert_id}", {})).status_code == 401


async def test_an_agency_that_was_not_told_cannot_tell_that_an_alert_exists(
    house: House, alert_id: UUID
) -> None:
    commission = house.as_agency("minors_commission")
    assert await items(house, "/v1/alerts", commission) == []
    own = pairwise(house.ledger.keys.secret("pairwise"), alert_id, house.ledger.agencies["minors_commission"])
    unknown = await house.get(f"/v1/alerts/{uuid4()}", commission)
    known = await house.get(f"/v1/alerts/{own}", commission)
    assert unknown.status_code == known.status_code == 404
    assert unknown.json() == known.json()


async def test_the_recipient_sees_its_own_delivery_and_duties(house: House, alert_id: UUID) -> None:
    own = handle(house, alert_id, POLICE)
    police = house.as_agency(POLICE)
    [delivery] = await items(house, f"/v1/alerts/{own}/deliveries", police)
    assert delivery["role"] == POLICE
    assert delivery["alert"] == str(own)
    duties = await items(house, f"/v1/alerts/{own}/obligations", police)
    assert {duty["rule"] for duty in duties} == {"R136-8a", "R136-15a", "R136-15b"}
    # Who told it stays hidden; what it owes itself is its own.
    assert {duty["obliged_agency"] for duty in duties if duty["rule"] == "R136-8a"} == {None}
    assert (await house.get(f"/v1/alerts/{own}", police)).json()["number"] is None


async def test_the_reporter_sees_how_far_its_own_duties_have_come(house: House, alert_id: UUID) -> None:
    own = handle(house, alert_id, SCHOOL)
    school = house.as_agency(SCHOOL)
    found = await items(house, f"/v1/alerts/{own}/deliveries", school)
    assert {one["role"] for one in found} == {
        POLICE, "regional_child_rights_body", "regional_child_ombudsman",
    }  # fmt: skip
    for one in found:
        assert {duty["rule"] for duty in one["duties"]} <= {"R136-8a", "R136-8b", "R136-8c"}
        assert one["content"] is None
        assert one["notice_digest"] is None
    assert (await house.get(f"/v1/alerts/{own}", school)).json()["number"] == "7K4M-Q2XP-9"


async def test_contact_centre_111_supervises_the_alerts_that_it_holds(house: House) -> None:
    alert = house.ledger.alert(
        reporter_agency=house.ledger.agencies["contact_centre_111"], reporter="contact_centre_111"
    )
    await house.ledger.take(alert)
    own = handle(house, alert.alert_id, "contact_centre_111")
    hub = house.as_agency("contact_centre_111")
    all_of_them = await house.rows(obligations, alert_id=alert.alert_id)
    assert len(await items(house, f"/v1/alerts/{own}/obligations", hub)) == len(all_of_them)
    assert len(await items(house, f"/v1/alerts/{own}/deliveries", hub)) == len(
        await house.rows(deliveries, alert_id=alert.alert_id)
    )
    stranger = house.ledger.alert()
    await house.ledger.take(stranger)
    assert (await house.get(f"/v1/alerts/{stranger.alert_id}", hub)).status_code == 404


async def test_the_live_list_is_newest_first_pages_and_costs_nothing_when_unchanged(house: House) -> None:
    for _ in range(5):
        await house.ledger.take(house.ledger.alert(received_at=house.parts.now()))
        house.parts.now.move(timedelta(seconds=1))  # type: ignore[attr-defined]  # a FrozenNow
    operator = house.as_role("operator")
    first = await house.get("/v1/alerts", operator, limit=2)
    seen = first.json()["items"]
    cursor = first.json()["next"]
    while cursor:
        page = (await house.get("/v1/alerts", operator, limit=2, after=cursor)).json()
        seen += page["items"]
        cursor = page["next"]
    times = [one["received_at"] for one in seen]
    assert times == sorted(times, reverse=True)
    assert len({one["id"] for one in seen}) == 5
    assert seen[0]["states"] == {"waiting": 8}
    again = await house.client.get(
        "/v1/alerts", params={"limit": 2}, headers={**operator, "If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    for cursor in ("x", "%%%", "AAAA", first.json()["next"] + "A"):
        assert (await house.get("/v1/alerts", operator, after=cursor)).status_code == 422


async def test_deliveries_are_filtered_and_paged(house: House, alert_id: UUID) -> None:
    operator = house.as_role("operator")
    page = (await house.get("/v1/deliveries", operator, limit=3)).json()
    assert len(page["items"]) == 3
    rest = (await house.get("/v1/deliveries", operator, limit=200, after=page["next"])).json()
    assert len(rest["items"]) == 5
    assert rest["next"] is None
    police = str(house.ledger.agencies[POLICE])
    one = (await house.get("/v1/deliveries", operator, agency=police)).json()["items"]
    assert [found["agency"] for found in one] == [police]
    assert (await house.get("/v1/deliveries", operator, state="dead")).json()["items"] == []
    assert (await house.get("/v1/deliveries", operator, state="asleep")).status_code == 422
    own = (await house.get("/v1/deliveries", house.as_agency(POLICE))).json()["items"]
    assert [found["agency"] for found in own] == [police]
    others = await house.get(
        "/v1/deliveries", house.as_agency(POLICE), agency=str(house.ledger.agencies[SCHOOL])
    )
    assert others.json()["items"] == []
    assert alert_id


async def test_the_timeline_is_in_order_and_carries_the_trace_for_the_operator_only(
    house: House, alert_id: UUID
) -> None:
    told = (await house.get(f"/v1/alerts/{alert_id}/timeline", house.as_role("operator"))).json()
    times = [fact["at"] for fact in told["items"]]
    assert times == sorted(times)
    kinds = [fact["kind"] for fact in told["items"]]
    assert kinds[0] == "alert.received"
    assert kinds.count("delivery.planned") == 8
    own = handle(house, alert_id, POLICE)
    theirs = (await house.get(f"/v1/alerts/{own}/timeline", house.as_agency(POLICE))).json()
    assert theirs["trace_id"] is None
    assert [fact["kind"] for fact in theirs["items"]].count("delivery.planned") == 1


async def test_preview_says_what_planning_does_and_stores_nothing(house: House, alert_id: UUID) -> None:
    laid = await house.rows(obligations, alert_id=alert_id)
    before = len(await house.rows(obligations))
    answer = await house.client.post(
        "/v1/obligations/preview",
        json={
            "territory": "KZ-75",
            "concerns": ["violence"],
            "alleged_offender": {"relation": "other_adult"},
            "reporter": SCHOOL,
            "received_at": "2026-10-23T10:00:00Z",
        },
        headers=house.as_agency(SCHOOL),
    )
    assert answer.status_code == 200, answer.text
    shown = answer.json()["obligations"]
    assert sorted((one["rule"], one["obliged"], one["recipient"] or "") for one in shown) == sorted(
        (row.rule, row.obliged, row.recipient or "") for row in laid
    )
    assert len(await house.rows(obligations)) == before


@pytest.mark.parametrize(
    "change",
    [
        {"concerns": []},
        {"concerns": ["rumour"]},
        {"territory": "Almaty"},
        {"territory": 75},
        {"received_at": 5},
        {"received_at": "2026-10-23T10:00:00"},
        {"received_at": "0001-01-01T00:00:00+14:00"},
        {"direct_threat": "yes"},
        {"child_age": 18},
        {"child_age": "7"},
        {"narrative": "secret"},
        {"reporter": "Teacher!"},
    ],
)
async def test_a_preview_of_nonsense_is_refused_without_an_echo(house: House, change: dict[str, Any]) -> None:
    body = {"territory": "KZ-75", "concerns": ["violence"]} | change
    answer = await house.client.post("/v1/obligations/preview", json=body, headers=house.as_agency(SCHOOL))
    assert answer.status_code == 422, answer.text
    assert "secret" not in answer.text
    assert "narrative" not in answer.text


async def test_every_duty_says_in_three_languages_why_and_by_when(house: House, alert_id: UUID) -> None:
    operator = house.as_role("operator")
    duties = await items(house, f"/v1/alerts/{alert_id}/obligations", operator)
    assert {duty["state"] for duty in duties} >= {"open", "pending"}
    for duty in duties:
        edition = house.ledger.desk.lawbook.edition(duty["edition"])
        told = duty["explanation"]
        assert set(told) == {"kk", "ru", "en"}
        for language, lines in told.items():
            citation = edition.rule(duty["rule"]).citation.trilingual()[language]
            assert lines[0].startswith(f"{duty['rule']} · {citation} · ")
            reading = edition.rule(duty["rule"]).reading
            assert reading is None or any(reading.trilingual()[language] in line for line in lines)
            if duty["due_at"] is not None:
                due = datetime.fromisoformat(duty["due_at"]).astimezone(LOCAL)
                assert any(f"{due:%d.%m.%Y %H:%M:%S}" in line for line in lines), lines


async def test_the_clock_in_words_is_the_clock_in_the_ledger_also_after_its_true_start(
    house: House, alert_id: UUID, now: FrozenNow
) -> None:
    """The projected limits of a pending duty are replaced in words as well when its holder is told."""

    async def upward() -> dict[str, Any]:
        operator = house.as_role("operator")
        found = await items(house, f"/v1/alerts/{alert_id}/obligations", operator)
        return next(duty for duty in found if duty["rule"] == "R136-12.1")

    before = await upward()
    assert before["state"] == "pending"
    assert any("starts when" in line for line in before["explanation"]["en"])
    now.move(timedelta(minutes=50))
    body = house.as_agency("regional_child_rights_body")
    await house.get("/v1/inbox", body)
    after = await upward()
    assert after["due_at"] > before["due_at"]
    due = datetime.fromisoformat(after["due_at"]).astimezone(LOCAL)
    assert any(f"{due:%H:%M:%S}" in line for line in after["explanation"]["en"])
    assert not any("starts when" in line for line in after["explanation"]["en"])
