"""Secrets at the door: guessing is slowed down, and nobody is shut out by somebody else's guessing."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from gateway.service import doorman
from gateway.service import secrets as checking
from tests.factories.gateway import BASE, House

FRONT = ("10.0.0.5", 443)
X, Y = "203.0.113.7", "198.51.100.9"
pytestmark = pytest.mark.usefixtures("cheap_secrets")
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def front(house: House) -> httpx2.AsyncClient:
    """Calls that come through a TLS front of ours."""
    transport = httpx2.ASGITransport(house.service.app, client=FRONT)
    return httpx2.AsyncClient(transport=transport, base_url=BASE)


async def a_client(house: House, role: str = "operator") -> dict[str, Any]:
    made = await house.http.post("/v1/clients", json={"role": role}, headers=house.headers("registrar"))
    client: dict[str, Any] = made.json()
    return client


async def grant(http: httpx2.AsyncClient, client_id: str, secret: str, *, via: str | None = None) -> Any:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return await http.post("/oauth/token", data=form, headers={"X-Forwarded-For": via} if via else {})


async def sign_in(http: httpx2.AsyncClient, client: dict[str, Any], secret: str, *, via: str) -> int:
    form = {"client_id": client["client_id"], "client_secret": secret}
    answer = await http.post("/console/sign-in", data=form, headers=SAME | {"X-Forwarded-For": via})
    http.cookies.clear()
    return int(answer.status_code)


async def test_a_stranger_behind_our_front_shuts_out_nobody_elsewhere(
    house: House, front: httpx2.AsyncClient
) -> None:
    client = await a_client(house)
    statuses = [(await grant(front, client["client_id"], "wrong", via=X)).status_code for _ in range(200)]
    assert statuses == [401] * doorman.WRONG_PER_MINUTE + [429] * (200 - doorman.WRONG_PER_MINUTE)
    assert await sign_in(front, client, client["client_secret"], via=X) == 429
    assert await sign_in(front, client, client["client_secret"], via=Y) == 303
    assert (await grant(front, client["client_id"], client["client_secret"], via=Y)).status_code == 200


async def test_guessing_at_one_client_shuts_out_no_other_of_the_same_address(house: House) -> None:
    """Also where nobody named the front: then everybody has one address."""
    guessed, other = await a_client(house), await a_client(house)
    for _ in range(doorman.WRONG_PER_MINUTE):
        assert (await grant(house.http, guessed["client_id"], "wrong")).status_code == 401
    refused = await grant(house.http, guessed["client_id"], "wrong")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.json() == {"error": "temporarily_unavailable"}
    for _ in range(doorman.UNKNOWN_PER_MINUTE):
        assert (await grant(house.http, str(uuid4()), "wrong")).status_code == 401
    assert (await grant(house.http, str(uuid4()), "wrong")).status_code == 429
    assert (await grant(house.http, "no id", "wrong")).status_code == 429
    # An id that somebody has is refused like one that nobody has.
    assert (await grant(house.http, other["client_id"], "wrong")).status_code == 429
    assert (await grant(house.http, other["client_id"], other["client_secret"])).status_code == 200


async def test_one_network_of_a_host_is_one_source(house: House, front: httpx2.AsyncClient) -> None:
    client = await a_client(house)
    for number in range(doorman.WRONG_PER_MINUTE):
        await grant(front, client["client_id"], "wrong", via=f"2001:db8:0:1::{number:x}")
    again = await grant(front, client["client_id"], "wrong", via="2001:db8:0:1:9::1")
    assert again.status_code == 429
    other = await grant(front, client["client_id"], client["client_secret"], via="2001:db8:0:2::1")
    assert other.status_code == 200


async def test_what_a_caller_says_of_its_address_is_believed_of_our_front_alone(house: House) -> None:
    client = await a_client(house)
    for number in range(doorman.WRONG_PER_MINUTE):
        await grant(house.http, client["client_id"], "wrong", via=f"203.0.113.{number}")
    assert (await grant(house.http, client["client_id"], "wrong", via=Y)).status_code == 429


async def test_a_proven_secret_passes_for_hours_and_not_when_it_is_taken_back(house: House) -> None:
    client = await a_client(house)
    assert (await grant(house.http, client["client_id"], client["client_secret"])).status_code == 200
    for _ in range(doorman.WRONG_PER_MINUTE + 1):
        refused = await grant(house.http, client["client_id"], "wrong")
    assert refused.status_code == 429
    for hours in (0, 1, 11, 11):
        house.now.move(timedelta(hours=hours))
        assert (await grant(house.http, client["client_id"], client["client_secret"])).status_code == 200
    house.now.move(checking.REMEMBER)
    assert (await grant(house.http, client["client_id"], client["client_secret"])).status_code == 429
    fresh = await a_client(house)
    assert (await grant(house.http, fresh["client_id"], fresh["client_secret"])).status_code == 200
    await house.http.delete(f"/v1/clients/{fresh['client_id']}", headers=house.headers("registrar"))
    assert (await grant(house.http, fresh["client_id"], fresh["client_secret"])).status_code == 401


async def queued(lane: checking._Lane, number: int) -> None:
    async with asyncio.timeout(20):
        while lane._inside < number:
            await asyncio.sleep(0)


async def test_so_many_wait_and_no_more(house: House, front: httpx2.AsyncClient) -> None:
    client = await a_client(house)
    secrets = house.desk.secrets
    async with asyncio.TaskGroup() as waiting, secrets.turn(is_known=True):
        tasks = [
            waiting.create_task(
                grant(front, client["client_id"], client["client_secret"], via=f"203.0.113.{number // 8}")
            )
            for number in range(checking.WAITING)
        ]
        await queued(secrets._known, 1 + checking.WAITING)
        beyond = await grant(front, client["client_id"], client["client_secret"], via=Y)
        assert (beyond.status_code, int(beyond.headers["retry-after"]) > 0) == (503, True)
        assert await sign_in(front, client, client["client_secret"], via=Y) == 503
    assert {task.result().status_code for task in tasks} == {200}
    assert (await grant(front, client["client_id"], client["client_secret"], via=Y)).status_code == 200


async def test_strangers_wait_in_a_lane_of_their_own(house: House, front: httpx2.AsyncClient) -> None:
    client = await a_client(house)
    secrets = house.desk.secrets
    async with asyncio.TaskGroup() as waiting, secrets.turn(is_known=False):
        tasks = [
            waiting.create_task(grant(front, str(uuid4()), "wrong", via=f"203.0.113.{number // 8}"))
            for number in range(checking.STRANGERS_WAITING)
        ]
        await queued(secrets._strangers, 1 + checking.STRANGERS_WAITING)
        assert (await grant(front, str(uuid4()), "wrong", via=Y)).status_code == 503
        known = await grant(front, client["client_id"], client["client_secret"], via=X)
        assert known.status_code == 200
    assert {task.result().status_code for task in tasks} == {401}


async def test_one_client_of_one_source_does_not_fill_the_lane(
    house: House, front: httpx2.AsyncClient
) -> None:
    guessed, other = await a_client(house), await a_client(house)
    secrets = house.desk.secrets
    async with asyncio.TaskGroup() as waiting, secrets.turn(is_known=True):
        for _ in range(doorman.AT_ONCE):
            waiting.create_task(grant(front, guessed["client_id"], "wrong", via=X))
        await queued(secrets._known, 1 + doorman.AT_ONCE)
        assert (await grant(front, guessed["client_id"], "wrong", via=X)).status_code == 503
        task = waiting.create_task(grant(front, other["client_id"], other["client_secret"], via=X))
        await queued(secrets._known, 2 + doorman.AT_ONCE)
    assert task.result().status_code == 200


async def test_those_who_waited_use_up_no_more_than_there_is(house: House, front: httpx2.AsyncClient) -> None:
    client = await a_client(house)
    for _ in range(doorman.WRONG_PER_MINUTE - 1):
        await grant(front, client["client_id"], "wrong", via=X)
    secrets = house.desk.secrets
    async with asyncio.TaskGroup() as waiting, secrets.turn(is_known=True):
        tasks = [waiting.create_task(grant(front, client["client_id"], "wrong", via=X)) for _ in range(4)]
        await queued(secrets._known, 5)
    assert sorted(task.result().status_code for task in tasks) == [401, 429, 429, 429]
