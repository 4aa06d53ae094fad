"""Tokens of an outside OIDC issuer, and traces of an outside store: both adapters against real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from common.keys import KeyRing
from common.testing import FrozenNow, parts_for_test
from gateway.adapters.jwks import FRESH, KEEP, PAUSE, RemoteKeys
from gateway.adapters.traces import KEEP as TRACE_KEPT
from gateway.adapters.traces import JaegerTraces, LocalTraces, RecentTraces
from gateway.app import build
from gateway.errors import ServiceUnreachable
from gateway.settings import Settings
from tests.factories.gateway import BASE, POLICE, Upstreams

ISSUER = "https://sso.example.kz/realms/state"


class Issuer:
    """Somebody else's issuer: publishes keys, counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_up = True
        self.keys: list[Any] = []
        self.key = self.rotate()

    def rotate(self) -> ECKey:
        self.key = ECKey.generate_key("P-256")
        public = dict(self.key.as_dict(private=False))
        self.keys = [public | {"kid": f"k{id(self.key)}", "use": "sig"}]
        return self.key

    def token(self, now: FrozenNow, **claims: Any) -> str:
        at = int(now().timestamp())
        said = {
            "iss": ISSUER,
            "aud": ["other", "dabyl"],
            "sub": "person-7",
            "client_id": "their-portal",
            "jti": "j-1",
            "iat": at,
            "exp": at + 300,
            "role": "agency",
            "agency": str(POLICE),
            "bodies": ["internal_affairs"],
            "territory": "KZ-75",
            **claims,
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.keys[0]["kid"]}
        return jwt.encode(header, said, self.key, ["ES256"])

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"keys": self.keys}) if self.is_up else web.Response(status=500)


@asynccontextmanager
async def serving(path: str, answer: Any) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get(path, answer)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


