"""The gateway as it runs, before four stand-ins that write down what reached them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
from aiohttp import web
from argon2 import PasswordHasher

from common.keys import KeyRing
from common.testing import FrozenNow, parts_for_test
from gateway.app import build
from gateway.settings import Settings
from tests.factories.gateway import AGENCY, BASE, POLICE, House, Upstreams


@pytest.fixture
async def upstreams(keys: KeyRing, now: FrozenNow) -> AsyncIterator[Upstreams]:
    services = Upstreams(keys, now)
    await services.start()
    services.put("registry", "GET", f"/v1/agencies/{POLICE}", AGENCY)
    services.answers["registry", "GET", "/v1/agencies"] = lambda request: web.json_response(
        {"items": [AGENCY] if request.query.get("code") == AGENCY["code"] else [], "next": None}
    )
    yield services
    await services.stop()


@pytest.fixture
def cheap_secrets(house: House) -> None:
    """Argon2 all the same, but hundreds of secrets must not take a minute."""
    house.desk.secrets._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
async def house(
    db_url: Callable[[str], str], keys: KeyRing, now: FrozenNow, upstreams: Upstreams, tmp_path: Path
) -> AsyncIterator[House]:
    parts = parts_for_test("gateway", db_url("gateway"), keys, now=now)
    settings = Settings(
        public_url=BASE,
        bootstrap_file=tmp_path / "bootstrap.json",
        keys_dir=keys.folder,
        trusted_proxies=("10.0.0.0/8",),
        **upstreams.urls(),
    )
    service = build(settings, parts)  # ``prepare`` costs an argon2 hash: tests that need it call it
    transport = httpx2.ASGITransport(service.app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
        yield House(service, parts, settings, upstreams, http, now)
    for close in service.close:
        await close()
    await parts.close()
