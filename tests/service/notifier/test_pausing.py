"""A paused endpoint: nothing is pushed there, nothing is lost, every clock runs."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from common.contracts.intake import AlertReceived
from common.contracts.registry import EndpointRegistered
from common.identity import Principal
from common.inbox import Received, Together
from common.telemetry import Telemetry
from common.testing import FrozenNow
from common.timing import utc_now
from notifier.consumers import effects
from notifier.jobs import jobs
from notifier.models import audit, deliveries, escalations
from notifier.models import endpoints as stored
from notifier.service import endpoints
from notifier.service.escalation import climb_silent
from notifier.service.overdue import look_at_overdue
from tests.factories.notifier import T0, Ledger, NoLanes, eventually, honest, receiving, working
from tests.service.notifier.conftest import House
from tests.service.notifier.test_endpoints import claimed
from tests.service.notifier.test_planning import rows

POLICE = "internal_affairs"
OPERATOR = Principal("operator-1", "operator")


async def post(house: House, endpoint: Any, what: str, headers: dict[str, str]) -> Any:
    return await house.client.post(f"/v1/endpoints/{endpoint}/{what}", json={}, headers=headers)


async def test_what_waits_is_blocked_its_clock_runs_and_a_resume_lets_it_go(
    house: House, now: FrozenNow
) -> None:
    endpoint = await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    await house.ledger.take(house.ledger.alert())
    paused = await post(house, endpoint, "pause", house.as_role("operator"))
    assert (paused.status_code, paused.json()["paused_at"]) == (200, T0.isoformat().replace("+00:00", "Z"))
    await house.ledger.take(house.ledger.alert(number="7K4M-Q2XP-8"))
    groups = (await house.get("/v1/failures", house.as_role("operator"))).json()["items"]
    [ways] = [one["ways"] for one in groups if one["agency"] == str(house.ledger.agencies[POLICE])]
    assert ways == [
        {"endpoint": str(endpoint), "kind": "webhook", "rung": 0, "paused_at": paused.json()["paused_at"]}
    ]
    found = await house.rows(deliveries, role=POLICE)
    assert [(row.state, row.reason, row.endpoint_id) for row in found] == [
        ("waiting", "blocked:paused", None)
    ] * 2
    now.move(timedelta(hours=2))
    again = await post(house, endpoint, "pause", house.as_role("operator"))
    assert again.json()["paused_at"] == paused.json()["paused_at"], "the first pause stands"
    for job in jobs(house.ledger.db, house.ledger.desk, house.ledger.now):
        await job.run()
    silent = {row.delivery_id for row in await house.rows(escalations)}
    assert {row.id for row in found} <= silent, "silence climbs during a pause, too"
    resumed = await post(house, endpoint, "resume", house.as_role("operator"))
    assert resumed.json() == {"endpoint": str(endpoint), "paused_at": None}
    for row in await house.rows(deliveries, role=POLICE):
        assert (row.endpoint_id, row.reason, row.next_wakeup_at) == (endpoint, "new", now())
    acts = [row.action for row in await house.rows(audit) if row.subject_id == endpoint]
    assert acts.count("endpoint.paused") == acts.count("endpoint.resumed") == 1


async def test_the_agency_itself_may_and_another_finds_nothing(house: House) -> None:
    endpoint = await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    await house.ledger.connect("regional_child_ombudsman", "http://127.0.0.1:9/hook")
    other = await post(house, endpoint, "pause", house.as_agency("regional_child_ombudsman"))
    nothing = await post(house, uuid4(), "pause", house.as_agency("regional_child_ombudsman"))
    assert other.status_code == nothing.status_code == 404
    assert other.json()["type"] == nothing.json()["type"]
    for role in ("registrar", "auditor"):
        assert (await post(house, endpoint, "pause", house.as_role(role))).status_code == 403
    assert (await post(house, endpoint, "pause", house.as_agency(POLICE))).status_code == 200
    assert (
        await post(house, endpoint, "resume", house.as_agency("regional_child_ombudsman"))
    ).status_code == 404
    assert (await post(house, endpoint, "resume", house.as_agency(POLICE))).status_code == 200


async def test_a_new_version_of_a_paused_endpoint_waits_for_the_resume(house: House) -> None:
    endpoint = await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    await post(house, endpoint, "pause", house.as_role("operator"))
    await house.ledger.take(house.ledger.alert())
    await house.ledger.take(
        EndpointRegistered(
            endpoint_id=endpoint,
            agency_id=house.ledger.agencies[POLICE],
            version=2,
            kind="webhook",
            url="http://127.0.0.1:10/hook",
            concurrency=4,
        )
    )
    [row] = await house.rows(deliveries, role=POLICE)
    assert row.reason == "blocked:paused"
    await post(house, endpoint, "resume", house.as_role("operator"))
    [row] = await house.rows(deliveries, role=POLICE)
    assert (row.endpoint_id, row.endpoint_version) == (endpoint, 2)


async def test_what_was_planned_while_its_endpoint_was_resumed_is_found_by_the_next_look(
    house: House, now: FrozenNow
) -> None:
    """Whichever look comes first: both are due at the same moment, and each says when the next one is."""
    lanes = house.ledger.desk.lanes
    assert isinstance(lanes, NoLanes)
    endpoint = await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    for look in (look_at_overdue, climb_silent):
        await post(house, endpoint, "pause", house.as_role("operator"))
        await house.ledger.take(house.ledger.alert(received_at=now()))
        await unseen_resume(house.ledger, endpoint)
        [asleep] = await house.rows(deliveries, role=POLICE, reason="blocked:paused")
        now.move(timedelta(minutes=2))
        async with house.ledger.db.transaction() as session:
            await look(session, house.ledger.desk, now=now())
        [found] = await house.rows(deliveries, id=asleep.id)
        assert (found.endpoint_id, found.endpoint_version, found.reason) == (endpoint, 1, "new")
        assert found.next_wakeup_at == now()
        assert asleep.id in lanes.woken
        assert (await claimed(house.ledger, asleep.id)).url == "http://127.0.0.1:9/hook"
        assert await house.rows(escalations, delivery_id=asleep.id), "it was silent all the same"


async def unseen_resume(ledger: Ledger, endpoint: Any) -> None:
    """A resume that committed while a delivery was being planned: it has not seen that one."""
    async with ledger.db.transaction() as session:
        await session.execute(update(stored).where(stored.c.id == endpoint).values(paused_at=None))


async def test_a_further_rung_that_was_planned_during_a_resume_is_found_too(
    house: House, now: FrozenNow
) -> None:
    second = await house.ledger.connect(POLICE, "http://127.0.0.1:9/second", rung=1)
    await post(house, second, "pause", house.as_role("operator"))
    await house.ledger.take(house.ledger.alert())
    run = {job.name: job for job in jobs(house.ledger.db, house.ledger.desk, house.ledger.now)}
    now.move(timedelta(minutes=2))
    await run["climb_ladders"].run()
    [climbed] = await house.rows(deliveries, role=POLICE, rung=1)
    assert climbed.reason == "blocked:paused"
    await unseen_resume(house.ledger, second)
    now.move(timedelta(minutes=2))
    await run["look_at_overdue"].run()
    [first] = await house.rows(deliveries, role=POLICE, rung=0)
    [climbed] = await house.rows(deliveries, role=POLICE, rung=1)
    assert (climbed.endpoint_id, climbed.reason, climbed.next_wakeup_at) == (second, "new", now())
    assert (first.endpoint_id, first.reason) == (None, "pull"), "the way of another rung is not its own"


async def test_while_the_pause_lasts_a_look_finds_no_way(house: House, now: FrozenNow) -> None:
    endpoint = await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    await post(house, endpoint, "pause", house.as_role("operator"))
    await house.ledger.take(house.ledger.alert())
    for _ in range(3):
        now.move(timedelta(minutes=5))
        for job in jobs(house.ledger.db, house.ledger.desk, house.ledger.now):
            await job.run()
    [row] = await house.rows(deliveries, role=POLICE)
    assert (row.endpoint_id, row.reason) == (None, "blocked:paused")


async def test_two_sessions_a_plan_that_commits_after_the_resume_is_sent(
    ledger: Ledger, db_kind: str, now: FrozenNow
) -> None:
    if db_kind == "sqlite":
        pytest.skip("SQLite has one writer: a resume waits for the plan; PostgreSQL runs beside it")
    endpoint = await ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    async with ledger.db.transaction() as session:
        await endpoints.pause(session, ledger.desk, OPERATOR, endpoint, now=now())
    async with ledger.db.transaction() as planning:
        received = [Received(ledger.alert(), None)]
        effect = effects(ledger.desk)[AlertReceived]
        assert isinstance(effect, Together)
        await effect.effect(planning, received, now=now)
        async with ledger.db.transaction() as session:
            await endpoints.resume(session, ledger.desk, OPERATOR, endpoint, now=now())
    [asleep] = await rows(ledger, deliveries, role=POLICE)
    assert asleep.reason == "blocked:paused"
    now.move(timedelta(minutes=2))
    for job in jobs(ledger.db, ledger.desk, ledger.now):
        await job.run()
    [row] = await rows(ledger, deliveries, role=POLICE)
    assert (row.endpoint_id, row.reason, row.next_wakeup_at) == (endpoint, "new", now())
    assert (await claimed(ledger, row.id)).url == "http://127.0.0.1:9/hook"


async def test_what_is_under_way_when_the_pause_comes_is_blocked_when_it_fails(
    live: Ledger, telemetry: Telemetry
) -> None:
    release = asyncio.Event()

    async def failing_late(receiver: Any, request: Any, body: bytes) -> Any:
        await release.wait()
        request.transport.abort()
        return await honest(receiver, request, body)

    async with receiving(failing_late) as agency, working(live, telemetry):
        endpoint = await live.connect(POLICE, agency.url)
        await live.take(live.alert(received_at=utc_now()))

        async def arrived() -> Any:
            return agency.requests

        await eventually(arrived)
        async with live.db.transaction() as session:
            await endpoints.pause(session, live.desk, OPERATOR, endpoint, now=utc_now())
        [row] = await rows(live, deliveries, role=POLICE)
        assert row.state == "leased", "what is being sent goes on"
        release.set()

        async def blocked() -> Any:
            [row] = await rows(live, deliveries, role=POLICE)
            return row.reason == "blocked:paused"

        await eventually(blocked)
        await asyncio.sleep(0.3)
        assert len(agency.requests) == 1, "nothing more went out"
        agency.behave = honest
        async with live.db.transaction() as session:
            await endpoints.resume(session, live.desk, OPERATOR, endpoint, now=utc_now())

        async def sent() -> Any:
            [row] = await rows(live, deliveries, role=POLICE)
            return row.state == "transmitted"

        await eventually(sent)
