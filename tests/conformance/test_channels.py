"""What every channel promises, each against a real counterpart."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.timing import utc_now
from notifier.adapters.amqp import Queue
from notifier.adapters.channels import OURS
from notifier.domain.channel import Answer, Parcel
from notifier.domain.delivery import Outcome
from notifier.domain.notice import Notice, NoticeDuty, render_notice
from notifier.domain.schedule import Urgency
from tests.conformance.counterparts import (
    KEY,
    BrokerSide,
    Counterpart,
    FolderSide,
    HttpSide,
    MailSide,
)

TIMEOUT = timedelta(seconds=1.5)
SWALLOWED = 8_000_000
"""Bytes of a flood that buffers between two processes may hold; far more means that somebody reads it all."""

BEHAVIOURS = sorted({*HttpSide.outcomes, *MailSide.outcomes, *BrokerSide.outcomes, *FolderSide.outcomes})


def a_parcel(delivery_id: UUID | None = None) -> Parcel:
    delivery_id = delivery_id or uuid4()
    body = render_notice(
        Notice(
            delivery_id=delivery_id,
            number=3,
            handle=uuid4(),
            urgency=Urgency.IMMEDIATE,
            duties=(NoticeDuty("R136-12.1", "п. 12 (1)", {"kk": "міндет", "ru": "долг"}, utc_now(), "law"),),
            content_url=f"https://dabyl.example/v1/deliveries/{delivery_id}/content",
            grant="grant-1234567890",
            receipt_url=f"https://dabyl.example/v1/deliveries/{delivery_id}/receipt",
            sent_at=utc_now(),
        )
    )
    return Parcel(delivery_id, "", body, (KEY,), TIMEOUT)


async def send(side: Counterpart, parcel: Parcel) -> Answer:
    addressed = Parcel(parcel.delivery_id, side.address, parcel.body, parcel.keys, parcel.timeout)
    return await side.channel.send(addressed, now=utc_now())


@asynccontextmanager
async def counterpart(kind: str, folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    side: Any
    if kind in ("webhook", "sms", "voice"):
        side = HttpSide(kind)
    elif kind == "smtp":
        side = MailSide(folder)
    elif kind == "amqp":
        side = BrokerSide(request.getfixturevalue("broker_url"))
    else:
        side = FolderSide(folder)
    async with side.running():
        yield side


def kinds() -> list[Any]:
    return [pytest.param(kind, marks=pytest.mark.real if kind == "amqp" else ()) for kind in OURS]


@pytest.fixture(params=kinds())
async def side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Counterpart]:
    if request.param == "amqp":
        request.getfixturevalue("broker_url")
    async with counterpart(request.param, tmp_path, request) as one:
        yield one


async def test_a_parcel_arrives_once_with_its_id(side: Counterpart) -> None:
    parcel = a_parcel()
    answer = await send(side, parcel)
    assert answer.outcome is Outcome.ACCEPTED
    assert [delivery for delivery, _ in await side.arrived()] == [parcel.delivery_id]


async def test_the_same_parcel_twice_carries_the_same_id(side: Counterpart) -> None:
    parcel = a_parcel()
    seen: list[UUID] = []
    for _ in range(2):
        assert (await send(side, parcel)).outcome is Outcome.ACCEPTED
        seen = [*seen, *(delivery for delivery, _ in await side.arrived())]
    assert set(seen) == {parcel.delivery_id}


async def test_many_at_once_arrive_each_with_its_own_id(side: Counterpart) -> None:
    parcels = [a_parcel() for _ in range(20)]
    answers = await asyncio.gather(*(send(side, parcel) for parcel in parcels))
    assert {answer.outcome for answer in answers} == {Outcome.ACCEPTED}
    arrived = [delivery for delivery, _ in await side.arrived()]
    assert sorted(arrived) == sorted(parcel.delivery_id for parcel in parcels)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_what_the_other_side_does_is_an_outcome(side: Counterpart, behaviour: str) -> None:
    if behaviour not in side.outcomes:
        return  # its protocol cannot say that
    await side.will(behaviour)
    began = time.monotonic()
    answer = await send(side, a_parcel())
    assert answer.outcome is side.outcomes[behaviour]
    assert time.monotonic() - began < TIMEOUT.total_seconds() + 2
    assert side.pushed < SWALLOWED
    if isinstance(side, HttpSide) and behaviour == "busy":
        assert (answer.status, answer.retry_after) == (503, timedelta(seconds=7))
    if isinstance(side, HttpSide):
        assert side.elsewhere == 0


async def test_a_side_that_comes_back_is_sent_to_again(side: Counterpart) -> None:
    """A broken connection costs one attempt, not the channel."""
    good = side.address
    if isinstance(side, BrokerSide):
        assert (await send(side, a_parcel())).outcome is Outcome.ACCEPTED
        side.is_dead = True
        assert (await send(side, a_parcel())).outcome is Outcome.NO_ANSWER
        side.is_dead = False
    parcel = a_parcel()
    assert side.address == good
    assert (await send(side, parcel)).outcome is Outcome.ACCEPTED
    assert parcel.delivery_id in [delivery for delivery, _ in await side.arrived()]


async def test_nothing_more_leaves_than_may(side: Counterpart) -> None:
    parcel = a_parcel()
    await send(side, parcel)
    [(_, raw)] = await side.arrived()
    assert b"traceparent" not in raw.lower()
    if side.is_free_of_content:
        for word in (b"R136", b"grant-", b"immediate", "міндет".encode(), b"/v1/deliveries", b"content"):
            assert word not in raw.replace(b"Content-", b"").replace(b"content-", b"")
        assert b"https://dabyl.example/console" in raw or isinstance(side, HttpSide)
    else:
        assert parcel.body in raw


@pytest.mark.parametrize(
    "address", ["", "nonsense", "https://", "mailto:", "tel:", "folder:../x", "amqp://x/"]
)
async def test_an_address_of_no_form_is_not_sendable(side: Counterpart, address: str) -> None:
    parcel = a_parcel()
    answer = await side.channel.send(
        Parcel(parcel.delivery_id, address, parcel.body, (KEY,), TIMEOUT), now=utc_now()
    )
    assert answer.outcome in (Outcome.UNSENDABLE, Outcome.UNREACHABLE)


async def test_closing_leaves_nothing_running(side: Counterpart) -> None:
    await send(side, a_parcel())
    await side.channel.close()
    await side.channel.close()  # twice does no harm
    until = time.monotonic() + 5
    while (left := _of_the_channel()) and time.monotonic() < until:
        await asyncio.sleep(0.02)
    assert not left


def _of_the_channel() -> list[str]:
    """Tasks whose code is an adapter's or its library's client, not the counterpart's own."""
    names = []
    for task in asyncio.all_tasks():
        coroutine = task.get_coro()
        file = getattr(getattr(coroutine, "cr_code", None), "co_filename", "")
        if "notifier/adapters" in file:
            names.append(file)
    return names


