"""From the first word to the decision of the commission, a correction on the way: each duty by its fact."""

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from dabyl.calls import CallRefused, Calls
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.recording import Agency
from tests.acceptance.reporting import an_alert, send, until

REGION = "kz-62"
PLACE = "KZ-62"
SCHOOL = f"education-org-{REGION}"


def recorded(agency: Agency, case: str, kind: str, **more: Any) -> str:
    """One signed record; answers the id of its evidence."""
    body = {
        "kind": kind,
        "happened_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "person": {"name": "Сынақ Маман", "position": "бас маман"},
        "document": {"digest": "ab" * 32, "reference": "17"},
    } | more
    answer = agency.call("POST", f"/v1/cases/{case}/records", body=json.dumps(body).encode())
    assert answer.status == 201, (kind, answer)
    return str(json.loads(answer.body)["id"])


def tasks_of(agency: Agency) -> list[dict[str, Any]]:
    answer = agency.call("GET", "/v1/tasks?limit=200")
    assert answer.status == 200, answer
    return list(json.loads(answer.body)["items"])


def task(agency: Agency, fact: str) -> dict[str, Any] | None:
    """A task of this body that this fact meets."""
    return next((one for one in tasks_of(agency) if fact in one["evidence"]), None)


def duties_of(calls: Calls, alert: str) -> list[dict[str, Any]]:
    try:
        page = calls.get(f"/v1/alerts/{alert}/obligations", token=calls.token(role="operator"))
    except CallRefused:
        return []
    return list(page["items"])


def confirm_all(agency: Agency) -> list[dict[str, Any]]:
    """Take everything that waits and answer it, as a person would; answers the notices."""
    notices = []
    for item in agency.inbox():
        notice = item["notice"]
        answer = agency.answer(notice, agency.receipt(notice, item["notice_digest"]))
        assert answer.status in (200, 201), answer
        notices.append(notice)
    return notices


def corrections_of(agency: Agency) -> list[dict[str, Any]]:
    return [one for one in agency.inbox() if one["notice"].get("change") == "corrected"]


def met_by(calls: Calls, alert: str, evidence: str) -> list[dict[str, Any]]:
    return [duty for duty in duties_of(calls, alert) if duty["evidence"] == evidence]


@pytest.mark.timeout(120)
def test_every_duty_of_the_chain_is_met_by_its_fact_and_all_who_were_told_confirm_the_correction(
    house: EmbeddedHouse,
) -> None:
    calls = house.calls()
    school = Agency(calls, SCHOOL)
    bodies = {
        name: Agency(calls, f"{name}-{REGION}")
        for name in (
            "regional-child-rights-body",
            "internal-affairs",
            "family-mobile-group",
            "minors-commission",
        )
    }
    coordinating, mobile = bodies["regional-child-rights-body"], bodies["family-mobile-group"]
    commission = bodies["minors-commission"]

    # A teacher reports; the bodies take their notices and answer.
    alert = send(calls, an_alert(territory=PLACE), agency=SCHOOL)["id"]
    for body in (coordinating, mobile, bodies["internal-affairs"]):
        until(body.inbox, seconds=20)
        confirm_all(body)

    # The mobile group visits; the visit meets what the group owes, by reference and as of its time.
    visit_task = until(lambda: task(mobile, "visit.recorded"), seconds=20)
    visit = recorded(mobile, visit_task["case_id"], "visit.recorded", outcome="Болды")
    met = until(lambda: met_by(calls, alert, visit), seconds=20)
    assert {duty["state"] for duty in met} == {"met"}
    assert {duty["obliged"] for duty in met} == {"family_mobile_group"}

    # The body that coordinates assesses and plans: each step opens the next one, and the next one is met.
    case = until(lambda: task(coordinating, "assessment.signed"), seconds=20)["case_id"]
    chain = (
        "case.opened", "inspection_act.signed", "assessment.completed", "assessment.signed",
        "assessment.approved", "plan.drafted", "plan.blocks_complete", "plan.consented", "plan.approved",
    )  # fmt: skip
    for fact in chain:
        if fact not in ("case.opened", "assessment.completed"):
            until(partial(task, coordinating, fact), seconds=20)
        evidence = recorded(coordinating, case, fact)
        if fact != "assessment.completed":
            done = until(partial(met_by, calls, alert, evidence), seconds=20)
            assert {duty["state"] for duty in done} == {"met"}, fact

    # The commission decides, once the notice to it has left.
    waiting = [
        duty for duty in duties_of(calls, alert)
        if duty["recipient"] == "minors_commission" and duty["delivery"] is None
    ]  # fmt: skip
    for duty in waiting:
        owner = school if duty["obliged"].startswith("education_org") else coordinating
        answer = owner.call("POST", f"/v1/obligations/{duty['id']}/release", body=b"{}")
        assert answer.status == 200, answer
    until(commission.inbox, seconds=20)
    confirm_all(commission)
    decision = until(lambda: task(commission, "commission.decided"), seconds=20)
    evidence = recorded(commission, decision["case_id"], "commission.decided", outcome="Шешім")
    until(lambda: met_by(calls, alert, evidence), seconds=20)

    # The teacher was wrong about a detail: everybody who was told hears it and confirms it.
    correction = {
        "reason": "Жасын қате жазыппын",
        "report": an_alert(territory=PLACE, needs_medical_care=True),
    }
    answer = school.call("POST", f"/v1/alerts/{alert}/corrections", body=json.dumps(correction).encode())
    assert answer.status == 201, answer
    for body in bodies.values():
        told = until(partial(corrections_of, body), seconds=20)
        content = json.loads(body.open(told[0]["notice"]).body)
        assert content["version"]["no"] == 2
        confirm_all(body)
    shown = json.loads(calls_as_operator(calls, alert))
    [change] = [one for one in shown["changes"] if one["change"] == "corrected"]
    confirmed = {one["role"] for one in change["bodies"] if one["confirmed_at"]}
    assert {
        "regional_child_rights_body",
        "internal_affairs",
        "family_mobile_group",
        "minors_commission",
    } <= confirmed
    assert change["confirmed"] == len(confirmed) <= change["told"]


def calls_as_operator(calls: Calls, alert: str) -> str:
    return json.dumps(calls.get(f"/v1/alerts/{alert}", token=calls.token(role="operator")))
