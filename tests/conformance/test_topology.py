"""The broker's shape is made by a command; services look, and say what to run. All on a real RabbitMQ."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import aio_pika
import pytest
import structlog
from aio_pika.abc import AbstractChannel

from common.bus import Message, Probe, Queue
from common.bus.management import Unseen
from common.bus.provisioning import BrokerAway, apply, check, check_passively, keep
from common.bus.rabbit import RabbitBus
from common.bus.topology import PARKED, Exchange, event_queue, fixed_queues, lane_queue
from common.contracts.intake import AlertReceived, ContentOpened
from tests.conftest import REAL
from tests.parts.process import free_ports
from tests.parts.rabbit import VirtualHosts

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
LANE = lane_queue("endpoint-1")
QUEUES = [*fixed_queues(), LANE]
NOTIFIER, CASEWORK = event_queue("notifier"), event_queue("casework")


@pytest.fixture
def api() -> str:
    return str(REAL.rabbit().api)


async def with_channel(url: str, act: Callable[[AbstractChannel], Awaitable[object]]) -> None:
    async with await aio_pika.connect(url) as connection:
        await act(await connection.channel())


async def _unbind(url: str, queue: Queue, key: str) -> None:
    async def act(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue.name)).unbind(str(queue.exchange), key)

    await with_channel(url, act)


async def test_it_is_made_once_and_the_second_time_nothing_is(broker_url: str, api: str) -> None:
    first = await apply(broker_url, QUEUES, api=api)
    made = len(Exchange) + len(QUEUES) + sum(len({*one.keys, one.canary_key}) for one in QUEUES)
    assert len(first.made) == made
    assert first.differences == []
    assert first.unseen is None
    assert await check(broker_url, QUEUES, api=api) == []
    assert (await apply(broker_url, QUEUES, api=api)).made == []


async def test_a_bare_broker_is_told_of_whole_and_checking_makes_nothing(broker_url: str, api: str) -> None:
    for _ in range(2):
        found = await check(broker_url, QUEUES, api=api)
        assert {f"exchange {one}: missing" for one in Exchange} <= set(found)
        assert {f"queue {one.name}: missing" for one in QUEUES} <= set(found)
        passively = await check_passively(broker_url, QUEUES)
        assert len(passively) == len(Exchange) + len(QUEUES)


async def test_a_binding_that_was_taken_away_is_named_and_made_again(broker_url: str, api: str) -> None:
    await apply(broker_url, QUEUES, api=api)
    await _unbind(broker_url, CASEWORK, AlertReceived.type)
    line = f"binding ev.domain -> ev.casework [{AlertReceived.type}]"
    assert await check(broker_url, QUEUES, api=api) == [f"{line}: missing"]
    assert await check_passively(broker_url, QUEUES) == [], "the protocol shows no binding"
    assert (await apply(broker_url, QUEUES, api=api)).made == [line]
    assert await check(broker_url, QUEUES, api=api) == []


async def test_a_queue_that_is_gone_is_named(broker_url: str, api: str) -> None:
    await apply(broker_url, QUEUES, api=api)
    await with_channel(broker_url, lambda channel: channel.queue_delete(LANE.name))
    found = await check(broker_url, QUEUES, api=api)
    assert found == [
        "queue dlv.lane.endpoint-1: missing",
        "binding dlv.lanes -> dlv.lane.endpoint-1 [endpoint-1]: missing",
    ]
    assert await check_passively(broker_url, QUEUES) == ["queue dlv.lane.endpoint-1: missing"]


async def test_other_arguments_are_named_and_left_alone(broker_url: str, api: str) -> None:
    async def make(channel: AbstractChannel) -> None:
        await channel.declare_queue(
            LANE.name, durable=True, arguments={**LANE.arguments, "x-max-length": 7, "x-message-ttl": 1000}
        )
        await channel.declare_exchange(
            Exchange.PARKED, "fanout", durable=True, arguments={"alternate-exchange": "amq.fanout"}
        )

    await with_channel(broker_url, make)
    wanted = [
        "exchange parked: argument alternate-exchange should not be set",
        "queue dlv.lane.endpoint-1: x-max-length is 7, should be 50000",
        "queue dlv.lane.endpoint-1: x-message-ttl is 1000, should not be set",
    ]
    done = await apply(broker_url, QUEUES, api=api)
    assert done.differences == wanted
    assert await check(broker_url, QUEUES, api=api) == wanted
    [nowhere] = free_ports(1)
    blind = await apply(broker_url, QUEUES, api=f"http://127.0.0.1:{nowhere}")
    assert blind.differences == [
        "exchange parked: other arguments",
        "queue dlv.lane.endpoint-1: other arguments",
    ]
    assert blind.unseen


async def test_a_policy_that_shortens_a_queue_is_named(broker_url: str, api: str) -> None:
    await apply(broker_url, QUEUES, api=api)
    hosts, name = _hosts(broker_url)
    policy = {"pattern": "^ev\\.notifier$", "definition": {"max-length": 3}, "apply-to": "queues"}
    hosts._call("PUT", f"/api/policies/{name}/shorter", policy)

    async def until_named() -> list[str]:
        while not (found := await check(broker_url, QUEUES, api=api)):
            await asyncio.sleep(0.1)
        return found

    async with asyncio.timeout(20):
        assert await until_named() == ["queue ev.notifier: a policy sets max-length"]


async def test_a_broker_that_is_away_or_shows_nothing_is_not_called_right(broker_url: str, api: str) -> None:
    [nowhere] = free_ports(1)
    dead = f"amqp://dabyl:x@127.0.0.1:{nowhere}/"
    with pytest.raises(BrokerAway):
        await apply(dead, QUEUES, api=api)
    with pytest.raises(Unseen):
        await check(broker_url, QUEUES, api=f"http://127.0.0.1:{nowhere}")
    with pytest.raises(Unseen, match="401"):
        await check(broker_url.replace("dabyl:", "dabyl:no"), QUEUES, api=api)
    assert (await apply(f"{dead},{broker_url}", QUEUES, api=api)).made, "the next node is taken"


# --- a service whose user may make nothing ------------------------------------------------------------------


def _hosts(url: str) -> tuple[VirtualHosts, str]:
    part = REAL.rabbit()
    return VirtualHosts(part.url, str(part.api)), quote(urlsplit(url).path[1:], safe="")


@pytest.fixture
async def powerless(broker_url: str) -> AsyncIterator[str]:
    """URL of a user with notifier's rights of deploy/rabbitmq/definitions.json."""
    hosts, name = _hosts(broker_url)
    user = f"service-{uuid4().hex[:8]}"
    hosts._call("PUT", f"/api/users/{user}", {"password": "x", "tags": ""})
    rights = {
        "configure": "^$",
        "write": r"^(ev\.domain|dlv\.lanes)$",
        "read": r"^(ev\.notifier|dlv\.lane\..*)$",
    }
    hosts._call("PUT", f"/api/permissions/{name}/{user}", rights)
    parts = urlsplit(broker_url)
    yield f"amqp://{user}:x@{parts.hostname}:{parts.port}{parts.path}"
    hosts._call("DELETE", f"/api/users/{user}")


