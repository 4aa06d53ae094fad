"""Liveness and readiness in the Kubernetes style: no secrets, no names of hosts."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import text

from common.db import Database
from common.keys import KeyRing

Check = Callable[[], Awaitable[bool]]
"""``True`` when this part is usable now."""

CHECK_SECONDS = 1.5
"""Less than whoever asks waits: a part that hangs must not make the whole look dead."""

health_router = APIRouter(tags=["health"])


async def database_answers(db: Database) -> bool:
    """Whether the database answers a trivial question."""
    async with db.reading() as session:
        await session.execute(text("SELECT 1"))
    return True


async def holds_keys(keys: KeyRing, service: str) -> bool:
    """Whether every key is here that the service holds; what was read once stays in memory."""
    return not keys.list_missing(service)


@health_router.get("/livez", summary="The process runs")
async def livez() -> dict[str, str]:
    """Nothing but the process is looked at: a lost database must not restart it."""
    return {"status": "ok"}


@health_router.get("/readyz", summary="The parts this service cannot do without are there")
async def readyz(request: Request) -> JSONResponse:
    """503 when a part is away without which nothing can be done; the broker is not asked (latency, not loss).

    Others are named beside them, and do not count.
    """
    checks: Mapping[str, Check] = request.app.state.checks
    named: Mapping[str, Check] = getattr(request.app.state, "named", {})
    asked = {**checks, **named}
    states = await asyncio.gather(*(_state(check) for check in asked.values()))
    parts = dict(zip(asked, states, strict=True))
    ready = all(parts[name] == "ok" for name in checks)
    return JSONResponse({"status": "ok" if ready else "away", "parts": parts}, 200 if ready else 503)


async def _state(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return "ok" if await check() else "away"
    except Exception:  # noqa: BLE001  # whatever fails, the part is away
        return "away"


@health_router.get("/metrics", summary="Metrics in Prometheus text form", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Internal only: the gateway never routes here."""
    return Response(request.app.state.parts.telemetry.exposition(), media_type="text/plain; version=0.0.4")
