"""Joined cases: one continues, the others point to it; in any order of events, and as before when parted."""

import itertools
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from common.contracts import Event
from common.contracts.notifier import HeadFact, JoiningMade, JoiningUndone
from common.keys import KeyRing
from tests.factories.casework import DAY, T0, a_duty, alert_received, obligation_opened
from tests.service.casework.conftest import POLICE, REGIONAL_BODY, SCHOOL, Bring
from tests.service.casework.test_conflicts import lowered, raised

Client = httpx2.AsyncClient
Callers = Callable[..., dict[str, str]]
PERSON = {"name": "Кезекші маман", "position": "маман"}


def joined(first: UUID, second: UUID, no: int = 1) -> JoiningMade:
    heads = tuple(HeadFact(alert_id=each, head_id=first) for each in (first, second))
    low, high = sorted((first, second))
    return JoiningMade(pair=(low, high), heads=heads, no=no, at=T0 + timedelta(minutes=no))


def parted(first: UUID, second: UUID, no: int = 2) -> JoiningUndone:
    heads = tuple(HeadFact(alert_id=each, head_id=each) for each in (first, second))
    low, high = sorted((first, second))
    return JoiningUndone(pair=(low, high), heads=heads, no=no, at=T0 + timedelta(minutes=no))


@pytest.fixture
def body(caller: Callers) -> dict[str, str]:
    return caller("casework", agency=REGIONAL_BODY, bodies=("regional_child_rights_body",))


@pytest.fixture
def school(caller: Callers) -> dict[str, str]:
    return caller("casework", agency=SCHOOL, bodies=("education_org",))


async def listed(client: Client, headers: dict[str, str], path: str = "/v1/cases") -> list[dict[str, Any]]:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def of_two(keys: KeyRing) -> tuple[UUID, UUID, list[Event]]:
    """Two alerts that one body coordinates; the school has a task in the second one alone."""
    first, second = uuid4(), uuid4()
    mine, other, tell = a_duty(), a_duty(), a_duty("R136-11.1", obliged="education_org_head", state="open")
    events: list[Event] = [
        alert_received(first),
        alert_received(second),
        obligation_opened(keys, first, {mine: REGIONAL_BODY}),
        obligation_opened(keys, second, {other: REGIONAL_BODY, tell: SCHOOL}),
    ]
    return first, second, events


async def test_one_case_continues_and_each_body_sees_what_it_saw(
    client: Client, bring: Bring, keys: KeyRing, body: dict[str, str], school: dict[str, str]
) -> None:
    first, second, events = of_two(keys)
    await bring(*events)
    before = {case["id"] for case in await listed(client, body)}
    tasks = {task["id"]: task for task in await listed(client, body, "/v1/tasks")}
    [own] = await listed(client, school)
    assert len(before) == 2
    await bring(joined(first, second), joined(first, second))
    [case] = await listed(client, body)
    assert case["id"] in before - {own["id"]}, "the case of the alert that was received first"
    for asked in before:
        shown = (await client.get(f"/v1/cases/{asked}", headers=body)).json()
        assert (shown["id"], shown["joined"]) == (case["id"], [own["id"]])
        assert sorted(task["rule"] for task in shown["tasks"]) == ["R136-11.1", "R136-12.2", "R136-12.2"]
    assert {task["id"]: task for task in await listed(client, body, "/v1/tasks")} == tasks
    seen = (await client.get(f"/v1/cases/{own['id']}", headers=school)).json()
    assert [task["rule"] for task in seen["tasks"]] == ["R136-11.1"], "what is its own"
    assert seen["case_manager"] is None
    await bring(parted(first, second))
    assert {each["id"] for each in await listed(client, body)} == before
    assert [each["id"] for each in await listed(client, school)] == [own["id"]]


def of_two_days(keys: KeyRing) -> tuple[UUID, UUID, list[Event]]:
    """As ``of_two``, the second alert three days after the first; each has duties that name a coordinator."""
    first, second = uuid4(), uuid4()
    tell = a_duty("R136-11.1", obliged="education_org_head", state="open", evidence=("service.recorded",))
    events: list[Event] = [
        alert_received(first),
        alert_received(second, received_at=T0 + 3 * DAY),
        obligation_opened(keys, first, {a_duty(): REGIONAL_BODY, a_duty("R136-17"): REGIONAL_BODY}),
        obligation_opened(
            keys, second, {a_duty(): REGIONAL_BODY, a_duty("R136-25b"): REGIONAL_BODY, tell: SCHOOL}
        ),
    ]
    return first, second, events


