"""Reads that wait for news hold up nobody else, and end with whoever asked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from common.runtime import listen, serve
from tests.factories.gateway import AGENCY, DELIVERY, POLICE, House, a_stand_in

OTHER = UUID("99999999-1111-4111-8111-111111111111")
MOST = 32


class Notifier:
    """Answers a receipt at once, an inbox without ``wait`` too, and any other one when there is news."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.waiting = 0
        self.changed = asyncio.Condition()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.json_response({"status": "accepted"}, status=201)
        if "wait" not in request.query:
            return web.json_response({"items": [], "next": None})
        await self._count(1)
        try:
            if "text/event-stream" in request.headers.get("accept", ""):
                stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
                await stream.prepare(request)
                await stream.write(b": open\n\n")
                await self.news.wait()
                return stream
            await self.news.wait()
        finally:
            await self._count(-1)
        return web.json_response({"items": [], "next": None})

    async def _count(self, by: int) -> None:
        self.waiting += by
        async with self.changed:
            self.changed.notify_all()

    async def until(self, waiting: int) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: self.waiting == waiting)


@pytest.fixture
async def notifier(house: House) -> AsyncIterator[Notifier]:
    house.upstreams.put("registry", "GET", f"/v1/agencies/{OTHER}", AGENCY | {"id": str(OTHER)})
    made = Notifier()
    async with a_stand_in(house, "notifier", "/{path:.*}", made.answer):
        yield made
        made.news.set()


async def test_one_agency_that_waits_three_hundred_times_keeps_no_other_one_out(
    house: House, notifier: Notifier
) -> None:
    # Of two clients: it is the agency that counts.
    clients = [house.headers(subject=subject) for subject in ("c-1", "c-2")]
    waits = [
        asyncio.create_task(house.http.get("/v1/inbox?wait=30", headers=clients[no % 2], timeout=60))
        for no in range(300)
    ]
    async with asyncio.timeout(60):
        for refused in asyncio.as_completed(waits[:]):
            answer = await refused
            assert answer.status_code == 429
            assert answer.json()["type"] == "https://dabyl.kz/problems/too-many-waits"
            assert int(answer.headers["retry-after"]) >= 1
            if sum(wait.done() for wait in waits) == 300 - MOST:
                break
    await notifier.until(MOST)
    other = house.headers(agency=OTHER, subject="c-9")
    async with asyncio.timeout(10):
        receipt = await house.http.post(f"/v1/deliveries/{DELIVERY}/receipt", json={}, headers=other)
        assert receipt.status_code == 201
        assert (await house.http.get("/v1/inbox", headers=other)).status_code == 200
        own = await house.http.post(f"/v1/deliveries/{DELIVERY}/receipt", json={}, headers=clients[0])
        assert own.status_code == 201
    notifier.news.set()
    answers = Counter([(await wait).status_code for wait in waits])
    assert answers == {200: MOST, 429: 300 - MOST}
    assert (await house.http.get("/v1/inbox?wait=30", headers=clients[0])).status_code == 200


@pytest.fixture
async def port(house: House) -> AsyncIterator[int]:
    """The gateway as it is served."""
    stop = asyncio.Event()
    socket = listen("127.0.0.1", 0)
    serving = asyncio.create_task(serve(house.service.app, stop, [socket]))
    yield socket.getsockname()[1]
    stop.set()
    await serving


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_wait_ends_with_its_caller_and_its_place_is_free(
    house: House, notifier: Notifier, port: int, kind: str
) -> None:
    async def begin() -> Any:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        request = (
            f"GET /v1/inbox?wait=30 HTTP/1.1\r\nHost: gateway.test\r\nAccept: {kind}\r\n"
            f"Authorization: {house.headers()['Authorization']}\r\n\r\n"
        )
        writer.write(request.encode())
        return writer

    for _ in range(2):
        open_ones = [await begin() for _ in range(MOST)]
        await notifier.until(MOST)
        for one in open_ones:
            one.close()
        await notifier.until(0)
    assert house.desk.waits._open == {}


async def test_the_places_are_each_agencys_own(house: House) -> None:
    first = [house.desk.waits.take(str(POLICE)) for _ in range(MOST)]
    house.desk.waits.take(str(OTHER))
    first[0].give_back()
    first[0].give_back()  # counts once
    house.desk.waits.take(str(POLICE))
    with pytest.raises(Exception, match="Too many reads"):
        house.desk.waits.take(str(POLICE))
