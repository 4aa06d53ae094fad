"""Who sees which case, and how a case manager is appointed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import select

from casework.models import Appointment
from common.keys import KeyRing
from common.parts import Parts
from common.testing import FrozenNow
from tests.conftest import Callers
from tests.factories.casework import DAY, T0, a_duty, alert_received, obligation_met, obligation_opened
from tests.service.casework.conftest import POLICE, REGIONAL_BODY, SCHOOL, Bring

Client = httpx2.AsyncClient
Headers = dict[str, str]
NAME = "Әлия Қанарейқызы-7f3a"
BODY: dict[str, Any] = {"employee": {"name": NAME, "position": "бас маман"}}


@pytest.fixture
async def case_id(client: Client, bring: Bring, keys: KeyRing, regional_body: Headers) -> str:
    """A case with a task of the regional body, of the police and of a school's head."""
    alert = uuid4()
    await bring(
        alert_received(alert),
        obligation_opened(
            keys,
            alert,
            {
                a_duty(): REGIONAL_BODY,
                a_duty("R136-15b", obliged="internal_affairs", due_at=None, breach_at=None): POLICE,
                a_duty("R136-11.1", obliged="education_org_head"): SCHOOL,
            },
        ),
    )
    [case] = (await client.get("/v1/cases", headers=regional_body)).json()["items"]
    return str(case["id"])


def path(case_id: str) -> str:
    return f"/v1/cases/{case_id}/case-manager"


async def test_the_coordinating_body_sees_all_tasks_and_others_their_own(
    client: Client, case_id: str, regional_body: Headers, police: Headers
) -> None:
    whole = (await client.get(f"/v1/cases/{case_id}", headers=regional_body)).json()
    part = (await client.get(f"/v1/cases/{case_id}", headers=police)).json()
    assert [t["rule"] for t in whole["tasks"]] == sorted(
        (t["rule"] for t in whole["tasks"]), key=lambda rule: rule == "R136-15b"
    )
    assert {t["rule"] for t in whole["tasks"]} == {"R136-12.2", "R136-15b", "R136-11.1"}
    assert [t["rule"] for t in part["tasks"]] == ["R136-15b"]
    assert (whole["coordinating"], part["coordinating"]) == (True, False)
    for shown in (str(whole), str(part)):
        assert str(SCHOOL) not in shown


async def test_a_case_without_a_part_in_it_looks_like_no_case(
    client: Client, case_id: str, caller: Callers
) -> None:
    stranger = caller("casework", "agency", agency=uuid4(), bodies=("regional_child_rights_body",))
    hidden = await client.get(f"/v1/cases/{case_id}", headers=stranger)
    missing = await client.get(f"/v1/cases/{uuid4()}", headers=stranger)
    assert (hidden.status_code, hidden.content) == (404, missing.content)
    denied = await client.post(path(case_id), json=BODY, headers=stranger)
    assert (denied.status_code, denied.content) == (404, missing.content)
    assert (await client.get("/v1/cases", headers=stranger)).json() == {"items": [], "next": None}


async def test_only_agencies_have_cases(client: Client, case_id: str, caller: Callers) -> None:
    for role in ("operator", "registrar", "auditor"):
        headers = caller("casework", role)
        for url in ("/v1/cases", f"/v1/cases/{case_id}", "/v1/tasks"):
            assert (await client.get(url, headers=headers)).status_code == 403
    nameless = caller("casework", "agency", agency=None)
    assert (await client.get("/v1/cases", headers=nameless)).status_code == 403
    assert (await client.get("/v1/cases")).status_code == 401


async def test_a_case_manager_is_appointed_and_notifier_is_told(
    client: Client,
    case_id: str,
    regional_body: Headers,
    told: Callable[[], Awaitable[list[tuple[str, Any]]]],
    now: FrozenNow,
) -> None:
    body = BODY | {"accepted_at": "2026-10-23T14:30:00+05:00"}
    answer = await client.post(path(case_id), json=body, headers=regional_body)
    assert answer.status_code == 201
    shown = answer.json()
    assert shown["employee"] == BODY["employee"]
    assert shown["accepted_at"] == "2026-10-23T09:30:00Z"
    [(kind, data)] = await told()
    assert kind == "case_manager.appointed.v1"
    assert (data["case_id"], data["evidence_id"]) == (case_id, shown["evidence_id"])
    assert data["appointed_at"] == now().isoformat().replace("+00:00", "Z")
    assert len(data["alert_ids"]) == 1
    assert NAME not in str(data)