def a_record(case: str, word: str = "Жоспар") -> dict[str, Any]:
    return {
        "kind": "service.recorded",
        "happened_at": "2026-10-23T09:00:00Z",
        "person": PERSON,
        "document": {"digest": "ab" * 32, "reference": case},
        "outcome": word,
    }


async def pages(client: Client, headers: dict[str, str], cases: Iterable[str]) -> list[bytes]:
    """Every page of casework that a body can ask for, byte by byte."""
    paths = ["/v1/cases", "/v1/cases?limit=1", "/v1/tasks", "/v1/tasks?state=open"]
    for case in cases:
        paths += [f"/v1/cases/{case}", f"/v1/cases/{case}/records"]
    return [(await client.get(path, headers=headers)).content for path in paths]


@pytest.mark.parametrize("has_part_in_both", [False, True])
async def test_who_does_not_coordinate_cannot_tell_that_cases_are_joined(
    client: Client,
    bring: Bring,
    keys: KeyRing,
    body: dict[str, str],
    school: dict[str, str],
    *,
    has_part_in_both: bool,
) -> None:
    """That there is a second alert, and when it came, is nothing that it is told."""
    first, second, events = of_two_days(keys)
    await bring(*events)
    if has_part_in_both:
        own = a_duty("R136-11.1", obliged="education_org_head", evidence=("service.recorded",))
        await bring(obligation_opened(keys, first, {own: SCHOOL}))
    every = {case["id"] for case in await listed(client, body)}
    known = [case["id"] for case in await listed(client, school)]
    assert len(known) == 1 + has_part_in_both
    for case in every:
        appointed = await client.post(
            f"/v1/cases/{case}/case-manager", headers=body, json={"employee": PERSON | {"name": case}}
        )
        assert appointed.status_code == 201, appointed.text
    for case in known:
        kept = await client.post(f"/v1/cases/{case}/records", headers=school, json=a_record(case))
        assert kept.status_code == 201, kept.text
    before = await pages(client, school, sorted(every))
    await bring(joined(first, second))
    assert await pages(client, school, sorted(every)) == before
    [shown] = await listed(client, body)
    seen = (await client.get(f"/v1/cases/{known[0]}", headers=body)).json()
    assert {seen["id"], *seen["joined"]} == every, "the body that coordinates still sees them joined"
    assert {one["scope"] for one in seen["coordinators"]} == {"help", "psychological_help"}
    assert seen["id"] == shown["id"]
    await bring(parted(first, second))
    assert await pages(client, school, sorted(every)) == before


async def test_who_does_not_coordinate_works_in_its_own_case_as_before(
    client: Client,
    bring: Bring,
    keys: KeyRing,
    body: dict[str, str],
    school: dict[str, str],
    told: Callable[[], Any],
) -> None:
    """Its fact is one of its own alert: a duty that followed in the other would tell it of that one."""
    first, second, events = of_two_days(keys)
    await bring(*events, joined(first, second))
    [own] = await listed(client, school)
    refused = await client.post(
        f"/v1/cases/{own['id']}/case-manager", headers=school, json={"employee": PERSON}
    )
    assert refused.status_code == 403
    [head] = await listed(client, body)
    hidden = await client.post(f"/v1/cases/{head['id']}/records", headers=school, json=a_record("x"))
    assert (hidden.status_code, head["id"] != own["id"]) == (404, True)
    path = f"/v1/cases/{own['id']}/records"
    first_record = (await client.post(path, headers=school, json=a_record("1"))).json()
    newer = a_record("2") | {"supersedes": first_record["id"]}
    assert (await client.post(path, headers=school, json=newer)).status_code == 201
    assert [data["alert_ids"] for _, data in await told()] == [[str(second)], [str(second)]]
    assert len(await listed(client, school, path)) == 2
    assert len(await listed(client, body, f"/v1/cases/{head['id']}/records")) == 2, (
        "the body sees that it did"
    )
    await bring(parted(first, second))
    assert len(await listed(client, school, path)) == 2


async def test_a_fact_reaches_a_joined_alert_whose_duties_are_told_later(
    client: Client, bring: Bring, keys: KeyRing, body: dict[str, str], told: Callable[[], Any]
) -> None:
    first, second, events = of_two(keys)
    await bring(*events[:3], joined(first, second))
    [case] = await listed(client, body)
    assert (await client.get(f"/v1/cases/{case['id']}", headers=body)).json()["joined"] == []
    answer = await client.post(
        f"/v1/cases/{case['id']}/case-manager", headers=body, json={"employee": PERSON}
    )
    assert answer.status_code == 201, answer.text
    [(_, data)] = await told()
    assert sorted(data["alert_ids"]) == sorted([str(first), str(second)])
    await bring(events[3])
    assert len((await client.get(f"/v1/cases/{case['id']}", headers=body)).json()["joined"]) == 1


