"""Raw limits of the machine in the same run."""

import asyncio
import time
from uuid import uuid4

import aio_pika
import asyncpg

from tests.parts import postgres


async def measure(postgres_url: str, rabbit_url: str) -> dict[str, float]:
    """Rows inserted a second, one a commit; messages confirmed a second, 200 outstanding."""
    url = postgres.create_database(postgres_url, "limits").replace("+asyncpg", "")
    pool = await asyncpg.create_pool(url, min_size=8, max_size=8)
    await pool.execute("CREATE TABLE one (id uuid PRIMARY KEY, body text)")

    async def some(count: int) -> None:
        async with pool.acquire() as connection:
            for _ in range(count):
                await connection.execute("INSERT INTO one VALUES ($1, $2)", uuid4(), "x" * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(some(500) for _ in range(8)))
    inserts = 4000 / (time.perf_counter() - began)
    await pool.close()
    connection = await aio_pika.connect(rabbit_url)
    channel = await connection.channel(publisher_confirms=True)
    queue = await channel.declare_queue("limit", durable=True, arguments={"x-queue-type": "quorum"})
    message = aio_pika.Message(b"x" * 200, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    began = time.perf_counter()
    for _ in range(10):
        await asyncio.gather(
            *(channel.default_exchange.publish(message, routing_key=queue.name) for _ in range(200))
        )
    confirmed = 2000 / (time.perf_counter() - began)
    await connection.close()
    return {"postgres_inserts": inserts, "rabbit_confirms": confirmed}
