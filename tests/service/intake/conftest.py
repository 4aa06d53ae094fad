"""Intake alone, with a real database; broker and notifier are away and nobody misses them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Table, select

from common.contracts import REGISTRY, Event
from common.keys import KeyRing
from common.outbox import OUTBOX
from common.parts import Parts
from common.testing import FrozenNow, parts_for_test
from intake.app import build
from intake.models import alerts
from intake.settings import Settings
from tests.factories.intake import a_grant, an_alert_body


class BrokenBus:
    """A broker that is away."""

    async def publish(self, *_args: Any, **_more: Any) -> list[bool]:
        raise ConnectionError

    async def close(self) -> None:
        return None


@dataclass
class Intake:
    """The service and its neighbours' eyes: what was answered, stored and told."""

    client: httpx.AsyncClient
    parts: Parts
    keys: KeyRing
    now: FrozenNow
    headers: Callable[..., dict[str, str]]
    school: UUID = field(default_factory=uuid4)
    police: UUID = field(default_factory=uuid4)

    async def report(
        self, body: dict[str, Any] | None = None, *, key: str | None = None, **caller: Any
    ) -> httpx.Response:
        caller = {"agency": self.school, "bodies": ("education_org",), **caller}
        headers = self.headers("intake", "agency", **caller)
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.client.post("/v1/alerts", json=body or an_alert_body(), headers=headers)

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        async with self.parts.db.reading() as session:
            return [dict(row) for row in (await session.execute(select(table))).mappings()]

    async def events(self) -> list[Event]:
        rows = sorted(await self.rows(OUTBOX), key=lambda row: row["created_at"])
        return [REGISTRY[row["type"]].model_validate_json(row["data"]) for row in rows]

    async def internal_id(self, answer: httpx.Response) -> UUID:
        handle = UUID(answer.json()["id"])
        found: UUID = next(row["id"] for row in await self.rows(alerts) if row["handle"] == handle)
        return found

    async def open_content(
        self,
        alert: UUID,
        bodies: tuple[str, ...] = ("internal_affairs",),
        *,
        agency: UUID | None = None,
        territory: str | None = "KZ-75",
        delivery: UUID | None = None,
        grant: str | None = None,
        holds: tuple[str, ...] | None = None,
    ) -> httpx.Response:
        agency, delivery = agency or self.police, delivery or uuid4()
        grant = grant or a_grant(
            self.keys, delivery=delivery, alert=alert, agency=agency, bodies=bodies, at=self.now()
        )
        headers = self.headers("intake", agency=agency, bodies=holds or bodies, territory=territory)
        return await self.client.get(
            f"/v1/deliveries/{delivery}/content", headers={**headers, "Dabyl-Grant": grant}
        )


@pytest.fixture
async def intake(
    db_url: Callable[[str], str], keys: KeyRing, now: FrozenNow, caller: Callable[..., dict[str, str]]
) -> AsyncIterator[Intake]:
    parts = parts_for_test("intake", db_url("intake"), keys, bus=BrokenBus(), now=now)  # type: ignore[arg-type]  # a broker that is away
    app = build(Settings(), parts).app
    # A failure must show as the 500 that a client would get, so that "never 5xx" means something.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
        yield Intake(client, parts, keys, now, caller)
    await parts.close()