class Taker:
    """A consumer that notes what it took."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[str] = asyncio.Queue()

    async def __call__(self, message: Message) -> None:
        self.taken.put_nowait(message.id)


def an_event(kind: str = ContentOpened.type) -> Message:
    return Message(str(uuid4()), Exchange.EVENTS, kind, b"{}")


def _missing(logs: Sequence[Any]) -> list[str]:
    return [one["queue"] for one in logs if one["event"] == "topology_missing"]


async def test_a_service_without_the_right_runs_and_makes_nothing(
    broker_url: str, api: str, powerless: str
) -> None:
    await apply(broker_url, QUEUES, api=api)
    bus = RabbitBus(powerless, declares=False)
    await bus.start()
    try:
        async with asyncio.timeout(20):
            await bus.wait_connected()
            events, lane = Taker(), Taker()
            await bus.subscribe(NOTIFIER, events)
            await bus.subscribe(LANE, lane)
            message, wake_up = an_event(), Message(str(uuid4()), Exchange.LANES, "endpoint-1", b"[]")
            assert await bus.publish([message, wake_up]) == [True, True]
            assert await events.taken.get() == message.id
            assert await lane.taken.get() == wake_up.id
            assert await bus.probe(NOTIFIER) is Probe.CONFIRMED
            await bus.rebuild(NOTIFIER)  # says who does it, and stays
            assert await bus.publish([an_event()]) == [True]
    finally:
        await bus.close()


async def test_what_is_missing_is_said_and_used_once_it_is_made(
    broker_url: str, api: str, powerless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.bus.rabbit._MISSING_SECONDS", 0.2)
    bus = RabbitBus(powerless, declares=False)
    taker = Taker()
    with structlog.testing.capture_logs() as logs:
        await bus.start()
        try:
            async with asyncio.timeout(30):
                while not _missing(logs):
                    await asyncio.sleep(0.05)
                assert _missing(logs) == [Exchange.EVENTS]
                assert await bus.publish([an_event()]) == [False]
                everything_else = [one for one in QUEUES if one not in (NOTIFIER, CASEWORK)]
                await apply(broker_url, [*everything_else, NOTIFIER], api=api)
                await bus.wait_connected()
                await bus.declare([NOTIFIER, CASEWORK])
                assert CASEWORK.name in _missing(logs)
                # Notifier's queue would take and confirm it, and casework would never hear.
                assert await bus.publish([an_event(AlertReceived.type)]) == [False]
                assert await bus.publish([an_event()]) == [True], "casework does not read this one"
                await bus.subscribe(LANE, taker)
                await apply(broker_url, QUEUES, api=api)
                while await bus.publish([an_event(AlertReceived.type)]) != [True]:
                    await asyncio.sleep(0.05)
                assert all(
                    "topology apply" in one["reason"] for one in logs if one["event"] == "topology_missing"
                )
                assert _missing(logs).count(CASEWORK.name) == 1, "said once, not every second"
        finally:
            await bus.close()


async def test_a_lane_that_is_made_later_is_read(
    broker_url: str, api: str, powerless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.bus.rabbit._MISSING_SECONDS", 0.2)
    await apply(broker_url, fixed_queues(), api=api)
    bus, taker = RabbitBus(powerless, declares=False), Taker()
    await bus.start()
    try:
        async with asyncio.timeout(30):
            await bus.wait_connected()
            await bus.subscribe(LANE, taker)
            wake_up = Message(str(uuid4()), Exchange.LANES, "endpoint-1", b"[]")
            assert await bus.publish([wake_up]) == [False], "no lane: the row is found by time"
            stop = asyncio.Event()
            keeper = RabbitBus(broker_url)
            await keeper.start()
            await keeper.wait_connected()

            async def queues() -> Sequence[Queue]:
                return QUEUES

            keeping = asyncio.create_task(keep(keeper, queues, stop))
            while await bus.publish([wake_up]) != [True]:
                await asyncio.sleep(0.05)
            assert await taker.taken.get() == wake_up.id
            stop.set()
            await keeping
            await keeper.close()
    finally:
        await bus.close()


async def test_what_is_kept_and_taken_away_is_made_again(broker_url: str, api: str) -> None:
    keeper = RabbitBus(broker_url)
    await keeper.start()
    try:
        async with asyncio.timeout(20):
            await keeper.wait_connected()
            await keeper.declare(QUEUES)
            await _unbind(broker_url, NOTIFIER, AlertReceived.type)
            await with_channel(broker_url, lambda channel: channel.queue_delete(PARKED.name))
            assert len(await check(broker_url, QUEUES, api=api)) == 3
            await keeper.declare_again()
            assert await check(broker_url, QUEUES, api=api) == []
    finally:
        await keeper.close()


# --- from a terminal --------------------------------------------------------------------------------------


def _dabyl(url: str, api: str, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(one) for one in (ROOT, ROOT / "libs", ROOT / "services"))
    environment = {**os.environ, "PYTHONPATH": path, "DABYL_BUS_URL": url, "DABYL_BUS_API": api}
    return subprocess.run(
        [sys.executable, "-m", "dabyl", "topology", *words, "--no-lanes"],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


async def test_the_command_says_what_it_made_and_what_differs(broker_url: str, api: str) -> None:
    bare = await asyncio.to_thread(_dabyl, broker_url, api, "check")
    assert bare.returncode == 1
    assert "queue ev.notifier: missing" in bare.stdout
    made = await asyncio.to_thread(_dabyl, broker_url, api, "apply")
    assert made.returncode == 0, made.stderr
    assert "made: queue ev.notifier" in made.stdout
    assert "made nothing" in (await asyncio.to_thread(_dabyl, broker_url, api, "apply")).stdout
    right = await asyncio.to_thread(_dabyl, broker_url, api, "check")
    assert (right.returncode, right.stdout) == (0, "the broker holds what it should\n")
    await _unbind(broker_url, NOTIFIER, ContentOpened.type)
    wrong = await asyncio.to_thread(_dabyl, broker_url, api, "check")
    assert wrong.returncode == 1
    assert f"binding ev.domain -> ev.notifier [{ContentOpened.type}]: missing" in wrong.stdout
