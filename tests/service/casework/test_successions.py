"""A retired body's tasks and case have another owner; why a task was late stands with it."""

import base64
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2

from common.contracts import Event
from common.contracts.notifier import BreachExplained, ObligationPassed
from common.keys import KeyRing
from common.sealing import seal
from tests.factories.casework import T0, a_duty, alert_received, obligation_breached, obligation_opened
from tests.service.casework.conftest import POLICE, REGIONAL_BODY, Bring
from tests.service.casework.test_conflicts import listed, raised

Client = httpx2.AsyncClient
Callers = Callable[..., dict[str, str]]
ROLE = "regional_child_rights_body"
HEIR, LAST = uuid4(), uuid4()


def passed(keys: KeyRing, alert: UUID, former: UUID, heir: UUID) -> ObligationPassed:
    document = {"former": str(former), "heirs": {ROLE: str(heir)}}
    sealed = seal(keys.sealing_public("assignee"), json.dumps(document).encode(), str(alert).encode())
    told = base64.b64encode(sealed).decode()
    return ObligationPassed(alert_id=alert, obligations=(), passed_at=T0, passed=told)


async def owners(client: Client, caller: Callers, alert_duty: UUID) -> dict[UUID, tuple[bool, int]]:
    """Who coordinates the case, and who has its task."""
    found = {}
    for agency in (REGIONAL_BODY, HEIR, LAST):
        headers = caller("casework", agency=agency, bodies=(ROLE,))
        tasks = [
            task
            for task in await listed(client, headers, "/v1/tasks")
            if task["obligation_id"] == str(alert_duty)
        ]
        cases = await listed(client, headers, "/v1/cases")
        found[agency] = (any(case["coordinating"] for case in cases), len(tasks))
    return found


async def test_case_and_tasks_pass_in_any_order_of_events_and_from_heir_to_heir(
    client: Client, bring: Bring, keys: KeyRing, caller: Callers
) -> None:
    for order in itertools.permutations(range(4)):
        alert, duty = uuid4(), a_duty()
        events: list[Event] = [
            alert_received(alert),
            obligation_opened(keys, alert, {duty: REGIONAL_BODY}),
            passed(keys, alert, REGIONAL_BODY, HEIR),
            passed(keys, alert, HEIR, LAST),
        ]
        await bring(*(events[at] for at in order), events[order[1]])
        found = await owners(client, caller, duty.obligation_id)
        assert found[LAST] == (True, 1), order
        assert found[REGIONAL_BODY] == (False, 0), order
        assert found[HEIR] == (False, 0), order


async def test_a_successor_that_is_shut_out_gets_neither_case_nor_task(
    client: Client, bring: Bring, keys: KeyRing, caller: Callers
) -> None:
    alert, duty = uuid4(), a_duty()
    await bring(
        alert_received(alert),
        obligation_opened(keys, alert, {duty: REGIONAL_BODY}),
        raised(keys, alert, HEIR),
        passed(keys, alert, REGIONAL_BODY, HEIR),
    )
    found = await owners(client, caller, duty.obligation_id)
    assert found[HEIR] == (False, 0)


async def test_why_a_task_was_late_is_shown_to_its_owner_and_to_who_coordinates(
    client: Client, bring: Bring, keys: KeyRing, caller: Callers
) -> None:
    alert, duty, statement = uuid4(), a_duty(), uuid4()
    document = {"agency": str(REGIONAL_BODY), "reason": "Мать ребёнка в больнице"}
    sealed = seal(
        keys.sealing_public("assignee"),
        json.dumps(document).encode(),
        str(alert).encode() + statement.bytes,
    )
    explained = BreachExplained(
        alert_id=alert, obligation_id=duty.obligation_id, statement_id=statement, by="owner",
        explained_at=T0 + timedelta(days=3), explanation=base64.b64encode(sealed).decode(),
    )  # fmt: skip
    events: list[Event] = [
        explained, alert_received(alert), obligation_opened(keys, alert, {duty: REGIONAL_BODY}),
        obligation_breached(alert, duty),
    ]  # fmt: skip
    await bring(*events, explained)
    body = caller("casework", agency=REGIONAL_BODY, bodies=(ROLE,))
    case = (await listed(client, body, "/v1/cases"))[0]["id"]
    whole: dict[str, Any] = (await client.get(f"/v1/cases/{case}", headers=body)).json()
    [task] = whole["tasks"]
    assert [(one["by"], one["reason"]) for one in task["explanations"]] == [
        ("owner", "Мать ребёнка в больнице")
    ]
    other = await client.get(f"/v1/cases/{case}", headers=caller("casework", agency=POLICE, bodies=()))
    assert other.status_code == 404
