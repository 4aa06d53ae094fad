"""FastStream on RabbitMQ, tuned: a quorum queue an agency, confirms side by side, aiohttp, two workers."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
from fastapi import FastAPI
from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitMessage, RabbitQueue

from benchmarks.peers import shape

broker = RabbitBroker(shape.AMQP_URL, default_channel=Channel(prefetch_count=64))
QUEUES = [
    RabbitQueue(f"peer.faststream.{agency}", durable=True, queue_type=QueueType.QUORUM)
    for agency in range(shape.AGENCIES)
]
_held: dict[str, Any] = {}


async def deliver(body: dict[str, Any], message: RabbitMessage) -> None:
    delivery, alert, agency = body["id"], body["alert"], body["agency"]
    data, headers = shape.notice(delivery, alert)
    try:
        async with _held["http"].post(f"{shape.SINK}/{agency}", data=data, headers=headers) as answer:
            await answer.read()
            status = answer.status
    except (aiohttp.ClientError, TimeoutError):
        status = 0
    taken = 200 <= status < 300
    await _held["pool"].execute(shape.ADD_ATTEMPT, delivery, alert, status, taken)
    if taken:
        await message.ack()
    else:
        await asyncio.sleep(1)
        await message.nack(requeue=True)


for _queue in QUEUES:
    broker.subscriber(_queue, ack_policy=AckPolicy.MANUAL)(deliver)

worker = FastStream(broker)


@worker.on_startup
async def _start() -> None:
    _held["pool"] = await asyncpg.create_pool(shape.DATABASE_URL, max_size=16)
    _held["http"] = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))


@asynccontextmanager
async def _life(app: FastAPI) -> Any:
    sender = RabbitBroker(shape.AMQP_URL)
    await sender.connect()
    async with asyncpg.create_pool(shape.DATABASE_URL, max_size=10) as pool:
        app.state.pool, app.state.sender = pool, sender
        for queue in QUEUES:
            await sender.declare_queue(queue)
        yield
    await sender.stop()


app = FastAPI(lifespan=_life)


@app.post("/v1/alerts", status_code=201)
async def receive(alert: shape.Alert) -> dict[str, str]:
    alert_id = str(uuid4())
    await app.state.pool.execute(shape.ADD_ALERT, alert_id, alert.model_dump_json())
    await asyncio.gather(*(
        app.state.sender.publish(
            json.dumps({"id": f"{alert_id}.{agency}", "alert": alert_id, "agency": agency}),
            queue=queue.name, persist=True, content_type="application/json",
        )
        for agency, queue in enumerate(QUEUES)
    ))  # fmt: skip
    return {"id": alert_id}


if __name__ == "__main__":
    import uvloop

    uvloop.run(worker.run())