async def test_the_person_is_sealed_and_shown_to_the_coordinating_body_only(
    client: Client, case_id: str, regional_body: Headers, police: Headers, parts: Parts
) -> None:
    await client.post(path(case_id), json=BODY, headers=regional_body)
    async with parts.db.reading() as session:
        stored = (await session.scalars(select(Appointment))).one()
    assert NAME.encode() not in stored.person
    assert "бас маман".encode() not in stored.person
    own = (await client.get(f"/v1/cases/{case_id}", headers=regional_body)).json()["case_manager"]
    other = await client.get(f"/v1/cases/{case_id}", headers=police)
    assert own["employee"]["name"] == NAME
    assert other.json()["case_manager"]["employee"] is None
    assert other.json()["case_manager"]["appointed_at"] == own["appointed_at"]
    assert NAME not in other.text
    [listed] = (await client.get("/v1/cases", headers=police)).json()["items"]
    assert listed["case_manager"]["employee"] is None


async def test_a_repeat_answers_the_first_appointment_and_another_is_refused(
    client: Client,
    case_id: str,
    regional_body: Headers,
    now: FrozenNow,
    told: Callable[[], Awaitable[list[Any]]],
) -> None:
    first = await client.post(path(case_id), json=BODY, headers=regional_body)
    now.move(timedelta(seconds=30))
    again = await client.post(path(case_id), json=BODY, headers=regional_body)
    other = await client.post(
        path(case_id), json={"employee": {"name": "Басқа", "position": "маман"}}, headers=regional_body
    )
    timed = await client.post(
        path(case_id), json=BODY | {"accepted_at": "2026-10-01T00:00:00Z"}, headers=regional_body
    )
    assert [a.status_code for a in (first, again, other, timed)] == [201, 200, 409, 409]
    assert again.json() == first.json()
    assert NAME not in other.text
    assert len(await told()) == 1


async def test_of_many_at_once_one_is_appointed(
    client: Client, case_id: str, regional_body: Headers, told: Callable[[], Awaitable[list[Any]]]
) -> None:
    same = await asyncio.gather(
        *(client.post(path(case_id), json=BODY, headers=regional_body) for _ in range(5))
    )
    assert sorted(a.status_code for a in same) == [200, 200, 200, 200, 201]
    assert len({a.json()["evidence_id"] for a in same}) == 1
    assert len(await told()) == 1


async def test_only_the_body_that_holds_the_duty_appoints(
    client: Client, case_id: str, police: Headers, told: Callable[[], Awaitable[list[Any]]]
) -> None:
    answer = await client.post(path(case_id), json=BODY, headers=police)
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/not-coordinating")
    assert await told() == []


async def test_without_the_duty_nobody_appoints(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert = uuid4()
    await bring(alert_received(alert), obligation_opened(keys, alert, {a_duty("R136-17"): REGIONAL_BODY}))
    [case] = (await client.get("/v1/cases", headers=regional_body)).json()["items"]
    answer = await client.post(path(case["id"]), json=BODY, headers=regional_body)
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "https://dabyl.kz/problems/no-duty-to-appoint",
    )


async def test_hostile_input_gets_a_problem_without_echo(
    client: Client, case_id: str, regional_body: Headers
) -> None:
    employee = BODY["employee"]
    bodies: list[Any] = [
        {},
        [NAME],
        NAME,
        {"employee": NAME},
        {"employee": {"name": NAME}},
        {"employee": employee | {"name": ""}},
        {"employee": employee | {"name": "\u200b \u200b"}},
        {"employee": employee | {"name": NAME + "\n"}},
        {"employee": employee | {"name": NAME * 50}},
        {"employee": employee | {"name": 7}},
        {"employee": employee | {NAME: 1}},
        BODY | {"iin": NAME},
        BODY | {"accepted_at": NAME},
        BODY | {"accepted_at": 1_700_000_000},
        BODY | {"accepted_at": "2026-10-23T10:00:00"},
        BODY | {"accepted_at": "0001-01-01T00:00:00+14:00"},
        BODY | {"accepted_at": "2027-01-01T00:00:00Z"},
    ]
    for body in bodies:
        answer = await client.post(path(case_id), json=body, headers=regional_body)
        assert answer.status_code == 422, body
        assert answer.headers["content-type"] == "application/problem+json"
        assert NAME not in answer.text
    for url in ("/v1/cases", "/v1/tasks"):
        for after in ("x", "eA", "AAAA", "H_8", "MjAyNi0wMS0wMR94"):
            answer = await client.get(url, params={"after": after}, headers=regional_body)
            assert answer.status_code == 422, (url, after)
        assert (await client.get(url, params={"limit": 0}, headers=regional_body)).status_code == 422
    assert (await client.get("/v1/tasks?state=late", headers=regional_body)).status_code == 422
    assert (await client.get("/v1/cases/none", headers=regional_body)).status_code == 422


