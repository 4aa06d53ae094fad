"""What every implementation of the ``Bus`` port promises, and what RabbitMQ's promises beyond it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aio_pika
import pytest

from common.bus import Bus, Consumer, Message, Transient
from common.bus.rabbit import RabbitBus
from common.bus.topology import DELIVERY_LIMIT, PARKED, Exchange, Queue, event_queue, lane_queue
from common.contracts.intake import AlertReceived, ContentOpened
from common.contracts.notifier import DeliveryTransmitted
from tests.parts.process import free_ports, standing_still
from tests.parts.rabbit import Rabbit

NOTIFIER, CASEWORK = event_queue("notifier"), event_queue("casework")
LANE = lane_queue("endpoint-1")


def an_event(kind: str = ContentOpened.type) -> Message:
    """By default one that only notifier reads."""
    return Message(str(uuid4()), Exchange.EVENTS, kind, b"{}")


def a_wake_up(lane: str = "endpoint-1") -> Message:
    return Message(str(uuid4()), Exchange.LANES, lane, b"[]")


class Reader:
    """A consumer that notes what it took, and fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.taken: list[Message] = []
        self.calls = 0
        self._failures = list(failures)
        self._moved = asyncio.Condition()

    async def __call__(self, message: Message) -> None:
        async with self._moved:
            self.calls += 1
            failure = self._failures.pop(0) if self._failures else None
            if failure is None:
                self.taken.append(message)
            self._moved.notify_all()
        if failure is not None:
            raise failure

    async def until(self, condition: Callable[["Reader"], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds), self._moved:
            await self._moved.wait_for(lambda: condition(self))

    async def until_taken(self, *messages: Message, seconds: float = 20) -> None:
        wanted = {message.id for message in messages}
        await self.until(lambda reader: wanted <= {one.id for one in reader.taken}, seconds)


async def bring(bus: Bus, *messages: Message, seconds: float = 20) -> None:
    """Publish as the outbox does: again, under the same id, until it is confirmed."""
    waiting = list(messages)
    async with asyncio.timeout(seconds):
        while waiting:
            confirmed = await bus.publish(waiting)
            waiting = [message for message, ok in zip(waiting, confirmed, strict=True) if not ok]
            if waiting:
                await asyncio.sleep(0.05)


async def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # the broker gives no signal for this
            await asyncio.sleep(0.02)


# --- both implementations


async def test_an_event_reaches_every_reader(bus: Bus) -> None:
    notifier, casework = Reader(), Reader()
    await bus.subscribe(NOTIFIER, notifier)
    await bus.subscribe(CASEWORK, casework)
    message = an_event(AlertReceived.type)
    assert await bus.publish([message]) == [True]
    await asyncio.gather(notifier.until_taken(message), casework.until_taken(message))
    assert notifier.taken == casework.taken == [message]


async def test_an_event_nobody_of_ours_reads_is_confirmed(bus: Bus) -> None:
    assert await bus.publish([an_event(DeliveryTransmitted.type)]) == [True]


async def test_what_finds_no_queue_is_not_confirmed_and_does_not_spoil_its_batch(bus: Bus) -> None:
    reader = Reader()
    await bus.subscribe(NOTIFIER, reader)
    routable, unroutable, another = an_event(), a_wake_up("nobody"), an_event()
    assert await bus.publish([routable, unroutable, another]) == [True, False, True]
    await reader.until_taken(routable, another)


async def test_a_reader_that_was_never_there_keeps_the_event_unconfirmed(bus: Bus) -> None:
    assert await bus.publish([an_event()]) == [False]


async def test_confirmed_means_safe_when_the_reader_fails_first(bus: Bus) -> None:
    reader = Reader(RuntimeError("poison"), RuntimeError("poison"))
    await bus.subscribe(NOTIFIER, reader)
    message = an_event()
    await bring(bus, message)
    await reader.until_taken(message)
    assert reader.calls == 3


async def test_a_reader_whose_own_part_is_away_is_asked_again(bus: Bus) -> None:
    # More often than the delivery limit: being away must not count.
    reader = Reader(*(Transient() for _ in range(DELIVERY_LIMIT + 5)))
    await bus.subscribe(NOTIFIER, reader)
    message = an_event()
    await bring(bus, message)
    await reader.until_taken(message)
    assert reader.calls == DELIVERY_LIMIT + 6


async def test_one_that_is_refused_does_not_hold_up_the_others(bus: Bus) -> None:
    poison, fine = an_event(), an_event()
    taken = asyncio.Event()

    async def consumer(message: Message) -> None:
        if message.id == poison.id:
            raise ValueError("poison")
        taken.set()

    await bus.subscribe(NOTIFIER, consumer)
    await bus.publish([poison])
    await bring(bus, fine)
    async with asyncio.timeout(20):
        await taken.wait()


async def test_a_repeat_is_delivered_like_the_first_and_under_the_same_id(bus: Bus) -> None:
    reader = Reader()
    await bus.subscribe(NOTIFIER, reader)
    message = an_event()
    assert await bus.publish([message]) == [True]
    assert await bus.publish([message]) == [True]
    await reader.until(lambda one: len(one.taken) == 2)
    assert {one.id for one in reader.taken} == {message.id}


async def test_a_wake_up_goes_to_exactly_one_of_many(bus: Bus) -> None:
    workers = [Reader() for _ in range(3)]
    for worker in workers:
        await bus.subscribe(LANE, worker, prefetch=2)
    messages = [a_wake_up() for _ in range(30)]
    assert await bus.publish(messages) == [True] * 30
    await eventually(lambda: sum(len(worker.taken) for worker in workers) >= 30)
    seen = Counter(message.id for worker in workers for message in worker.taken)
    assert seen == Counter(message.id for message in messages)
    assert all(worker.taken for worker in workers)


async def test_a_wake_up_of_one_lane_never_enters_another(bus: Bus) -> None:
    mine, other = Reader(), Reader()
    await bus.subscribe(LANE, mine)
    await bus.subscribe(lane_queue("endpoint-2"), other)
    message = a_wake_up("endpoint-2")
    assert await bus.publish([message]) == [True]
    await other.until_taken(message)
    assert mine.calls == 0


async def test_no_more_than_prefetch_are_in_hand(bus: Bus) -> None:
    in_hand, most, done = 0, 0, 0
    gate = asyncio.Event()

    async def consumer(_message: Message) -> None:
        nonlocal in_hand, most, done
        in_hand += 1
        most = max(most, in_hand)
        await gate.wait()
        in_hand -= 1
        done += 1

    await bus.subscribe(LANE, consumer, prefetch=3)
    assert await bus.publish([a_wake_up() for _ in range(12)]) == [True] * 12
    await eventually(lambda: in_hand == 3)
    gate.set()
    await eventually(lambda: done == 12)
    assert most == 3


async def test_cancelling_finishes_what_is_in_hand_and_takes_no_more(bus: Bus) -> None:
    began, gate = asyncio.Event(), asyncio.Event()
    finished: list[str] = []

    async def consumer(message: Message) -> None:
        began.set()
        await gate.wait()
        finished.append(message.id)

    subscription = await bus.subscribe(LANE, consumer)
    message = a_wake_up()
    await bus.publish([message])
    await began.wait()
    cancelling = asyncio.create_task(subscription.cancel())
    await asyncio.sleep(0.05)
    assert not cancelling.done()
    gate.set()
    await asyncio.wait_for(cancelling, 10)
    assert finished == [message.id]
    await bus.publish([a_wake_up()])
    await asyncio.sleep(0.1)
    assert len(finished) == 1


async def test_the_body_and_the_headers_arrive_as_they_were_sent(bus: Bus) -> None:
    reader = Reader()
    await bus.subscribe(NOTIFIER, reader)
    message = Message(
        str(uuid4()), Exchange.EVENTS, ContentOpened.type, bytes(range(256)) * 200, {"traceparent": "00-ab"}
    )
    await bring(bus, message)
    await reader.until_taken(message)
    assert reader.taken == [message]


async def test_subscribing_and_declaring_twice_is_harmless(bus: Bus) -> None:
    await bus.declare([NOTIFIER, LANE])
    await bus.declare([LANE, NOTIFIER])
    await bus.subscribe(NOTIFIER, Reader())
    assert await bus.publish([an_event()]) == [True]


# --- RabbitMQ alone


@pytest.fixture
def rabbit(bus: Bus) -> RabbitBus:
    assert isinstance(bus, RabbitBus)
    return bus


async def with_channel(url: str, act: Callable[[aio_pika.abc.AbstractChannel], Awaitable[object]]) -> object:
    # A broker that deletes a queue while somebody makes it again may never answer (seen on 3.10).
    async with asyncio.timeout(20):
        connection = await aio_pika.connect(url)
        async with connection:
            return await act(await connection.channel())


async def depth(url: str, queue: Queue) -> int:
    async def look(channel: aio_pika.abc.AbstractChannel) -> object:
        return (await channel.declare_queue(queue.name, passive=True)).declaration_result.message_count

    return int(str(await with_channel(url, look)))


async def test_a_message_that_is_refused_for_ever_is_parked(rabbit: RabbitBus, bus_url: str) -> None:
    reader = Reader(*(ValueError("poison") for _ in range(100)))
    await rabbit.subscribe(LANE, reader)
    message = a_wake_up()
    assert await rabbit.publish([message]) == [True]
    async with asyncio.timeout(20):
        while await depth(bus_url, PARKED) == 0:  # the broker gives no signal for this
            await asyncio.sleep(0.1)
    assert reader.calls == DELIVERY_LIMIT + 1
    assert await depth(bus_url, LANE) == 0
    assert await rabbit.depth(PARKED) == 1, "the service sees it too"

    async def take(channel: aio_pika.abc.AbstractChannel) -> object:
        queue = await channel.get_queue(PARKED.name)
        parked = await queue.get()
        await parked.ack()
        return parked.message_id, parked.routing_key

    assert await with_channel(bus_url, take) == (message.id, message.key)


async def test_a_full_queue_refuses_and_tells(rabbit: RabbitBus) -> None:
    small = Queue("dlv.lane.small", Exchange.LANES, ("small",), 3)
    await rabbit.declare([small])
    answers = [(await rabbit.publish([a_wake_up("small")]))[0] for _ in range(8)]
    assert answers[0] is True
    assert answers[-1] is False


async def test_what_is_published_outlives_its_consumer(rabbit: RabbitBus, bus_url: str) -> None:
    await rabbit.declare([NOTIFIER])
    messages = [an_event() for _ in range(20)]
    assert await rabbit.publish(messages) == [True] * 20
    later = RabbitBus(bus_url)
    await later.start()
    reader = Reader()
    await later.subscribe(NOTIFIER, reader)
    await reader.until_taken(*messages)
    await later.close()


async def test_every_queue_declares_again_with_the_same_arguments(rabbit: RabbitBus, bus_url: str) -> None:
    queues = [NOTIFIER, CASEWORK, LANE, PARKED]
    await rabbit.declare(queues)
    another = RabbitBus(bus_url)
    await another.start()
    await another.declare(queues)
    await another.wait_connected()
    for queue in queues:
        arguments = queue.arguments
        assert arguments["x-queue-type"] == "quorum"
        assert 0 < arguments["x-delivery-limit"] < 1000  # neither absent nor -1: both mean opposite things
        assert arguments["x-overflow"] == "reject-publish"
    assert another.is_connected
    await another.close()


async def test_a_queue_that_somebody_made_differently_does_not_take_the_bus_down(
    rabbit: RabbitBus, bus_url: str
) -> None:
    async def make(channel: aio_pika.abc.AbstractChannel) -> object:
        await channel.declare_queue(
            "dlv.lane.odd", durable=True, arguments={**lane_queue("odd").arguments, "x-max-length": 7}
        )
        return None

    await with_channel(bus_url, make)
    await rabbit.declare([lane_queue("odd")])
    await rabbit.subscribe(NOTIFIER, Reader())
    assert await rabbit.publish([an_event()]) == [True]
    assert rabbit.is_connected


async def test_a_deleted_queue_comes_back_with_its_consumer(rabbit: RabbitBus, bus_url: str) -> None:
    reader, other = Reader(), Reader()
    await rabbit.subscribe(NOTIFIER, reader)
    await rabbit.subscribe(LANE, other)
    first, second = an_event(), an_event()
    await bring(rabbit, first)
    await reader.until_taken(first)
    await with_channel(bus_url, lambda channel: channel.queue_delete(NOTIFIER.name))
    await bring(rabbit, second)
    await reader.until_taken(second)
    wake_up = a_wake_up()  # the other consumer did not notice
    await bring(rabbit, wake_up)
    await other.until_taken(wake_up)


async def test_the_publisher_gives_the_broker_time_to_tell_a_deleted_queues_consumers(
    rabbit: RabbitBus, bus_url: str
) -> None:
    # A queue made again within some milliseconds leaves its consumer attached to nothing, and no
    # cancellation comes (measured on 3.10). The publisher notices first: its message finds no queue.
    publisher = RabbitBus(bus_url)
    await publisher.start()
    await publisher.declare([NOTIFIER])
    await publisher.wait_connected()
    reader = Reader()
    await rabbit.subscribe(NOTIFIER, reader)

    async def delete(channel: aio_pika.abc.AbstractChannel) -> object:
        deleting = asyncio.create_task(channel.queue_delete(NOTIFIER.name))
        for _ in range(20):
            await publisher.publish([an_event()])
        return await deleting

    await with_channel(bus_url, delete)
    message = an_event()
    await bring(publisher, message)
    await reader.until_taken(message)
    await publisher.close()


async def test_a_deleted_queue_comes_back_when_only_a_publisher_knows_it(
    rabbit: RabbitBus, bus_url: str
) -> None:
    await rabbit.declare([LANE])
    await bring(rabbit, a_wake_up())
    await with_channel(bus_url, lambda channel: channel.queue_delete(LANE.name))
    assert await rabbit.publish([a_wake_up()]) == [False]
    await bring(rabbit, a_wake_up())


async def test_a_consumer_whose_channel_the_broker_closes_starts_again(rabbit: RabbitBus) -> None:
    reader = Reader()
    subscription = await rabbit.subscribe(NOTIFIER, reader)
    channel = subscription._channel
    assert channel
    underlay = await channel.get_underlay_channel()
    await underlay.basic_ack(4711)  # an unknown tag: the broker closes the channel
    message = an_event()
    await bring(rabbit, message)
    await reader.until_taken(message)


@pytest.mark.parametrize("away", ["refused", "silent"])
async def test_a_broker_that_is_not_there_is_a_quick_no(away: str) -> None:
    async def never_answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if away == "refused":
        server.close()
    bus = RabbitBus(f"amqp://u:p@127.0.0.1:{port}/")
    await bus.start()
    await bus.declare([NOTIFIER])
    await bus.subscribe(NOTIFIER, Reader())
    began = time.monotonic()
    assert await bus.publish([an_event(), a_wake_up()]) == [False, False]
    assert time.monotonic() - began < 0.2
    await bus.close()
    server.close()


# --- a broker that is stopped and killed


async def test_a_stalled_broker_is_a_no_within_the_timeout_and_loses_nothing(own_broker: Rabbit) -> None:
    bus = RabbitBus(own_broker.url, pause=0.02)
    await bus.start()
    await bus.wait_connected()
    reader = Reader()
    await bus.subscribe(NOTIFIER, reader)
    assert own_broker.running
    messages = [Message(str(uuid4()), Exchange.EVENTS, ContentOpened.type, b"x" * 60_000) for _ in range(100)]
    with standing_still(own_broker.running.pid):
        began = time.monotonic()
        assert (
            await bus.publish(messages, seconds=1.0) == [False] * 100
        )  # more than the socket's buffers hold
        assert time.monotonic() - began < 2.0
    await bring(bus, *messages, seconds=30)
    await reader.until_taken(*messages)
    began = time.monotonic()
    await bus.close()
    assert time.monotonic() - began < 5


@pytest.mark.kill
async def test_after_kill_9_consumers_resume_and_nothing_confirmed_is_lost(own_broker: Rabbit) -> None:
    bus = RabbitBus(own_broker.url, pause=0.02)
    await bus.start()
    await bus.wait_connected()
    await bus.declare([NOTIFIER])
    await asyncio.sleep(2)  # 3.10: a quorum queue killed within 0.5 s of its declaration may lose its leader
    confirmed: list[Message] = []
    stop = asyncio.Event()

    async def publish_on() -> None:
        while not stop.is_set():
            batch = [an_event() for _ in range(20)]
            answers = await bus.publish(batch)  # must not raise, whatever happens to the broker
            confirmed.extend(message for message, ok in zip(batch, answers, strict=True) if ok)
            await asyncio.sleep(0.005)

    publishing = asyncio.create_task(publish_on())
    await eventually(lambda: len(confirmed) > 200)
    own_broker.kill()
    await eventually(lambda: not bus.is_connected, 5)
    began = time.monotonic()
    assert await bus.publish([an_event()]) == [False]
    assert time.monotonic() - began < 0.2
    reader = Reader()
    await bus.subscribe(NOTIFIER, reader)  # while the broker is away
    await asyncio.to_thread(own_broker.start)
    async with asyncio.timeout(30):
        await bus.wait_connected()
    stop.set()
    await publishing
    after = an_event()
    await bring(bus, after)
    confirmed.append(after)
    await reader.until_taken(*confirmed, seconds=30)
    await bus.close()


async def test_work_in_hand_is_finished_when_the_broker_goes(own_broker: Rabbit) -> None:
    bus = RabbitBus(own_broker.url)
    await bus.start()
    began, gate, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def consumer(_message: Message) -> None:
        began.set()
        await gate.wait()
        finished.set()

    await bus.subscribe(LANE, consumer)
    await bring(bus, a_wake_up())
    await asyncio.wait_for(began.wait(), 20)
    own_broker.kill()
    await eventually(lambda: not bus.is_connected, 5)
    gate.set()
    await asyncio.wait_for(finished.wait(), 5)
    await bus.close()


def test_a_consumer_is_any_async_function_of_a_message() -> None:
    consumer: Consumer = Reader()
    assert callable(consumer)


async def test_of_several_addresses_the_next_one_is_taken_when_one_is_away(
    own_broker: Rabbit, bus_url: str
) -> None:
    """Nodes of one cluster in the setting of a service; here the second is another broker altogether."""
    [nobody] = free_ports(1)
    bus = RabbitBus(f"amqp://dabyl:x@127.0.0.1:{nobody}/,{own_broker.url},{bus_url}", pause=0.02)
    reader = Reader()
    await bus.start()
    try:
        async with asyncio.timeout(20):
            await bus.wait_connected()
        await bus.subscribe(NOTIFIER, reader)
        first, second = an_event(), an_event()
        await bring(bus, first)
        await reader.until_taken(first)
        own_broker.kill()
        await bring(bus, second)
        await reader.until_taken(second)
    finally:
        await bus.close()


async def test_more_lanes_than_the_broker_allows_channels_cost_no_events(own_broker: Rabbit) -> None:
    own_broker.ctl("eval", "application:set_env(rabbit, channel_max, 12).")
    bus = RabbitBus(own_broker.url, pause=0.02)
    try:
        await bus.start()
        await bus.wait_connected()
        events, lanes = Reader(), Reader()
        for number in range(20):
            await bus.subscribe(lane_queue(f"many-{number}"), lanes)
        await bus.subscribe(NOTIFIER, events)
        for _ in range(2):
            event, wake_up = an_event(), a_wake_up("many-0")
            assert await bus.publish([event, wake_up, a_wake_up("many-19")]) == [True] * 3
            await events.until_taken(event)
            await lanes.until_taken(wake_up)
            assert bus.is_connected
            before = bus._link
            own_broker.ctl("close_all_connections", "a test")  # and all of it is built again
            async with asyncio.timeout(30):
                while bus._link is before or not bus.is_connected:
                    await asyncio.sleep(0.05)
                await bus.wait_connected()
    finally:
        own_broker.ctl("eval", "application:set_env(rabbit, channel_max, 2047).")
        await bus.close()
