"""Procrastinate, tuned: jobs deferred in one statement, aiohttp, two worker processes of 32 slots."""

import sys
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import procrastinate
from fastapi import FastAPI

from benchmarks.peers import shape

queue = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=shape.DATABASE_URL, min_size=4, max_size=20)
)
_held: dict[str, Any] = {}


@queue.task(name="deliver", retry=procrastinate.RetryStrategy(wait=1))
async def deliver(delivery: str, alert: str, agency: int) -> None:
    body, headers = shape.notice(delivery, alert)
    try:
        async with _held["http"].post(f"{shape.SINK}/{agency}", data=body, headers=headers) as answer:
            await answer.read()
            status = answer.status
    except (aiohttp.ClientError, TimeoutError):
        status = 0
    taken = 200 <= status < 300
    await _held["pool"].execute(shape.ADD_ATTEMPT, delivery, alert, status, taken)
    if not taken:
        raise ConnectionError


@asynccontextmanager
async def _life(app: FastAPI) -> Any:
    async with queue.open_async(), asyncpg.create_pool(shape.DATABASE_URL, max_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_life)


@app.post("/v1/alerts", status_code=201)
async def receive(alert: shape.Alert) -> dict[str, str]:
    alert_id = str(uuid4())
    await app.state.pool.execute(shape.ADD_ALERT, alert_id, alert.model_dump_json())
    await deliver.batch_defer_async(*(
        {"delivery": f"{alert_id}.{agency}", "alert": alert_id, "agency": agency}
        for agency in range(shape.AGENCIES)
    ))  # fmt: skip
    return {"id": alert_id}


async def _work() -> None:
    async with queue.open_async():
        _held["pool"] = await asyncpg.create_pool(shape.DATABASE_URL, max_size=16)
        _held["http"] = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        await queue.run_worker_async(
            concurrency=32,
            fetch_job_polling_interval=1.0,
            delete_jobs="successful",
            install_signal_handlers=True,
        )


async def _prepare() -> None:
    async with queue.open_async():
        await queue.schema_manager.apply_schema_async()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_prepare() if sys.argv[1:] == ["schema"] else _work())
