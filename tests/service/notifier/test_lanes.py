"""Wake-ups over the bus: planned in one process, sent by another; harmless when lost."""

import asyncio
import json
from typing import Any
from uuid import UUID

from common.bus import Exchange, Message
from common.bus.memory import MemoryBus
from common.bus.rabbit import RabbitBus
from common.bus.topology import lane_queue
from common.ids import new_id
from common.telemetry import Telemetry
from common.timing import utc_now
from notifier.adapters.lanes import IDS_A_MESSAGE, BusLanes
from notifier.models import deliveries
from notifier.service.desk import Desk
from notifier.service.endpoints import list_lanes
from tests.factories.notifier import Ledger, NoLanes, eventually, honest, receiving, working
from tests.service.notifier.test_planning import rows

POLICE = "internal_affairs"


async def a_bus(url: str) -> Any:
    bus = MemoryBus() if url.startswith("memory") else RabbitBus(url)
    await bus.start()
    if isinstance(bus, RabbitBus):
        await asyncio.wait_for(bus.wait_connected(), 20)
    return bus


async def test_what_one_process_plans_another_sends_at_once(
    live: Ledger, telemetry: Telemetry, bus_url: str
) -> None:
    bus = await a_bus(bus_url)
    stop = asyncio.Event()
    async with receiving(honest) as agency, working(live, telemetry) as dispatcher:
        await live.connect(POLICE, agency.url)

        async def endpoints() -> list[UUID]:
            async with live.db.reading() as session:
                return await list_lanes(session)

        worker = BusLanes(bus, dispatcher)
        following = asyncio.create_task(worker.follow(endpoints, stop))

        async def listening() -> bool:
            return bool(worker._subscriptions)

        await eventually(listening)
        planner = Desk(
            lawbook=live.desk.lawbook,
            keys=live.keys,
            public_url=live.desk.public_url,
            lanes=BusLanes(bus, NoLanes()),
            tiers=live.desk.tiers,
        )
        live.desk = planner
        await live.take(live.alert(received_at=utc_now()))

        async def told() -> Any:
            return agency.requests

        await eventually(told)
        stop.set()
        await following
    await bus.close()


async def test_without_a_broker_due_rows_are_found_by_time(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(honest) as agency:
        await live.connect(POLICE, agency.url)
        await live.take(live.alert(received_at=utc_now()))
        [waiting] = await rows(live, deliveries, role=POLICE)
        assert (waiting.state, waiting.reason) == ("waiting", "new")
        async with working(live, telemetry):

            async def told() -> Any:
                return agency.requests

            await eventually(told, seconds=5)


class Recording:
    """A bus that writes down what was published."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish(self, messages: Any) -> list[bool]:
        self.messages += messages
        return [True] * len(messages)


async def test_a_wakeup_holds_ids_only_and_at_most_a_hundred() -> None:
    bus = Recording()
    lanes = BusLanes(bus, NoLanes())  # type: ignore[arg-type]  # publishing is all that is used
    endpoint, other = new_id(), new_id()
    ids = [new_id() for _ in range(250)]
    for start in range(0, 250, 50):
        lanes.wake({endpoint: ids[start : start + 50]})
    lanes.wake({other: ids[:1]})
    await asyncio.sleep(0.1)
    assert [message.key for message in bus.messages] == [str(endpoint)] * 3 + [str(other)]
    sent = []
    for message in bus.messages[:3]:
        said = json.loads(message.body)
        assert set(said) == {"deliveries"}
        assert len(said["deliveries"]) <= IDS_A_MESSAGE
        assert message.exchange is Exchange.LANES
        sent += said["deliveries"]
    assert sent == [str(one) for one in ids]


async def test_an_unreadable_wakeup_is_dropped_and_spoils_nothing(live: Ledger, telemetry: Telemetry) -> None:
    async with working(live, telemetry) as dispatcher:
        lanes = BusLanes(MemoryBus(), dispatcher)
        for key, body in (("x", b"{}"), (str(new_id()), b"[]"), (str(new_id()), b'{"deliveries": ["x"]}')):
            await lanes._receive(Message("1", Exchange.LANES, key, body))
    assert lane_queue("a").keys == ("a",)


class _Slow(MemoryBus):
    """A bus whose confirm of the first message takes as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[str] = []
        self.confirms = asyncio.Event()

    async def publish(self, messages: Any, *, seconds: float = 2.0) -> list[bool]:
        self.published += [one.key for one in messages]
        await self.confirms.wait()
        return await super().publish(messages, seconds=seconds)


async def test_a_wake_up_that_comes_while_others_are_published_is_announced_too() -> None:
    bus = _Slow()
    lanes = BusLanes(bus, NoLanes())
    first, second = new_id(), new_id()

    async def is_published(lane: UUID) -> bool:
        return str(lane) in bus.published

    lanes.wake({first: [new_id()]})
    await eventually(lambda: is_published(first))
    lanes.wake({second: [new_id()]})
    bus.confirms.set()
    await eventually(lambda: is_published(second), seconds=5)