@pytest.mark.real
async def test_a_broker_at_a_forbidden_address_is_never_dialled(broker_url: str) -> None:
    guarded = Queue()
    answer = await guarded.send(
        Parcel(uuid4(), f"{broker_url}?queue=dabyl.in", b"{}", (KEY,), TIMEOUT), now=utc_now()
    )
    assert answer.outcome is Outcome.FORBIDDEN_ADDRESS
    await guarded.close()


@pytest.mark.real
async def test_of_two_on_a_dead_line_each_ends_by_itself(broker_url: str) -> None:
    """Who gives up first closes the connection that they share; the other still gets an answer."""
    side = BrokerSide(broker_url)
    async with side.running():
        assert (await send(side, a_parcel())).outcome is Outcome.ACCEPTED
        side.is_dead = True
        short, long = (replace(a_parcel(), timeout=timedelta(seconds=each)) for each in (0.5, 20))
        ended = await asyncio.gather(send(side, short), send(side, long), return_exceptions=True)
        assert [getattr(one, "outcome", one) for one in ended] == [Outcome.NO_ANSWER] * 2
        side.is_dead = False
        assert (await send(side, a_parcel())).outcome is Outcome.ACCEPTED


async def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """What a dead attempt left aside is neither shown nor in the way."""
    side = FolderSide(tmp_path)
    parcel = a_parcel()
    place = side.root / "police-kz-75"
    place.mkdir()
    (place / f".{parcel.delivery_id}.json.part").write_bytes(b"half")
    assert (await send(side, parcel)).outcome is Outcome.ACCEPTED
    assert [file.name for file in place.iterdir()] == [f"{parcel.delivery_id}.json"]
