"""A case of which an agency must not know is not there, and what it owed has another owner."""

import base64
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import httpx2

from common.contracts.notifier import ConflictLowered, ConflictRaised
from common.keys import KeyRing
from common.sealing import seal
from tests.factories.casework import T0, a_duty, alert_received, obligation_opened
from tests.service.casework.conftest import POLICE, REGIONAL_BODY, SCHOOL, Bring

Client = httpx2.AsyncClient
Callers = Callable[..., dict[str, str]]


def sealed(keys: KeyRing, alert: UUID, agencies: list[UUID], assignees: dict[UUID, UUID]) -> str:
    document = {
        "agencies": [str(one) for one in agencies],
        "assignees": {str(duty): str(agency) for duty, agency in assignees.items()},
    }
    public = keys.sealing_public("assignee")
    return base64.b64encode(seal(public, json.dumps(document).encode(), str(alert).encode())).decode()


def raised(
    keys: KeyRing, alert: UUID, agency: UUID, assignees: dict[UUID, UUID] | None = None, minutes: int = 1
) -> ConflictRaised:
    at = T0 + timedelta(minutes=minutes)
    told = sealed(keys, alert, [agency], assignees or {})
    return ConflictRaised(alert_id=alert, raised_at=at, denied="", shut_out=told)


def lowered(keys: KeyRing, alert: UUID, agency: UUID, minutes: int) -> ConflictLowered:
    at = T0 + timedelta(minutes=minutes)
    return ConflictLowered(
        alert_id=alert, lowered_at=at, denied="", shut_out=sealed(keys, alert, [agency], {})
    )


async def listed(client: Client, headers: dict[str, str], path: str) -> list[dict[str, object]]:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_case_and_tasks_of_somebody_shut_out_are_gone_and_have_another_owner(
    client: Client, bring: Bring, keys: KeyRing, caller: Callers
) -> None:
    school = caller("casework", agency=SCHOOL, bodies=("education_org",))
    body = caller("casework", agency=REGIONAL_BODY, bodies=("regional_child_rights_body",))
    appoint, tell = a_duty(), a_duty("R136-11.1", obliged="education_org_head", state="open")
    passed = tell.model_copy(update={"state": "pending"})
    old = {appoint: REGIONAL_BODY, tell: SCHOOL}
    new = {appoint: REGIONAL_BODY, passed: REGIONAL_BODY}
    for order in itertools.permutations(range(3)):
        alert = uuid4()
        fresh = {duty: duty.model_copy(update={"obligation_id": uuid4()}) for duty in (appoint, tell)}
        ids = {duty.obligation_id: fresh[duty].obligation_id for duty in (appoint, tell)}

        def renamed(duties: dict[object, UUID], ids: dict[UUID, UUID] = ids) -> dict[object, UUID]:
            return {
                duty.model_copy(update={"obligation_id": ids[duty.obligation_id]}): owner  # type: ignore[attr-defined]  # all are duties
                for duty, owner in duties.items()
            }

        events = [
            obligation_opened(keys, alert, renamed(old)),  # type: ignore[arg-type]  # as above
            raised(keys, alert, SCHOOL, {ids[tell.obligation_id]: REGIONAL_BODY}),
            obligation_opened(keys, alert, renamed(new)),  # type: ignore[arg-type]  # as above
        ]
        await bring(alert_received(alert), *(events[at] for at in order), events[order[0]])
        assert await listed(client, school, "/v1/cases") == [], order
        assert await listed(client, school, "/v1/tasks") == [], order
        case = (await listed(client, body, "/v1/cases"))[0]["id"]
        shown = (await client.get(f"/v1/cases/{case}", headers=body)).json()
        assert sorted(task["rule"] for task in shown["tasks"]) == ["R136-11.1", "R136-12.2"], order
        missing = await client.get(f"/v1/cases/{uuid4()}", headers=school)
        hidden = await client.get(f"/v1/cases/{case}", headers=school)
        assert (hidden.status_code, hidden.content) == (404, missing.content)


async def test_another_body_coordinates_where_the_coordinating_one_is_shut_out(
    client: Client, bring: Bring, keys: KeyRing, caller: Callers
) -> None:
    alert, above, appoint = uuid4(), uuid4(), a_duty()
    await bring(
        alert_received(alert),
        obligation_opened(keys, alert, {appoint: REGIONAL_BODY}),
        raised(keys, alert, REGIONAL_BODY, {appoint.obligation_id: above}),
        obligation_opened(keys, alert, {appoint: REGIONAL_BODY}),
    )
    body = caller("casework", agency=REGIONAL_BODY, bodies=("regional_child_rights_body",))
    superior = caller("casework", agency=above, bodies=("child_rights_authority",))
    assert await listed(client, body, "/v1/cases") == []
    [case] = await listed(client, superior, "/v1/cases")
    assert case["coordinating"] is True


async def test_lowered_is_seen_again_whatever_came_first(
    client: Client, bring: Bring, keys: KeyRing, caller: Callers
) -> None:
    police = caller("casework", agency=POLICE, bodies=("internal_affairs",))
    task = a_duty("R136-15a", obliged="internal_affairs")
    for order in itertools.permutations(range(2)):
        alert = uuid4()
        duty = task.model_copy(update={"obligation_id": uuid4()})
        own = {duty.obligation_id: POLICE}
        events = [raised(keys, alert, POLICE, own, 1), lowered(keys, alert, POLICE, 2)]
        before = len(await listed(client, police, "/v1/cases"))
        await bring(
            alert_received(alert),
            obligation_opened(keys, alert, {duty: POLICE}),
            *(events[at] for at in order),
        )
        assert len(await listed(client, police, "/v1/cases")) == before + 1, order
