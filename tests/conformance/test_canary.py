"""A canary tells a queue that lives from one that only says so."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import aio_pika
import pytest

from common.bus import Bus, Message, Probe, Queue
from common.bus.canary import SILENT_TIMES, QueueWatch
from common.bus.rabbit import RabbitBus
from common.bus.topology import event_queue, lane_queue
from tests.conformance.test_bus import Reader, a_wake_up, bring, eventually, rabbit
from tests.parts.process import standing_still
from tests.parts.rabbit import Rabbit

__all__ = ["rabbit"]

LANE = lane_queue("endpoint-1")
NOTIFIER = event_queue("notifier")


class Scripted:
    """A bus whose answers to probes are written down; notes what is made anew."""

    def __init__(self, answers: dict[str, list[Probe]]) -> None:
        self.answers = answers
        self.rebuilt: list[str] = []

    async def probe(self, queue: Queue, *, seconds: float = 5.0) -> Probe:
        return self.answers[queue.name].pop(0)

    async def rebuild(self, queue: Queue) -> None:
        self.rebuilt.append(queue.name)


def watching(bus: Scripted, *queues: Queue) -> QueueWatch:
    async def listed() -> Sequence[Queue]:
        return queues

    return QueueWatch(bus, listed)  # type: ignore[arg-type]  # it has what a watch calls


async def test_a_queue_that_alone_stays_silent_is_made_anew() -> None:
    bus = Scripted({LANE.name: [Probe.SILENT] * 4, NOTIFIER.name: [Probe.CONFIRMED] * 4})
    watch = watching(bus, LANE, NOTIFIER)
    for _ in range(SILENT_TIMES):
        assert bus.rebuilt == []
        await watch.pass_once()
    assert bus.rebuilt == [LANE.name]


@pytest.mark.parametrize("other", [Probe.SILENT, Probe.AWAY, Probe.REFUSED])
async def test_a_broker_that_answers_nobody_keeps_its_queues(other: Probe) -> None:
    bus = Scripted({LANE.name: [Probe.SILENT] * 9, NOTIFIER.name: [other] * 9})
    watch = watching(bus, LANE, NOTIFIER)
    for _ in range(9):
        await watch.pass_once()
    assert bus.rebuilt == []


async def test_one_answer_between_starts_the_count_again() -> None:
    silent, confirmed = Probe.SILENT, Probe.CONFIRMED
    bus = Scripted({LANE.name: [silent, silent, confirmed, silent, silent], NOTIFIER.name: [confirmed] * 5})
    watch = watching(bus, LANE, NOTIFIER)
    for _ in range(5):
        await watch.pass_once()
    assert bus.rebuilt == []


async def test_a_living_queue_confirms_and_its_reader_never_sees_the_canary(bus: Bus) -> None:
    reader = Reader()
    await bus.subscribe(LANE, reader)
    await bus.subscribe(NOTIFIER, reader)
    assert [await bus.probe(LANE), await bus.probe(NOTIFIER)] == [Probe.CONFIRMED, Probe.CONFIRMED]
    wake_up = a_wake_up()
    await bring(bus, wake_up)
    await reader.until_taken(wake_up)
    assert [one.id for one in reader.taken] == [wake_up.id]


async def test_a_queue_that_is_gone_refuses_and_is_made_anew(rabbit: RabbitBus) -> None:
    reader = Reader()
    await rabbit.subscribe(LANE, reader)
    assert await rabbit.probe(LANE) is Probe.CONFIRMED
    await rabbit.rebuild(LANE)
    wake_up: Message = a_wake_up()
    await bring(rabbit, wake_up)
    await reader.until_taken(wake_up)


async def test_a_stopped_broker_is_silent_and_keeps_its_queues(own_broker: Rabbit) -> None:
    bus = RabbitBus(own_broker.url)
    await bus.start()
    await bus.wait_connected()
    await bus.declare([LANE, NOTIFIER])
    assert own_broker.running is not None
    with standing_still(own_broker.running.pid):
        assert await bus.probe(LANE, seconds=0.5) is Probe.SILENT
    await eventually(lambda: bus.is_connected)
    await bus.close()


async def _declared_and_killed(own_broker: Rabbit, queue: Queue) -> None:
    """Declare a quorum queue and kill the node before its log knows of it (delivery.md, finding 6)."""
    connection = await aio_pika.connect(own_broker.url)
    channel = await connection.channel()
    await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
    assert own_broker.running is not None
    own_broker.running.kill()
    await connection.close()
    await asyncio.to_thread(own_broker.start)


async def test_a_queue_whose_node_died_right_after_its_birth_serves_again(own_broker: Rabbit) -> None:
    """Whether it lost its leader or not, after some looks it confirms, and what is published arrives."""
    lane = lane_queue(str(uuid4()))
    await _declared_and_killed(own_broker, lane)
    bus = RabbitBus(own_broker.url)
    await bus.start()
    await bus.wait_connected()
    reader = Reader()
    await bus.declare([NOTIFIER])
    await bus.subscribe(lane, reader)

    async def listed() -> Sequence[Queue]:
        return [lane, NOTIFIER]

    watch = QueueWatch(bus, listed, seconds=1.0)
    seen: list[Probe] = []
    async with asyncio.timeout(60):
        while not seen or seen[-1] is not Probe.CONFIRMED:
            seen.append((await watch.pass_once())[lane.name])
            await asyncio.sleep(0.2)  # a queue that was made anew needs a moment to elect
    wake_up = Message(str(uuid4()), a_wake_up().exchange, lane.keys[0], b"{}")
    await bring(bus, wake_up, seconds=30)
    await reader.until_taken(wake_up, seconds=30)
    await bus.close()


class _Lost:
    """A link whose reader ended while a probe waited for its confirm: the client cancels what waits."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.confirm: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def probe(self, _queue: Queue, _message: aio_pika.Message) -> None:
        await self.confirm


async def test_a_probe_whose_connection_goes_finds_the_broker_away() -> None:
    bus = RabbitBus("amqp://nobody@127.0.0.1:1/")
    link = _Lost()
    bus._link = link  # type: ignore[assignment]  # all of a link that a probe looks at
    probing = asyncio.create_task(bus.probe(LANE))
    await asyncio.sleep(0)
    link.confirm.set_exception(asyncio.CancelledError())
    assert await probing is Probe.AWAY


async def test_a_probe_that_is_asked_to_end_ends() -> None:
    bus = RabbitBus("amqp://nobody@127.0.0.1:1/")
    bus._link = _Lost()  # type: ignore[assignment]  # see above
    probing = asyncio.create_task(bus.probe(LANE))
    await asyncio.sleep(0)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
