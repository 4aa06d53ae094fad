"""A ledger with every body of KZ-75 registered; most of them pull."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from common.bus.memory import MemoryBus
from common.keys import KeyRing
from common.outbox import OUTBOX
from common.parts import Parts
from common.telemetry import Telemetry
from common.testing import FrozenNow, parts_for_test
from common.timing import utc_now
from notifier.app import build
from notifier.settings import Settings
from tests.factories.notifier import QUICK, Ledger


@pytest.fixture
async def ledger(db_url: Any, keys: KeyRing, now: FrozenNow) -> AsyncIterator[Ledger]:
    """A clock that stands, and no worker: what is planned stays as it is."""
    ledger = Ledger.open(db_url("notifier"), keys, now)
    await ledger.register_all()
    yield ledger
    await ledger.db.close()


@pytest.fixture
async def live(db_url: Any, keys: KeyRing) -> AsyncIterator[Ledger]:
    """The real clock and a quick pace, for tests with a worker and real HTTP."""
    ledger = Ledger.open(db_url("notifier"), keys, utc_now, tiers=QUICK)
    await ledger.register_all()
    yield ledger
    await ledger.db.close()


@pytest.fixture
def telemetry() -> Telemetry:
    """Spans that go nowhere."""
    return Telemetry("notifier")


@dataclass
class House:
    """The whole service with its HTTP door, on the ledger's database; no worker runs."""

    client: httpx.AsyncClient
    ledger: Ledger
    parts: Parts
    headers: Callable[..., dict[str, str]]

    def as_agency(self, role: str, **more: Any) -> dict[str, str]:
        agency: UUID = self.ledger.agencies[role]
        return self.headers("notifier", agency=agency, bodies=more.pop("bodies", (role,)), **more)

    def as_role(self, role: str) -> dict[str, str]:
        return self.headers("notifier", role)

    async def get(self, path: str, headers: dict[str, str], **params: Any) -> httpx.Response:
        return await self.client.get(path, headers=headers, params=params)

    async def rows(self, table: Any, **where: Any) -> list[Any]:
        query = select(table)
        for name, value in where.items():
            query = query.where(table.c[name] == value)
        async with self.ledger.db.reading() as session:
            return list((await session.execute(query)).all())

    async def told(self, kind: str) -> list[str]:
        """Data of the events of this type in the outbox."""
        found = await self.rows(OUTBOX, type=f"kz.dabyl.{kind}.v1")
        return [row.data for row in found]


@pytest.fixture
async def house(
    ledger: Ledger, now: FrozenNow, keys: KeyRing, caller: Callable[..., dict[str, str]]
) -> AsyncIterator[House]:
    """The service behind its door; the clock stands."""
    url = ledger.db.engine.url.render_as_string(hide_password=False)
    parts = parts_for_test("notifier", url, keys, bus=MemoryBus(), now=now)
    service = build(Settings(allow_loopback=True, public_url="https://dabyl.example"), parts)
    # A failure must show as the 500 that a client would get, so that "never 5xx" means something.
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://notifier") as client:
        yield House(client, ledger, parts, caller)
    for close in service.close:
        await close()
    await parts.close()
