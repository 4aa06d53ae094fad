"""Signed records: whose task it is may record, once, sealed, and notifier is told."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import select

from casework.models import Record
from common.contracts.casework import EVENT_OF
from common.contracts.vocabulary import CaseFactCode
from common.keys import KeyRing
from common.parts import Parts
from common.sealing import unseal
from tests.conftest import Callers
from tests.factories.casework import a_duty, alert_received, obligation_opened
from tests.service.casework.conftest import POLICE, REGIONAL_BODY, Bring
from tests.service.casework.test_joining import joined

Client = httpx2.AsyncClient
Headers = dict[str, str]
Told = Callable[[], Awaitable[list[tuple[str, Any]]]]

CENTRE = UUID("44444444-4444-4444-8444-444444444444")
NAME = "Гүлнар Тәжібайқызы-91c4"
WORDS = "Ананың айтуынша, түнде-55e1"


def a_record(kind: str = "visit.recorded", **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "happened_at": "2026-10-23T09:00:00Z",
        "person": {"name": NAME, "position": "бас маман"},
        "document": {"digest": "ab" * 32, "reference": "17-А"},
        "outcome": WORDS,
    } | more


@pytest.fixture
def centre(caller: Callers) -> Headers:
    return caller("casework", "agency", agency=CENTRE, bodies=("psych_support_centre",))


@pytest.fixture
async def case_id(client: Client, bring: Bring, keys: KeyRing, regional_body: Headers) -> str:
    """The regional body owes a visit and an assessment, the police a check, the centre a consultation."""
    alert = uuid4()
    await bring(
        alert_received(alert),
        obligation_opened(
            keys,
            alert,
            {
                a_duty(): REGIONAL_BODY,
                a_duty("R136-12.3a.visit", evidence=("visit.recorded",)): REGIONAL_BODY,
                a_duty("R136-21", evidence=("assessment.signed",)): REGIONAL_BODY,
                a_duty("R136-11", evidence=("parents.informed", "parents.not_informed")): REGIONAL_BODY,
                a_duty(
                    "R136-12.6.bullying", evidence=("commission.told", "commission.not_told")
                ): REGIONAL_BODY,
                a_duty("R136-15b", obliged="internal_affairs", evidence=("offence_check.recorded",)): POLICE,
                a_duty("R264-16a", obliged="psych_support_centre", evidence=("consultation.held",)): CENTRE,
            },
        ),
    )
    [case] = (await client.get("/v1/cases", headers=regional_body)).json()["items"]
    return str(case["id"])


async def post(client: Client, case_id: str, headers: Headers, body: dict[str, Any]) -> Any:
    return await client.post(f"/v1/cases/{case_id}/records", json=body, headers=headers)


async def test_a_task_says_what_meets_it(client: Client, case_id: str, regional_body: Headers) -> None:
    tasks = (await client.get(f"/v1/cases/{case_id}", headers=regional_body)).json()["tasks"]
    assert {task["rule"]: task["evidence"] for task in tasks}["R136-21"] == ["assessment.signed"]


async def test_a_visit_is_recorded_and_notifier_is_told_without_a_word_of_it(
    client: Client, case_id: str, regional_body: Headers, told: Told, keys: KeyRing, parts: Parts
) -> None:
    answer = await post(client, case_id, regional_body, a_record())
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["person"]["name"], shown["outcome"], shown["document"]["digest"]) == (
        NAME,
        WORDS,
        "ab" * 32,
    )
    [(kind, data)] = await told()
    assert kind == "visit.recorded.v1"
    assert (data["evidence_id"], data["happened_at"]) == (shown["id"], "2026-10-23T09:00:00Z")
    assert len(data["alert_ids"]) == 1
    body = unseal(keys.opening("routing"), base64.b64decode(data["by"]), shown["id"].encode())
    assert json.loads(body) == {"agency": str(REGIONAL_BODY)}
    async with parts.db.reading() as session:
        [row] = (await session.scalars(select(Record))).all()
    for place in (str(data), str(row.model_dump()), row.sealed.decode("latin-1")):
        assert NAME not in place
        assert WORDS not in place
        assert "17-А" not in place
    assert str(REGIONAL_BODY) not in str(data)


async def test_the_same_record_again_is_the_stored_one_also_side_by_side(
    client: Client, case_id: str, regional_body: Headers, told: Told
) -> None:
    answers = await asyncio.gather(*(post(client, case_id, regional_body, a_record()) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 200, 200, 201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert len(await told()) == 1


async def test_only_the_body_whose_task_it_is_may_record(
    client: Client, case_id: str, police: Headers, centre: Headers, regional_body: Headers, caller: Callers,
    told: Told,
) -> None:  # fmt: skip
    for headers, kind in (
        (police, "visit.recorded"),
        (police, "case.closed"),
        (centre, "case.closed"),
        (centre, "assessment.signed"),
        (centre, "measure.assigned.medical"),
        (regional_body, "consultation.held"),
        (regional_body, "case_manager.appointed"),
    ):
        refused = await post(client, case_id, headers, a_record(kind))
        assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (403, "record-not-yours")
    stranger = caller("casework", "agency", agency=uuid4(), bodies=("regional_child_rights_body",))
    hidden = await post(client, case_id, stranger, a_record())
    missing = await post(client, str(uuid4()), stranger, a_record())
    assert (hidden.status_code, hidden.content) == (404, missing.content)
    assert await told() == []
    assert (await post(client, case_id, centre, a_record("consultation.held"))).status_code == 201
    assert (await post(client, case_id, centre, a_record("request.accepted"))).status_code == 201
    assert (await post(client, case_id, regional_body, a_record("measure.assigned.legal"))).status_code == 201


@pytest.mark.parametrize(
    ("further", "may"),
    [
        ({}, True),
        ({a_duty("R136-17", evidence=("case.closed",)): REGIONAL_BODY}, False),
        ({a_duty("R136-17", evidence=("case.closed",)): None}, False),
    ],
    ids=["nobody coordinates", "the regional body coordinates", "nobody holds the role that coordinates"],
)
async def test_the_centre_closes_a_case_that_the_law_gives_no_coordinator(
    client: Client, bring: Bring, keys: KeyRing, centre: Headers, caller: Callers, told: Told,
    further: dict[Any, UUID | None], may: bool,
) -> None:  # fmt: skip
    alert, mayor = uuid4(), uuid4()
    lasting = {"due_at": None, "breach_at": None, "evidence": ("case.closed",)}
    await bring(
        alert_received(alert, concerns=("crisis",)),
        obligation_opened(
            keys,
            alert,
            {
                a_duty("R264-8.5", obliged="psych_support_centre", **lasting): CENTRE,
                a_duty("R264-18d", obliged="local_exec_body", **lasting): mayor,
                **further,
            },
        ),
    )
    [case] = (await client.get("/v1/cases", headers=centre)).json()["items"]
    other = caller("casework", "agency", agency=mayor, bodies=("local_exec_body",))
    assert (await post(client, case["id"], other, a_record("case.closed"))).status_code == 403
    assert (await post(client, case["id"], centre, a_record("case.opened"))).status_code == 403
    answer = await post(client, case["id"], centre, a_record("case.closed"))
    assert answer.status_code == (201 if may else 403)
    said = await told()
    assert [data["fact"] for _, data in said] == (["case.closed"] if may else [])
    # Said for everybody in the case, so it ends what the executive body owes as well.
    assert [data["by"] for _, data in said] == ([None] if may else [])


async def test_the_centre_closes_its_own_alert_and_is_not_told_that_it_is_joined(
    client: Client, bring: Bring, keys: KeyRing, centre: Headers, told: Told
) -> None:
    first, second = uuid4(), uuid4()
    lasting = {"due_at": None, "breach_at": None, "evidence": ("case.closed",)}
    help_, part = a_duty("R136-17", **lasting), a_duty("R264-8.5", obliged="psych_support_centre", **lasting)
    await bring(
        alert_received(first),
        alert_received(second, concerns=("crisis",)),
        obligation_opened(keys, first, {help_: REGIONAL_BODY}),
        obligation_opened(keys, second, {part: CENTRE}),
        joined(first, second),
    )
    [case] = (await client.get("/v1/cases", headers=centre)).json()["items"]
    assert (await post(client, case["id"], centre, a_record("case.closed"))).status_code == 201
    assert [data["alert_ids"] for _, data in await told()] == [[str(second)]]


@pytest.mark.parametrize("decision", ["parents.not_informed", "commission.not_told"])
async def test_a_decision_not_to_tell_somebody_needs_its_reason(
    client: Client, case_id: str, regional_body: Headers, told: Told, decision: str
) -> None:
    refused = await post(client, case_id, regional_body, a_record(decision, outcome=None))
    assert refused.status_code == 422
    assert (await post(client, case_id, regional_body, a_record(decision))).status_code == 201
    assert [data["fact"] for _, data in await told()] == [decision]


async def test_a_record_is_superseded_once_and_never_edited(
    client: Client, case_id: str, regional_body: Headers, centre: Headers, told: Told
) -> None:
    first = (await post(client, case_id, regional_body, a_record())).json()
    later = a_record(happened_at="2026-10-23T09:30:00Z", supersedes=first["id"])
    second = await post(client, case_id, regional_body, later)
    assert second.status_code == 201
    assert [data["supersedes"] for _, data in await told()] == [None, first["id"]]
    third = await post(
        client, case_id, regional_body, a_record(happened_at="2026-10-23T09:40:00Z", supersedes=first["id"])
    )
    assert third.status_code == 409
    foreign = await post(client, case_id, centre, a_record("consultation.held", supersedes=first["id"]))
    assert foreign.status_code == 404
    listed = (await client.get(f"/v1/cases/{case_id}/records", headers=regional_body)).json()["items"]
    assert [(one["id"], one["happened_at"]) for one in listed] == [
        (first["id"], "2026-10-23T09:00:00Z"), (second.json()["id"], "2026-10-23T09:30:00Z"),
    ]  # fmt: skip


async def test_the_coordinating_body_sees_that_others_recorded_and_not_what(
    client: Client, case_id: str, regional_body: Headers, centre: Headers
) -> None:
    await post(client, case_id, centre, a_record("consultation.held"))
    whole = await client.get(f"/v1/cases/{case_id}/records", headers=regional_body)
    assert [one["kind"] for one in whole.json()["items"]] == ["consultation.held"]
    assert NAME not in whole.text
    assert WORDS not in whole.text
    own = await client.get(f"/v1/cases/{case_id}/records", headers=centre)
    assert WORDS in own.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "visit.imagined"}, {"happened_at": "2199-01-01T00:00:00Z"}, {"happened_at": 5},
        {"document": {"digest": "xyz"}}, {"outcome": "\x00"}, {"supersedes": "x"}, {"more": 1},
    ],
)  # fmt: skip
async def test_hostile_records_are_refused_without_an_echo(
    client: Client, case_id: str, regional_body: Headers, wrong: dict[str, Any], told: Told
) -> None:
    refused = await post(client, case_id, regional_body, a_record(**wrong))
    assert 400 <= refused.status_code < 500
    assert NAME not in refused.text
    assert await told() == []


def test_every_event_of_its_own_is_a_fact_of_casework() -> None:
    codes = {code.value for code in CaseFactCode}
    assert set(EVENT_OF) <= codes
    for code, event in EVENT_OF.items():
        assert event.type == f"kz.dabyl.{code}.v1"
