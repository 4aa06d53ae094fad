"""A paused endpoint: nothing is pushed there, nothing is lost, every clock runs."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

from common.contracts.registry import EndpointRegistered
from common.identity import Principal
from common.telemetry import Telemetry
from common.testing import FrozenNow
from common.timing import utc_now
from notifier.jobs import jobs
from notifier.models import audit, deliveries, escalations
from notifier.service import endpoints
from tests.factories.notifier import T0, Ledger, eventually, honest, receiving, working
from tests.service.notifier.conftest import House
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