async def test_tasks_are_listed_by_urgency_page_by_page(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert = uuid4()
    duties = {
        a_duty(
            f"R{n}", due_at=None if n % 3 == 0 else T0 + timedelta(hours=n // 2), breach_at=None
        ): REGIONAL_BODY
        for n in range(12)
    }
    done = next(iter(duties))
    await bring(obligation_opened(keys, alert, duties), obligation_met(alert, done))
    whole = (await client.get("/v1/tasks?limit=200", headers=regional_body)).json()["items"]
    assert len(whole) == 12
    due = [task["due_at"] for task in whole]
    assert due == sorted(due, key=lambda at: (at is None, at or ""))
    seen: list[str] = []
    after: str | None = None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await client.get("/v1/tasks", params=query, headers=regional_body)).json()
        seen += [task["id"] for task in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [task["id"] for task in whole]
    met = (await client.get("/v1/tasks?state=met", headers=regional_body)).json()["items"]
    assert [task["rule"] for task in met] == [done.rule]


async def test_cases_are_listed_newest_first_page_by_page(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers, now: FrozenNow
) -> None:
    for minute in range(5):
        alert: UUID = uuid4()
        received = T0 + timedelta(minutes=minute)
        await bring(
            alert_received(alert, received_at=received),
            obligation_opened(keys, alert, {a_duty(): REGIONAL_BODY}),
        )
        now.move(timedelta(seconds=minute % 2))
    seen: list[str] = []
    after: str | None = None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await client.get("/v1/cases", params=query, headers=regional_body)).json()
        assert all(case["tasks"] is None for case in page["items"])
        seen += [case["opened_at"] for case in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen[0] == (T0 + timedelta(minutes=4)).isoformat().replace("+00:00", "Z")


async def test_casework_runs_no_clock_of_its_own(
    client: Client, case_id: str, regional_body: Headers, now: FrozenNow, caller: Callers
) -> None:
    now.move(400 * DAY)
    headers = caller("casework", "agency", agency=REGIONAL_BODY)
    tasks = (await client.get("/v1/tasks", headers=headers)).json()["items"]
    assert [(task["state"], task["late"]) for task in tasks] == [("pending", False)]


async def test_four_coordinators_have_four_scopes_and_none_takes_the_place_of_another(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers, police: Headers
) -> None:
    alert, hub, centre, mayor = uuid4(), uuid4(), uuid4(), uuid4()
    await bring(
        alert_received(alert),
        obligation_opened(
            keys,
            alert,
            {
                a_duty("R136-17", due_at=None, breach_at=None): REGIONAL_BODY,
                a_duty("R136-14.3", obliged="contact_centre_111", due_at=None, breach_at=None): hub,
                a_duty("R136-25b", obliged="psych_support_centre", due_at=None, breach_at=None): centre,
                a_duty("R264-18d", obliged="local_exec_body", due_at=None, breach_at=None): mayor,
                a_duty("R136-15b", obliged="internal_affairs", due_at=None, breach_at=None): POLICE,
            },
        ),
    )
    [case] = (await client.get("/v1/cases", headers=regional_body)).json()["items"]
    assert case["coordinators"] == []
    shown = (await client.get(f"/v1/cases/{case['id']}", headers=regional_body)).json()["coordinators"]
    assert [(one["scope"], one["role"], one["agency"]) for one in shown] == [
        ("help", "regional_child_rights_body", str(REGIONAL_BODY)),
        ("supervision", "contact_centre_111", str(hub)),
        ("psychological_help", "psych_support_centre", str(centre)),
        ("joint_work_under_threat", "local_exec_body", str(mayor)),
    ]
    part = (await client.get(f"/v1/cases/{case['id']}", headers=police)).json()["coordinators"]
    assert [one["scope"] for one in part] == [one["scope"] for one in shown]
    assert {one["agency"] for one in part} == {None}
