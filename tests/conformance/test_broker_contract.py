"""What we rely on of RabbitMQ, measured on the broker at hand with the bare client.

``RELIED`` must be the same on every version from 3.10 to 4.x: a difference fails the build. ``TRAITS`` differ
by version and are why the rules of ``common.bus.topology`` are as they are; a new version's go on record.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelPreconditionFailed, DeliveryError, PublishError

RELIED: dict[str, object] = {
    "declaring twice": "ok",
    "declaring with other arguments": "precondition failed",
    "reject with requeue, limit 3": 4,
    "consumer gone, limit 3": 4,
    "unroutable and mandatory": "returned",
    "over its length": "refused",
    "passive declare of nothing": "not found",
    "persistent, confirmed, consumed": "once",
}

TRAITS: dict[str, dict[str, object]] = {
    "3.10": {"nack with requeue counts": True, "limit -1, first requeue": "gone", "unknown argument": "ok"},
}

SECONDS = 20


@pytest.fixture
async def connection(bus_kind: str, bus_url: str) -> AsyncIterator[AbstractConnection]:
    if bus_kind == "memory":
        pytest.fail("collected for RabbitMQ alone")
    opened = await aio_pika.connect(bus_url)
    yield opened
    await opened.close()


def quorum(**more: Any) -> dict[str, Any]:
    return {"x-queue-type": "quorum", **{name.replace("_", "-"): value for name, value in more.items()}}


def message(body: bytes = b"{}") -> aio_pika.Message:
    return aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


async def _deliveries(connection: AbstractConnection, how: str, limit: int) -> int | str:
    """How often one message comes when each delivery is given back; ``gone`` when it vanishes at once."""
    channel = await connection.channel()
    name = f"t.{uuid4()}"
    queue = await channel.declare_queue(name, durable=True, arguments=quorum(x_delivery_limit=limit))
    await channel.default_exchange.publish(message(), name)
    came = 0
    while came < 12:
        try:
            taken = await queue.get(timeout=2, fail=False)
        except TimeoutError:
            break
        if taken is None:
            await asyncio.sleep(0.2)  # a requeue takes a moment
            taken = await queue.get(timeout=2, fail=False)
            if taken is None:
                break
        came += 1
        if how == "reject":
            await taken.reject(requeue=True)
        elif how == "nack":
            await taken.nack(requeue=True)
        else:
            await channel.close()
            channel = await connection.channel()
            queue = await channel.get_queue(name, ensure=False)
    await queue.delete(if_unused=False, if_empty=False)
    return "gone" if came == 1 and limit < 0 else came


async def _redeclared(connection: AbstractConnection, **other: Any) -> str:
    channel = await connection.channel()
    name = f"t.{uuid4()}"
    await channel.declare_queue(name, durable=True, arguments=quorum(x_delivery_limit=3))
    try:
        await channel.declare_queue(name, durable=True, arguments=quorum(x_delivery_limit=3) | other)
    except ChannelPreconditionFailed:
        return "precondition failed"
    return "ok"


async def _declared(connection: AbstractConnection, arguments: dict[str, Any]) -> str:
    channel = await connection.channel()
    try:
        await channel.declare_queue(f"t.{uuid4()}", durable=True, arguments=arguments)
    except ChannelPreconditionFailed:
        return "precondition failed"
    return "ok"


async def _unroutable(connection: AbstractConnection) -> str:
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    try:
        await channel.default_exchange.publish(message(), f"nobody.{uuid4()}", mandatory=True)
    except PublishError:
        return "returned"
    return "confirmed"


async def _over_its_length(connection: AbstractConnection) -> str:
    channel = await connection.channel(publisher_confirms=True)
    name = f"t.{uuid4()}"
    arguments = quorum(x_max_length=1, x_overflow="reject-publish")
    await channel.declare_queue(name, durable=True, arguments=arguments)
    for _ in range(200):  # quorum queues let some through before they refuse
        try:
            await channel.default_exchange.publish(message(), name, timeout=5)
        except DeliveryError:
            return "refused"
    return "confirmed"


async def _passive_of_nothing(connection: AbstractConnection) -> str:
    channel: AbstractChannel = await connection.channel()
    try:
        await channel.declare_queue(f"t.{uuid4()}", passive=True)
    except aio_pika.exceptions.ChannelNotFoundEntity:
        return "not found"
    return "ok"


async def _round_trip(connection: AbstractConnection) -> str:
    channel = await connection.channel(publisher_confirms=True)
    name = f"t.{uuid4()}"
    queue = await channel.declare_queue(name, durable=True, arguments=quorum())
    await channel.default_exchange.publish(message(), name)
    taken = await queue.get(timeout=5)
    await taken.ack()
    return "once" if await queue.get(timeout=5, fail=False) is None else "more than once"


async def measured(connection: AbstractConnection) -> dict[str, object]:
    async with asyncio.timeout(3 * SECONDS):
        return {
            "declaring twice": await _redeclared(connection),
            "declaring with other arguments": await _redeclared(connection, **{"x-delivery-limit": 7}),
            "reject with requeue, limit 3": await _deliveries(connection, "reject", 3),
            "consumer gone, limit 3": await _deliveries(connection, "close", 3),
            "unroutable and mandatory": await _unroutable(connection),
            "over its length": await _over_its_length(connection),
            "passive declare of nothing": await _passive_of_nothing(connection),
            "persistent, confirmed, consumed": await _round_trip(connection),
        }


@pytest.mark.real
async def test_what_we_rely_on_is_as_it_was_recorded_on_rabbit(connection: AbstractConnection) -> None:
    found = await measured(connection)
    assert found == RELIED


@pytest.mark.real
async def test_what_differs_by_version_is_as_it_was_recorded_on_rabbit(
    connection: AbstractConnection, record_property: Callable[[str, object], None]
) -> None:
    underlay: Any = connection.transport.connection  # type: ignore[union-attr]  # aiormq's own connection
    properties = underlay.server_properties
    version = str(properties["version"])
    found = {
        "nack with requeue counts": await _deliveries(connection, "nack", 3) == 4,
        "limit -1, first requeue": await _deliveries(connection, "reject", -1),
        "unknown argument": await _declared(connection, quorum(x_bogus="1")),
    }
    recorded = TRAITS.get(".".join(version.split(".")[:2]))
    record_property(f"RabbitMQ {version}", str(found))
    if recorded is not None:
        assert found == recorded