async def test_tokens_of_the_named_issuer_count_and_its_rotation_is_followed(
    db_url: Callable[[str], str], keys: KeyRing, now: FrozenNow, upstreams: Upstreams
) -> None:
    upstreams.put("notifier", "GET", "/v1/inbox", {})
    theirs = Issuer()
    async with serving("/jwks", theirs.answer) as url:
        parts = parts_for_test("gateway", db_url("gateway"), keys, now=now)
        settings = Settings(
            public_url=BASE,
            keys_dir=keys.folder,
            external_issuer=ISSUER,
            external_jwks_url=f"{url}/jwks",
            **upstreams.urls(),
        )
        service = build(settings, parts)
        transport = httpx2.ASGITransport(service.app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:

            async def status(token: str) -> int:
                return (await http.get("/v1/inbox", headers={"Authorization": f"Bearer {token}"})).status_code

            assert await status(theirs.token(now)) == 200
            assert upstreams.heard[0].principal.subject == "person-7"
            assert upstreams.heard[0].principal.person is None
            assert await status(theirs.token(now, person="p7", jti="j-2")) == 200
            assert upstreams.heard[1].principal.person == f"{POLICE}:p7"
            for unfit in ("", 7, None, ["p7"], "a b", "900101300123", "x" * 65, f"{POLICE}:p7"):
                assert await status(theirs.token(now, person=unfit)) == 401
            assert await status(theirs.token(now, aud="other")) == 401
            assert await status(theirs.token(now, role="service")) == 401
            assert await status(theirs.token(now, iss=BASE)) == 401
            old = theirs.token(now, jti="old")
            theirs.rotate()
            now.move(PAUSE)
            assert await status(theirs.token(now, jti="new")) == 200
            assert await status(old) == 401
        for close in service.close:
            await close()
        await parts.close()


async def test_strangers_cannot_make_us_ask_the_issuer_over_and_over(now: FrozenNow) -> None:
    theirs = Issuer()
    async with serving("/jwks", theirs.answer) as url:
        source = RemoteKeys(f"{url}/jwks", now=now)
        await asyncio.gather(*(source.find_jwk(f"made-up-{n}") for n in range(50)))
        assert theirs.asked == 1
        now.move(PAUSE)
        assert await source.find_jwk("made-up") is None
        assert theirs.asked == 2


async def test_known_keys_outlive_a_short_absence_of_the_issuer_and_not_a_long_one(now: FrozenNow) -> None:
    theirs = Issuer()
    async with serving("/jwks", theirs.answer) as url:
        source = RemoteKeys(f"{url}/jwks", now=now)
        kid = theirs.keys[0]["kid"]
        assert await source.find_jwk(kid)
        theirs.is_up = False
        now.move(FRESH + timedelta(seconds=1))
        assert await source.find_jwk(kid)
        now.move(KEEP)
        with pytest.raises(ServiceUnreachable):
            await source.find_jwk(kid)


async def test_a_shared_key_in_a_public_set_proves_nothing(now: FrozenNow) -> None:
    theirs = Issuer()
    theirs.keys = [dict(OctKey.generate_key(256).as_dict(private=True)) | {"kid": "k"}]
    async with serving("/jwks", theirs.answer) as url:
        assert await RemoteKeys(f"{url}/jwks", now=now).find_jwk("k") is None


async def test_the_local_store_and_jaeger_show_the_same_trace() -> None:
    async def local(_request: web.Request) -> web.Response:
        span = {
            "trace_id": "t",
            "span_id": "b",
            "parent_id": "a",
            "name": "POST /v1/alerts",
            "service": "intake",
            "start_ns": 1_000_000_000,
            "end_ns": 1_500_000_000,
            "status": "error",
            "attributes": {"dabyl.role": "internal_affairs"},
        }
        return web.json_response({"spans": [span]})

    async def jaeger(_request: web.Request) -> web.Response:
        span = {
            "traceID": "t",
            "spanID": "b",
            "operationName": "POST /v1/alerts",
            "references": [{"refType": "CHILD_OF", "traceID": "t", "spanID": "a"}],
            "startTime": 1_000_000,
            "duration": 500_000,
            "processID": "p1",
            "tags": [
                {"key": "otel.status_code", "value": "ERROR"},
                {"key": "dabyl.role", "value": "internal_affairs"},
            ],
        }
        return web.json_response(
            {"data": [{"spans": [span], "processes": {"p1": {"serviceName": "intake"}}}]}
        )

    async with serving("/traces/{id}", local) as url:
        ours = await LocalTraces(url).list_spans("t")
    async with serving("/api/traces/{id}", jaeger) as url:
        theirs = await JaegerTraces(url).list_spans("t")
    for one, other in zip(ours, theirs, strict=True):
        assert (one.span_id, one.parent_id, one.name, one.service) == (
            other.span_id,
            other.parent_id,
            other.name,
            other.service,
        )
        assert (one.start_ns, one.end_ns, one.status) == (other.start_ns, other.end_ns, other.status)


async def test_a_store_that_is_away_or_talks_nonsense_is_no_trace() -> None:
    async def nonsense(_request: web.Request) -> web.Response:
        return web.json_response({"spans": [{"name": 1}], "data": [{"spans": [{}]}]})

    async with serving("/traces/{id}", nonsense) as url:
        assert list(await LocalTraces(url).list_spans("t")) == []
    async with serving("/api/traces/{id}", nonsense) as url:
        assert list(await JaegerTraces(url).list_spans("t")) == []
    assert list(await LocalTraces("http://127.0.0.1:9").list_spans("t")) == []


async def test_a_page_that_looks_every_second_does_not_ask_the_store_every_second(now: FrozenNow) -> None:
    asked: list[str] = []

    class Store:
        async def list_spans(self, trace_id: str) -> list[Any]:
            asked.append(trace_id)
            return []

    traces = RecentTraces(Store(), now=now)
    await traces.list_spans("t")
    await traces.list_spans("t")
    assert asked == ["t"]
    now.move(TRACE_KEPT)
    await traces.list_spans("t")
    assert asked == ["t", "t"]
