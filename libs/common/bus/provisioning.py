"""The broker's topology is made by a command and only looked at by services: never by a request.

``apply`` makes what is missing, as often as one likes; ``check`` reads only and names each difference;
``keep`` does for the lanes of new endpoints, and for queues without a leader, what ``apply`` does once.
Nothing that is there is ever deleted or changed by the first two: a queue with other arguments is named, and
a person decides. We set no policies; one that shortens our queues is named too.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractQueue
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity, ChannelPreconditionFailed

from common.bus import Queue
from common.bus.canary import QueueWatch
from common.bus.management import Stock, Unseen, look
from common.bus.rabbit import RabbitBus, addresses
from common.bus.topology import EXCHANGE_KINDS, Exchange
from common.cancelling import is_asked
from common.telemetry import log

CONNECT_SECONDS = 5
STEP_SECONDS = 15
NEW_LANES_EVERY = timedelta(seconds=5)
WHOLE_EVERY = timedelta(minutes=1)
SHORTENING = frozenset({"expires", "message-ttl", "max-length", "max-length-bytes", "delivery-limit"})
"""Of a policy and an argument the smaller counts, so that a policy can take away what a queue holds."""

Queues = Callable[[], Awaitable[Sequence[Queue]]]


class BrokerAway(Exception):
    """No node of the broker could be connected to."""


@dataclass(frozen=True)
class Applied:
    """What ``apply`` did.

    Attributes:
        made: what was not there before.
        differences: what is there, is otherwise, and was left alone.
        unseen: why bindings that were made cannot be told from those that were there, or nothing.
    """

    made: list[str]
    differences: list[str]
    unseen: str | None


def _binding(queue: Queue, key: str) -> str:
    return f"binding {queue.exchange} -> {queue.name} [{key}]"


def _keys_of(queue: Queue) -> list[str]:
    return sorted({*queue.keys, queue.canary_key})


def differences(stock: Stock, queues: Sequence[Queue]) -> list[str]:
    """Whatever the broker holds otherwise than it should, a line each."""
    found: list[str] = []
    for exchange, kind in EXCHANGE_KINDS.items():
        there = stock.exchanges.get(exchange)
        if there is None:
            found.append(f"exchange {exchange}: missing")
        else:
            # An alternate exchange would turn "nobody takes it" into a confirm (measured).
            found += _unlike(f"exchange {exchange}", ("kind", kind, there[0]), ("durable", True, there[1]))
            found += [f"exchange {exchange}: argument {name} should not be set" for name in sorted(there[2])]
    for queue in queues:
        arguments = stock.queues.get(queue.name)
        if arguments is None:
            found.append(f"queue {queue.name}: missing")
        else:
            names = sorted({*arguments, *queue.arguments})
            wanted = [(name, queue.arguments.get(name), arguments.get(name)) for name in names]
            found += _unlike(f"queue {queue.name}", *wanted)
            shortened = sorted(SHORTENING & set(stock.limits.get(queue.name, {})))
            found += [f"queue {queue.name}: a policy sets {name}" for name in shortened]
        found += [
            f"{_binding(queue, key)}: missing"
            for key in _keys_of(queue)
            if (str(queue.exchange), queue.name, key) not in stock.bindings
        ]
    return found


def _unlike(what: str, *values: tuple[str, object, object]) -> list[str]:
    return [
        f"{what}: {name} is {'not set' if is_ is None else is_},"
        f" should {'not be set' if should is None else f'be {should}'}"
        for name, should, is_ in values
        if should != is_
    ]


async def check(url: str, queues: Sequence[Queue], *, api: str | None = None) -> list[str]:
    """Compare the broker with what it should hold; reads only. Returns the differences.

    Raises:
        Unseen: the management interface did not answer.
    """
    return differences(await look(addresses(url), api), queues)


async def check_passively(url: str, queues: Sequence[Queue]) -> list[str]:
    """What can be seen without the management interface: exchanges and queues that are missing.

    Raises:
        BrokerAway: no node could be connected to.
    """
    connection = await _connect(url)
    try:
        gone = [f"exchange {one}: missing" for one in EXCHANGE_KINDS if not await _has(connection, one)]
        return gone + [f"queue {one.name}: missing" for one in queues if not await _has(connection, one)]
    except (AMQPError, RuntimeError, OSError) as error:
        raise BrokerAway(str(type(error).__name__)) from error
    finally:
        await connection.close()


async def apply(url: str, queues: Sequence[Queue], *, api: str | None = None) -> Applied:
    """Make the exchanges, these queues, and their bindings where they are missing.

    Raises:
        BrokerAway: no node could be connected to, or it was lost on the way, or it refused the right; what
            was made stays, and the command can be repeated.
    """
    stock: Stock | None = None
    unseen: str | None = None
    try:
        stock = await look(addresses(url), api)
    except Unseen as why:
        unseen = str(why)
    connection = await _connect(url)
    made: list[str] = []
    left: list[str] = []
    try:
        for exchange in EXCHANGE_KINDS:
            async with asyncio.timeout(STEP_SECONDS):
                await _make_exchange(connection, exchange, stock, made, left)
        for queue in queues:
            async with asyncio.timeout(STEP_SECONDS):  # one without a leader takes no binding
                await _make_queue(connection, queue, stock, made, left)
    except (AMQPError, RuntimeError, OSError) as error:
        raise BrokerAway(f"{type(error).__name__} ({len(made)} made before)") from error
    finally:
        with contextlib.suppress(Exception):
            await connection.close()
    if stock is not None:
        left = [line for line in differences(stock, queues) if not line.endswith(": missing")]
    return Applied(made, left, unseen)


def apply_report(applied: Applied) -> tuple[list[str], int]:
    """What a person is told of it, and the exit code: 1 when something that is there differs."""
    lines = [f"made: {one}" for one in applied.made] or ["made nothing: all of it was there"]
    if applied.unseen:
        lines.append(f"all bindings stand; which are new was not to be seen ({applied.unseen})")
    lines += [f"differs, left as it is: {one}" for one in applied.differences]
    return lines, 1 if applied.differences else 0


def check_report(found: Sequence[str]) -> tuple[list[str], int]:
    """What a person is told of the differences, and the exit code: 1 when there is any."""
    if not found:
        return ["the broker holds what it should"], 0
    return [*found, f"{len(found)} differences; `dabyl topology apply` makes what is missing"], 1


async def keep(bus: RabbitBus, queues: Queues, stop: asyncio.Event) -> None:
    """Stay and make what becomes missing, until stopped.

    New endpoints get their lanes within seconds; once a minute everything is made again, and a queue that
    stays silent beside others that answer is deleted and made anew.

    Args:
        bus: started, as a user with the right to configure.
        queues: all that should be there now.
    """
    watch = QueueWatch(bus, queues)
    loop = asyncio.get_running_loop()
    whole_at = loop.time()
    while not stop.is_set():
        try:
            await bus.declare(await queues())
            if loop.time() >= whole_at:
                whole_at = loop.time() + WHOLE_EVERY.total_seconds()
                await bus.declare_again()
                await watch.pass_once()
        except (Exception, asyncio.CancelledError) as error:  # no database, no broker: the next pass does it
            if isinstance(error, asyncio.CancelledError) and is_asked():
                raise
            log.warning("topology_not_kept", error_type=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NEW_LANES_EVERY.total_seconds()):
                await stop.wait()


async def _connect(url: str) -> AbstractConnection:
    why = ""
    for address in addresses(url):
        try:
            return await aio_pika.connect(address, timeout=CONNECT_SECONDS)
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            why = type(error).__name__
    raise BrokerAway(why)


async def _has(connection: AbstractConnection, one: Queue | Exchange) -> bool:
    channel = await connection.channel(publisher_confirms=False)
    try:
        if isinstance(one, Queue):
            await channel.declare_queue(one.name, passive=True)
        else:
            await channel.declare_exchange(one, passive=True)
    except ChannelNotFoundEntity:
        return False
    else:
        return True
    finally:
        await channel.close()


async def _make_exchange(
    connection: AbstractConnection, exchange: Exchange, stock: Stock | None, made: list[str], left: list[str]
) -> None:
    was_there = exchange in stock.exchanges if stock else await _has(connection, exchange)
    channel = await connection.channel(publisher_confirms=False)
    try:
        await channel.declare_exchange(exchange, EXCHANGE_KINDS[exchange], durable=True)
    except ChannelPreconditionFailed:
        left.append(f"exchange {exchange}: other arguments")
    finally:
        await channel.close()
    if not was_there:
        made.append(f"exchange {exchange}")


async def _make_queue(
    connection: AbstractConnection, queue: Queue, stock: Stock | None, made: list[str], left: list[str]
) -> None:
    was_there = queue.name in stock.queues if stock else await _has(connection, queue)
    channel = await connection.channel(publisher_confirms=False)
    try:
        declared: AbstractQueue = await channel.declare_queue(
            queue.name, durable=True, arguments=queue.arguments
        )
    except ChannelPreconditionFailed:
        left.append(f"queue {queue.name}: other arguments")
        await channel.close()
        channel = await connection.channel(publisher_confirms=False)
        declared = await channel.get_queue(queue.name, ensure=False)
    if not was_there:
        made.append(f"queue {queue.name}")
    try:
        for key in _keys_of(queue):
            await declared.bind(str(queue.exchange), routing_key=key)
            if stock and (str(queue.exchange), queue.name, key) not in stock.bindings:
                made.append(_binding(queue, key))
    finally:
        await channel.close()
