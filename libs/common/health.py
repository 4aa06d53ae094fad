"""Liveness and readiness in the Kubernetes style: no secrets, no names of hosts."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import text

from common.db import Database
from common.keys import KeyRing

Check = Callable[[], Awaitable[bool]]
"""``True`` when this part is usable now."""

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
    """503 with the names of the parts that are away; the broker is not among them (latency, not loss)."""
    checks: Mapping[str, Check] = request.app.state.checks
    parts: dict[str, str] = {}
    for name, check in checks.items():
        try:
            parts[name] = "ok" if await check() else "away"
        except Exception:  # noqa: BLE001  # whatever fails, the part is away
            parts[name] = "away"
    ready = all(state == "ok" for state in parts.values())
    return JSONResponse({"status": "ok" if ready else "away", "parts": parts}, 200 if ready else 503)


@health_router.get("/metrics", summary="Metrics in Prometheus text form", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Internal only: the gateway never routes here."""
    return Response(request.app.state.parts.telemetry.exposition(), media_type="text/plain; version=0.0.4")
