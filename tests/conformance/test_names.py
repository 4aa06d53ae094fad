"""Name servers that do not answer keep nobody else from being dialled."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import uvloop

from common.timing import utc_now
from notifier.domain.channel import Answer, Parcel
from notifier.domain.delivery import Outcome
from tests.conformance.counterparts import KEY, HttpSide
from tests.conformance.test_channels import TIMEOUT, a_parcel

HANGING = 20


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Names under ``.hangs`` are asked for and never answered until the test is over; how often each was."""
    over, counted, really = threading.Event(), Counter[str](), socket.getaddrinfo

    def ask(host: Any, *args: Any, **kwargs: Any) -> Any:
        counted[str(host)] += 1
        if str(host).endswith(".hangs"):
            over.wait(60)
            raise socket.gaierror
        return really(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    yield counted
    over.set()


def test_names_that_hang_hold_up_no_other_agency(asked: Counter[str]) -> None:
    """On the loop that the worker runs on, and more of them than either loop has threads of its own."""

    async def story() -> tuple[list[Answer], float, list[Answer]]:
        async with HttpSide("webhook").running() as side:
            port = int(side.address.rsplit(":", 1)[1].partition("/")[0])

            def send(host: str) -> "asyncio.Task[Answer]":
                url = f"http://{host}:{port}/door"
                parcel = Parcel(uuid4(), url, a_parcel().body, (KEY,), TIMEOUT)
                return asyncio.create_task(side.channel.send(parcel, now=utc_now()))

            lost = [send(f"agency-{number}.hangs") for number in range(HANGING) for _ in range(3)]
            await asyncio.sleep(0.1)
            began = time.monotonic()
            others = await asyncio.gather(*(send("localhost") for _ in range(10)))
            return others, time.monotonic() - began, await asyncio.gather(*lost)

    others, seconds, lost = uvloop.run(story())
    assert {one.outcome for one in others} == {Outcome.ACCEPTED}
    assert seconds < TIMEOUT.total_seconds() / 2
    assert {one.outcome for one in lost} == {Outcome.UNREACHABLE}
    assert asked["localhost"] == 1, "one lookup for all that leave together"
    assert {asked[f"agency-{number}.hangs"] for number in range(HANGING)} == {1}
