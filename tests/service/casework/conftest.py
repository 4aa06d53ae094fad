"""Casework as it runs, on each database; events come in through its inbox."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from casework.app import build
from casework.settings import Settings
from common.contracts import Event
from common.envelope import Envelope, encode
from common.inbox import Inbox
from common.keys import KeyRing
from common.outbox import OUTBOX
from common.parts import Parts
from common.testing import FrozenNow, parts_for_test
from tests.conftest import Callers, DatabaseUrls

REGIONAL_BODY = UUID("22222222-2222-4222-8222-222222222222")
POLICE = UUID("11111111-1111-4111-8111-111111111111")
SCHOOL = UUID("33333333-3333-4333-8333-333333333333")


@pytest.fixture
async def parts(db_url: DatabaseUrls, keys: KeyRing, now: FrozenNow) -> AsyncIterator[Parts]:
    parts = parts_for_test("casework", db_url("casework"), keys, now=now)
    yield parts
    await parts.close()


@pytest.fixture
def app(parts: Parts) -> FastAPI:
    return build(Settings(), parts).app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://casework.test") as client:
        yield client


class Bring(Protocol):
    def __call__(self, *events: Event, event_id: UUID | None = None) -> Awaitable[list[bool]]: ...


@pytest.fixture
def bring(app: FastAPI, now: FrozenNow) -> Bring:
    """``await bring(event, …)``: one after the other; says which took effect."""
    inbox: Inbox = app.state.inbox

    async def take(*events: Event, event_id: UUID | None = None) -> list[bool]:
        taken = []
        for event in events:
            about: UUID = getattr(event, "alert_id", None) or event.pair[0]  # type: ignore[attr-defined]  # every event read here has one of both
            taken.append(await inbox.take(encode(Envelope(event_id or uuid4(), event, now(), about, None))))
        return taken

    return take


@pytest.fixture
def regional_body(caller: Callers) -> dict[str, str]:
    return caller(
        "casework", "agency", agency=REGIONAL_BODY, bodies=("regional_child_rights_body",), subject="rab-1"
    )


@pytest.fixture
def police(caller: Callers) -> dict[str, str]:
    return caller("casework", "agency", agency=POLICE, bodies=("internal_affairs",))


@pytest.fixture
def told(parts: Parts) -> Callable[[], Awaitable[list[tuple[str, Any]]]]:
    """``await told()``: what the outbox holds, as (type, data)."""

    async def events() -> list[tuple[str, Any]]:
        async with parts.db.reading() as session:
            found = await session.execute(select(OUTBOX.c.type, OUTBOX.c.data))
            return [(kind.removeprefix("kz.dabyl."), json.loads(data)) for kind, data in found.all()]

    return events
