"""The register as it runs, seeded, on each database; the service that sends is a stand-in."""

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import func, select

from common.identity import ServiceTokens
from common.keys import KeyRing
from common.outbox import OUTBOX
from common.parts import Parts
from common.testing import FrozenNow, parts_for_test
from registry.app import build
from registry.settings import Settings
from tests.conftest import Callers, DatabaseUrls
from tests.parts.postgres import outside_any_loop


@dataclass
class SenderStandIn:
    """Notifier's door for revocations: what it was told, and what it answers."""

    tokens: ServiceTokens
    told: list[UUID]
    status: int = 204
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        principal = self.tokens.verify(request.headers["Authorization"].removeprefix("Bearer "))
        assert (principal.role, principal.subject) == ("service", "registry")
        self.told.append(UUID(request.match_info["endpoint_id"]))
        return web.Response(status=self.status)


@pytest.fixture
async def sender(keys: KeyRing, now: FrozenNow) -> AsyncIterator[SenderStandIn]:
    stand_in = SenderStandIn(ServiceTokens(keys, "notifier", now), [])
    app = web.Application()
    app.router.add_post("/internal/endpoints/{endpoint_id}/revocation", stand_in.answer)
    server = TestServer(app)
    await server.start_server()
    stand_in.url = str(server.make_url("")).rstrip("/")
    yield stand_in
    await server.close()


SEEDED_AT = datetime(2026, 10, 1, tzinfo=UTC)


async def _seed(url: str, keys: KeyRing) -> None:
    parts = parts_for_test("registry", url, keys, now=FrozenNow(SEEDED_AT))
    try:
        for prepare in build(Settings(), parts).prepare:
            await prepare()
        if parts.db.is_sqlite:
            async with parts.db.engine.connect() as connection:
                await connection.exec_driver_sql("COMMIT")
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        await parts.close()


@pytest.fixture(scope="session")
def seeded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test on SQLite leaves a seeded file for the others to copy."""
    return tmp_path_factory.mktemp("registry") / "seeded.db"


@pytest.fixture
def seeded_url(db_url: DatabaseUrls, keys: KeyRing, seeded_file: Path) -> str:
    url = db_url("registry")
    file = Path(url.removeprefix("sqlite+aiosqlite:///"))
    if file.exists() and seeded_file.exists():
        shutil.copyfile(seeded_file, file)
    else:
        outside_any_loop(_seed(url, keys))
        if file.exists():
            shutil.copyfile(file, seeded_file)
    return url


@pytest.fixture
async def parts(seeded_url: str, keys: KeyRing, now: FrozenNow) -> AsyncIterator[Parts]:
    parts = parts_for_test("registry", seeded_url, keys, now=now)
    yield parts
    await parts.close()


@pytest.fixture
async def client(parts: Parts, sender: SenderStandIn) -> AsyncIterator[httpx2.AsyncClient]:
    service = build(Settings(notifier_url=sender.url, allow_loopback=False), parts)
    transport = httpx2.ASGITransport(app=service.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://registry.test") as client:
        yield client
    for close in service.close:
        await close()


@pytest.fixture
def registrar(caller: Callers) -> dict[str, str]:
    return caller("registry", "registrar", territory="KZ")


@pytest.fixture
def anybody(caller: Callers) -> dict[str, str]:
    return caller("registry", "operator", territory="KZ")


Told = Callable[[], Any]


@pytest.fixture
def told(parts: Parts) -> Told:
    """``await told()``: what the outbox holds beside the seed, as (type, data) in order."""

    async def events() -> list[tuple[str, str]]:
        async with parts.db.reading() as session:
            found = await session.execute(
                select(OUTBOX.c.type, OUTBOX.c.data)
                .where(OUTBOX.c.created_at == parts.now())
                .order_by(OUTBOX.c.created_at)
            )
            return [(kind.removeprefix("kz.dabyl."), data) for kind, data in found.all()]

    return events


@pytest.fixture
def count_events(parts: Parts) -> Callable[[], Any]:
    """``await count_events()``: rows in the outbox, the seed's included."""

    async def count() -> int:
        async with parts.db.reading() as session:
            return int(await session.scalar(select(func.count()).select_from(OUTBOX)) or 0)

    return count
