"""Events come in any order, twice, and side by side: always the same case and tasks."""

import asyncio
import random
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from common.contracts import Event
from common.contracts.notifier import ObligationOpened
from common.contracts.vocabulary import DutyKind
from common.envelope import Envelope, encode
from common.identity import ServiceTokens
from common.keys import KeyRing
from common.sealing import SealBroken
from tests.factories.casework import (
    DAY,
    T0,
    a_duty,
    alert_received,
    obligation_breached,
    obligation_met,
    obligation_opened,
    obligation_waived,
)
from tests.service.casework.conftest import POLICE, REGIONAL_BODY, Bring

Client = httpx2.AsyncClient
Headers = dict[str, str]


async def one_case(client: Client, headers: Headers) -> dict[str, Any]:
    [listed] = (await client.get("/v1/cases", headers=headers)).json()["items"]
    answer = await client.get(f"/v1/cases/{listed['id']}", headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_an_alert_opens_one_case_and_acts_become_tasks(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert = uuid4()
    appoint, assess = a_duty(), a_duty("R136-21", due_at=T0 + DAY / 2)
    upward = a_duty("R136-12.1", kind=DutyKind.NOTICE)
    await bring(
        alert_received(alert),
        obligation_opened(
            keys, alert, {appoint: REGIONAL_BODY, assess: REGIONAL_BODY, upward: REGIONAL_BODY}
        ),
    )
    case = await one_case(client, regional_body)
    assert (case["state"], case["territory"], case["opened_at"]) == ("open", "KZ-75", "2026-10-23T10:00:00Z")
    assert (case["coordinating_role"], case["coordinating"]) == ("regional_child_rights_body", True)
    assert case["case_manager"] is None
    assert [(t["rule"], t["state"], t["late"]) for t in case["tasks"]] == [
        ("R136-21", "pending", False),
        ("R136-12.2", "pending", False),
    ]
    assert str(alert) not in str(case)


async def test_a_started_clock_replaces_the_projected_times(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert, projected = uuid4(), a_duty()
    started = projected.model_copy(
        update={"state": "open", "starts_at": T0 + DAY / 24, "due_at": T0 + DAY * 25 / 24}
    )
    first = obligation_opened(keys, alert, {projected: REGIONAL_BODY})
    second = obligation_opened(keys, alert, {started: REGIONAL_BODY})
    for order in ((first, second), (second, first)):
        await bring(*order)
        [task] = (await one_case(client, regional_body))["tasks"]
        assert (task["state"], task["due_at"]) == ("open", "2026-10-24T11:00:00Z")


async def test_a_waived_duty_closes_its_task_even_when_the_waiver_overtakes_it(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert, duty = uuid4(), a_duty()
    opened = obligation_opened(keys, alert, {duty: REGIONAL_BODY})
    await bring(obligation_waived(alert, duty), opened, obligation_waived(alert, duty), opened)
    [task] = (await one_case(client, regional_body))["tasks"]
    assert (task["state"], task["waived_at"], task["late"]) == ("waived", "2026-10-24T10:00:00Z", False)


async def test_a_late_task_stays_marked_when_it_is_met(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert, duty = uuid4(), a_duty()
    await bring(
        obligation_opened(keys, alert, {duty: REGIONAL_BODY}),
        obligation_breached(alert, duty),
        obligation_met(alert, duty, at=T0 + 3 * DAY),
    )
    [task] = (await one_case(client, regional_body))["tasks"]
    assert (task["state"], task["late"]) == ("met", True)
    assert (task["breached_at"], task["met_at"]) == ("2026-10-25T10:00:00Z", "2026-10-26T10:00:00Z")


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_and_any_repeats_converge(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers, police: Headers, seed: int
) -> None:
    alert = uuid4()
    appoint, inspect, check = a_duty(), a_duty("R136-12.3b"), a_duty("R136-15b", obliged="internal_affairs")
    notice = a_duty("R136-12.1", kind=DutyKind.NOTICE)
    owners = {appoint: REGIONAL_BODY, inspect: REGIONAL_BODY, check: POLICE, notice: REGIONAL_BODY}
    begun = {
        duty.model_copy(update={"state": "open", "starts_at": T0 + DAY / 24}): agency
        for duty, agency in owners.items()
    }
    events: list[Event] = [
        alert_received(alert),
        obligation_opened(keys, alert, owners),
        obligation_opened(keys, alert, begun),
        obligation_met(alert, appoint, notice),
        obligation_breached(alert, appoint, inspect),
        obligation_met(alert, appoint, at=T0 + 3 * DAY),
    ]
    order = events + events[1:4]
    random.Random(seed).shuffle(order)
    await bring(*order)
    case = await one_case(client, regional_body)
    assert (case["opened_at"], case["territory"]) == ("2026-10-23T10:00:00Z", "KZ-75")
    assert case["coordinating"] is True
    seen = {t["rule"]: (t["state"], t["late"], t["starts_at"], t["met_at"]) for t in case["tasks"]}
    started = "2026-10-23T11:00:00Z"
    assert seen == {
        "R136-12.2": ("met", False, started, "2026-10-23T22:00:00Z"),
        "R136-12.3b": ("open", True, started, None),
        "R136-15b": ("open", False, started, None),
    }
    assert [t["rule"] for t in (await one_case(client, police))["tasks"]] == ["R136-15b"]


async def test_events_side_by_side_converge_too(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert, duty = uuid4(), a_duty()
    begun = duty.model_copy(update={"state": "open"})
    await asyncio.gather(
        bring(obligation_met(alert, duty)),
        bring(obligation_opened(keys, alert, {duty: REGIONAL_BODY})),
        bring(alert_received(alert)),
        bring(obligation_opened(keys, alert, {begun: REGIONAL_BODY})),
        bring(obligation_breached(alert, duty)),
    )
    case = await one_case(client, regional_body)
    assert case["opened_at"] == "2026-10-23T10:00:00Z"
    assert [(t["state"], t["late"]) for t in case["tasks"]] == [("met", False)]


async def test_the_same_event_takes_effect_once(bring: Bring) -> None:
    alert, event_id = uuid4(), uuid4()
    assert await bring(alert_received(alert), event_id=event_id) == [True]
    assert await bring(alert_received(alert), event_id=event_id) == [False]


async def test_a_duty_that_nobody_holds_waits_for_its_holder(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert, duty = uuid4(), a_duty()
    await bring(alert_received(alert), obligation_opened(keys, alert, {duty: None}))
    assert (await client.get("/v1/cases", headers=regional_body)).json()["items"] == []
    await bring(obligation_opened(keys, alert, {duty: REGIONAL_BODY}))
    assert len((await one_case(client, regional_body))["tasks"]) == 1


async def test_guardianship_coordinates_where_it_stands_in(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    alert, duty = uuid4(), a_duty(obliged="guardianship_body")
    await bring(alert_received(alert), obligation_opened(keys, alert, {duty: REGIONAL_BODY}))
    case = await one_case(client, regional_body)
    assert (case["coordinating_role"], case["coordinating"]) == ("guardianship_body", True)


async def test_assignees_sealed_for_another_alert_are_not_taken(
    client: Client, bring: Bring, keys: KeyRing, regional_body: Headers
) -> None:
    mine, other = uuid4(), uuid4()
    foreign = obligation_opened(keys, other, {a_duty(): REGIONAL_BODY})
    forged = ObligationOpened(**foreign.model_dump() | {"alert_id": mine})
    with pytest.raises(SealBroken):
        await bring(forged)
    for garbage in ("", "not base64", "AAAA"):
        with pytest.raises(SealBroken):
            await bring(ObligationOpened(**foreign.model_dump() | {"assignees": garbage}))
    assert (await client.get("/v1/cases", headers=regional_body)).json()["items"] == []


async def test_the_second_way_of_an_event_has_the_same_effect(
    client: Client, keys: KeyRing, regional_body: Headers, now: Any
) -> None:
    alert: UUID = uuid4()
    event = obligation_opened(keys, alert, {a_duty(): REGIONAL_BODY})
    body = encode(Envelope(uuid4(), event, now(), alert, None))
    token = ServiceTokens(keys, "notifier", now).mint("casework")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents+json"}
    for _ in range(2):
        answer = await client.post("/internal/events", content=body, headers=headers)
        assert answer.status_code == 204
    assert len((await one_case(client, regional_body))["tasks"]) == 1