async def test_who_is_shut_out_of_one_sees_neither_in_any_order(
    client: Client, bring: Bring, keys: KeyRing, school: dict[str, str], body: dict[str, str]
) -> None:
    for order in itertools.permutations(range(4)):
        first, second, events = of_two(keys)
        late: list[Event] = [
            events[3],
            joined(first, second),
            raised(keys, first, SCHOOL, {}),
            raised(keys, second, SCHOOL, {}),
        ]
        await bring(*events[:3], *(late[at] for at in order), late[order[0]], joined(first, second))
        assert await listed(client, school) == [], order
        assert await listed(client, school, "/v1/tasks") == [], order
    assert len(await listed(client, body)) == len(list(itertools.permutations(range(4))))


@pytest.mark.parametrize("of_the_head", [True, False])
async def test_what_was_said_of_one_alone_hides_both_until_they_are_parted(
    client: Client, bring: Bring, keys: KeyRing, school: dict[str, str], *, of_the_head: bool
) -> None:
    """Even before what notifier says of the other one arrives. The school has a task in the second alone."""
    first, second, events = of_two(keys)
    await bring(*events, raised(keys, first if of_the_head else second, SCHOOL, {}))
    before = len(await listed(client, school))
    assert before == of_the_head
    await bring(joined(first, second))
    assert await listed(client, school) == []
    assert await listed(client, school, "/v1/tasks") == []
    await bring(parted(first, second, no=3), joined(first, second, no=2))
    assert len(await listed(client, school)) == before, "an overtaken telling changes nothing"


async def test_a_task_in_one_case_shows_no_other_that_its_body_may_not_know(
    client: Client, bring: Bring, keys: KeyRing, school: dict[str, str]
) -> None:
    """The school has a task in the case that continues, and is shut out of the one that points to it."""
    first, second, events = of_two(keys)
    tell = a_duty("R136-11.1", obliged="education_org_head", state="open")
    await bring(*events, obligation_opened(keys, first, {tell: SCHOOL}), raised(keys, second, SCHOOL, {}))
    [case] = await listed(client, school)
    await bring(joined(first, second))
    assert await listed(client, school) == []
    assert await listed(client, school, "/v1/tasks") == []
    assert (await client.get(f"/v1/cases/{case['id']}", headers=school)).status_code == 404


async def test_joining_and_parting_in_any_order_end_as_the_last_word_says(
    client: Client, bring: Bring, keys: KeyRing, body: dict[str, str], school: dict[str, str]
) -> None:
    for count, order in enumerate(itertools.permutations(range(4)), 1):
        first, second, events = of_two(keys)
        words: list[Event] = [
            joined(first, second, no=1),
            parted(first, second, no=2),
            joined(second, first, no=3),
            alert_received(first),
        ]
        await bring(*events[2:], *(words[at] for at in order), *(words[at] for at in reversed(order)))
        cases = await listed(client, body)
        assert len(cases) == count, order
        [own] = await listed(client, school)
        assert own["id"] in {case["id"] for case in cases}
        await bring(raised(keys, second, SCHOOL, {}), lowered(keys, second, SCHOOL, 0))
        assert await listed(client, school) == []


async def test_what_is_recorded_in_a_joined_case_is_a_fact_for_both_alerts(
    client: Client,
    bring: Bring,
    keys: KeyRing,
    body: dict[str, str],
    told: Callable[[], Any],
) -> None:
    first, second, events = of_two(keys)
    await bring(*events, joined(first, second))
    [case] = await listed(client, body)
    answer = await client.post(
        f"/v1/cases/{case['id']}/case-manager", headers=body, json={"employee": PERSON}
    )
    assert answer.status_code == 201, answer.text
    events_told = [data for kind, data in await told() if kind == "case_manager.appointed.v1"]
    assert [sorted(each["alert_ids"]) for each in events_told] == [sorted([str(first), str(second)])]
    again = await client.post(f"/v1/cases/{case['id']}/case-manager", headers=body, json={"employee": PERSON})
    assert again.status_code == 200
    await bring(parted(first, second))
    managers = [each["case_manager"] is not None for each in await listed(client, body)]
    assert sorted(managers) == [False, True], "it stays with the case that continued, once"


async def test_strangers_find_no_joined_case(
    client: Client, bring: Bring, keys: KeyRing, caller: Callers
) -> None:
    first, second, events = of_two(keys)
    await bring(*events, joined(first, second))
    stranger = caller("casework", agency=POLICE, bodies=("internal_affairs",))
    assert await listed(client, stranger) == []
