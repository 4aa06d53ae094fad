"""Celery on RabbitMQ, tuned: prefork 16, late acks, no results, a kept session and connection a process."""

from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import requests
from celery import Celery
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from benchmarks.peers import shape

queue = Celery("peer", broker=shape.AMQP_URL)
queue.conf.update(
    task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=8, broker_pool_limit=10,
    task_default_queue="peer.celery", worker_enable_remote_control=False, broker_transport_options={
        "confirm_publish": True},
)  # fmt: skip
_held: dict[str, Any] = {}


def _session() -> requests.Session:
    return _held.setdefault("http", requests.Session())


def _database() -> psycopg.Connection:
    if "database" not in _held:
        _held["database"] = psycopg.connect(shape.DATABASE_URL, autocommit=True)
    return _held["database"]


@queue.task(bind=True, max_retries=None)
def deliver(self: Any, delivery: str, alert: str, agency: int) -> None:
    body, headers = shape.notice(delivery, alert)
    try:
        status = _session().post(f"{shape.SINK}/{agency}", data=body, headers=headers, timeout=10).status_code
    except requests.RequestException:
        status = 0
    taken = 200 <= status < 300
    _database().execute(
        "INSERT INTO attempts (delivery_id, alert_id, status, taken) VALUES (%s, %s, %s, %s)",
        (delivery, alert, status, taken),
    )
    if not taken:
        raise self.retry(countdown=1)


def _enqueue(alert: str) -> None:
    with queue.producer_pool.acquire(block=True) as producer:
        for agency in range(shape.AGENCIES):
            deliver.apply_async((f"{alert}.{agency}", alert, agency), producer=producer)


@asynccontextmanager
async def _life(app: FastAPI) -> Any:
    async with asyncpg.create_pool(shape.DATABASE_URL, max_size=10) as app.state.pool:
        yield


app = FastAPI(lifespan=_life)


@app.post("/v1/alerts", status_code=201)
async def receive(alert: shape.Alert) -> dict[str, str]:
    alert_id = str(uuid4())
    await app.state.pool.execute(shape.ADD_ALERT, alert_id, alert.model_dump_json())
    await run_in_threadpool(_enqueue, alert_id)
    return {"id": alert_id}
