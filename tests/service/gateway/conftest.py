"""The gateway as it runs, before four stand-ins that write down what reached them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from common.identity import Principal, ServiceTokens
from common.keys import KeyRing
from common.parts import Parts, Service
from common.testing import FrozenNow, parts_for_test
from gateway.app import build
from gateway.domain.identity import Bearer, Role
from gateway.router.parts import Desk
from gateway.settings import Settings

POLICE = UUID("11111111-1111-4111-8111-111111111111")
BASE = "http://gateway.test"


@dataclass
class Heard:
    """A request that reached a service."""

    service: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    principal: Principal


@dataclass
class Upstreams:
    """Four services in one: each path answers what the test put there."""

    keys: KeyRing
    now: FrozenNow
    heard: list[Heard] = field(default_factory=list)
    answers: dict[tuple[str, str, str], Callable[[web.Request], Any]] = field(default_factory=dict)
    servers: dict[str, TestServer] = field(default_factory=dict)

    def put(self, service: str, method: str, path: str, body: Any, status: int = 200, **headers: str) -> None:
        """From now on this is the answer."""
        self.answers[service, method, path] = lambda _request: web.json_response(
            body, status=status, headers=headers
        )

    async def start(self) -> None:
        for service in ("intake", "notifier", "casework", "registry"):
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self._answerer(service))
            self.servers[service] = TestServer(app)
            await self.servers[service].start_server()

    async def stop(self) -> None:
        for server in self.servers.values():
            await server.close()

    def urls(self) -> dict[str, str]:
        return {f"{name}_url": str(server.make_url("")).rstrip("/") for name, server in self.servers.items()}

    def _answerer(self, service: str) -> Callable[[web.Request], Any]:
        tokens = ServiceTokens(self.keys, service, self.now)

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.path == "/readyz":
                return web.json_response({"status": "ok"})
            token = request.headers["Authorization"].removeprefix("Bearer ")
            self.heard.append(
                Heard(
                    service,
                    request.method,
                    request.raw_path,
                    {name.lower(): value for name, value in request.headers.items()},
                    await request.read(),
                    tokens.verify(token),
                )
            )
            found = self.answers.get((service, request.method, request.path))
            if found is None:
                return web.json_response(
                    {"type": "https://dabyl.kz/problems/unknown", "title": "Nothing", "status": 404},
                    status=404,
                    content_type="application/problem+json",
                )
            answered: web.StreamResponse = found(request)
            return answered

        return answer


@dataclass
class House:
    """The gateway, its outside and its inside."""

    service: Service
    parts: Parts
    settings: Settings
    upstreams: Upstreams
    http: httpx2.AsyncClient
    now: FrozenNow

    @property
    def desk(self) -> Desk:
        desk: Desk = self.service.app.state.desk
        return desk

    def token(self, role: str = "agency", *, agency: UUID = POLICE, minutes: int = 10, subject: str = "c-1") -> str:
        """A valid token of the embedded issuer."""
        bearer = (
            Bearer(subject, Role.AGENCY, agency, ("internal_affairs",), "KZ-75")
            if role == "agency"
            else Bearer(subject, Role(role))
        )
        return self.desk.issuer().issue(bearer, client=subject, lifetime=timedelta(minutes=minutes)).token

    def headers(self, role: str = "agency", **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(role, **more)}"}


AGENCY = {
    "id": str(POLICE),
    "code": "internal-affairs-kz-75",
    "name": {"kk": "Алматы қ. Полиция департаменті", "ru": "Департамент полиции г. Алматы", "en": "Almaty police"},
    "mandates": [{"role": "internal_affairs", "territory": "KZ-75"}],
}


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
async def house(
    db_url: Callable[[str], str], keys: KeyRing, now: FrozenNow, upstreams: Upstreams, tmp_path: Path
) -> AsyncIterator[House]:
    parts = parts_for_test("gateway", db_url("gateway"), keys, now=now)
    settings = Settings(
        public_url=BASE, bootstrap_file=tmp_path / "bootstrap.json", keys_dir=keys.folder, **upstreams.urls()
    )
    service = build(settings, parts)  # ``prepare`` costs an argon2 hash: tests that need it call it
    transport = httpx2.ASGITransport(service.app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
        yield House(service, parts, settings, upstreams, http, now)
    for close in service.close:
        await close()
    await parts.close()
