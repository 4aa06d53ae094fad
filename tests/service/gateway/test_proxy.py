import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from gateway.domain.ports import Call
from gateway.domain.routes import Bucket
from gateway.errors import ServiceUnreachable
from gateway.service.allowance import Allowances
from tests.factories.gateway import POLICE, House, a_stand_in

ALERT = uuid4()


async def test_a_call_goes_inside_with_our_token_in_place_of_the_callers(house: House) -> None:
    house.upstreams.put("notifier", "GET", "/v1/inbox", {"items": [], "next": None})
    sent = house.headers()
    answer = await house.http.get("/v1/inbox?wait=0&after=a%2Fb", headers=sent)
    assert answer.status_code == 200
    heard = house.upstreams.heard[0]
    assert heard.target == "/v1/inbox?wait=0&after=a%2Fb"
    assert heard.headers["authorization"] != sent["Authorization"]
    assert (heard.principal.role, heard.principal.agency) == ("agency", POLICE)
    assert heard.principal.bodies == ("internal_affairs",)


async def test_nothing_about_the_callers_machine_goes_inside(house: House) -> None:
    house.upstreams.put("notifier", "GET", "/v1/inbox", {"items": []})
    noise = {
        "X-Forwarded-For": "203.0.113.77",
        "Forwarded": "for=203.0.113.77",
        "Cookie": "a=b",
        "User-Agent": "Somebody/1",
        "X-Real-IP": "203.0.113.77",
        "tracestate": "x=y",
        "baggage": "child=name",
        "Connection": "keep-alive, X-Secret",
    }
    await house.http.get("/v1/inbox", headers=house.headers() | noise)
    allowed = {"host", "accept", "authorization", "traceparent"}
    assert set(house.upstreams.heard[0].headers) <= allowed


async def test_the_grant_and_the_idempotency_key_reach_intake(house: House) -> None:
    delivery = uuid4()
    house.upstreams.put("intake", "GET", f"/v1/deliveries/{delivery}/content", {"ok": True})
    await house.http.get(
        f"/v1/deliveries/{delivery}/content", headers=house.headers() | {"Dabyl-Grant": "ey.grant"}
    )
    assert house.upstreams.heard[0].service == "intake"
    assert house.upstreams.heard[0].headers["dabyl-grant"] == "ey.grant"
    house.upstreams.put(
        "intake", "POST", "/v1/alerts", {"id": str(ALERT)}, status=201, Location="/v1/alerts/x"
    )
    answer = await house.http.post(
        "/v1/alerts", json={}, headers=house.headers() | {"Idempotency-Key": '"k"'}
    )
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/alerts/x"
    assert house.upstreams.heard[1].headers["idempotency-key"] == '"k"'


async def test_a_trace_of_the_client_goes_on_inside_and_never_comes_back(house: House) -> None:
    house.upstreams.put(
        "notifier", "GET", "/v1/inbox", {}, traceparent="00-" + "c" * 32 + "-" + "d" * 16 + "-01"
    )
    trace = "a" * 32
    answer = await house.http.get(
        "/v1/inbox", headers=house.headers() | {"traceparent": f"00-{trace}-{'b' * 16}-01"}
    )
    assert house.upstreams.heard[0].headers["traceparent"].split("-")[1] == trace
    assert not {"traceparent", "tracestate", "server", "x-powered-by"} & set(answer.headers)


async def test_an_alert_that_notifier_has_not_planned_yet_is_asked_of_intake(house: House) -> None:
    house.upstreams.put("intake", "GET", f"/v1/alerts/{ALERT}", {"from": "intake"})
    answer = await house.http.get(f"/v1/alerts/{ALERT}", headers=house.headers())
    assert answer.json() == {"from": "intake"}
    house.upstreams.put("notifier", "GET", f"/v1/alerts/{ALERT}", {"from": "notifier"})
    answer = await house.http.get(f"/v1/alerts/{ALERT}", headers=house.headers())
    assert answer.json() == {"from": "notifier"}


@pytest.mark.parametrize(
    "path",
    [
        "/internal/events",
        "/v1/../internal/events",
        "/v1/%2e%2e/internal/events",
        "/v1/alerts/%2e%2e/%2e%2e/internal/snapshot",
        "/v1/alerts/a%2fb",
        "/v1//alerts",
        "/v1/alerts/",
        "/v1/unknown",
        "/v1/internal/snapshot",
        "/v1/endpoints/x/revocation",
        "/internal/snapshot",
        "/metrics",
        "/docs",
    ],
)
async def test_nothing_that_is_not_named_can_be_reached(house: House, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await _raw(house, method, path)
        assert answer == 404
    assert not house.upstreams.heard


async def _raw(house: House, method: str, path: str) -> int:
    """A request as a hostile client writes it: no library tidies the path up."""
    status: list[int] = []
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.replace("%2e", ".").replace("%2f", "/"),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in house.headers().items()],
        "client": ("127.0.0.1", 1),
        "server": ("gateway.test", 80),
        "root_path": "",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await house.service.app(scope, receive, send)
    return status[0]


async def test_another_method_is_told_what_is_allowed(house: House) -> None:
    for path, allowed in (("/v1/alerts", "GET, POST"), ("/v1/clients", "POST"), ("/v1/inbox", "GET")):
        answer = await house.http.put(path, headers=house.headers(), json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_service_that_is_away_is_a_503_that_says_when_to_come_back(house: House) -> None:
    await house.upstreams.servers["notifier"].close()
    answer = await house.http.get("/v1/inbox", headers=house.headers())
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0


async def test_ready_means_that_alerts_are_taken(house: House) -> None:
    ready = await house.http.get("/readyz")
    assert ready.status_code == 200
    assert set(ready.json()["parts"]) == {"database", "keys", "intake", "notifier", "casework", "registry"}
    for service in ("notifier", "casework", "registry"):
        await house.upstreams.servers[service].close()
    ready = await house.http.get("/readyz")
    assert ready.status_code == 200
    assert [name for name, state in ready.json()["parts"].items() if state == "away"] == [
        "notifier",
        "casework",
        "registry",
    ]
    await house.upstreams.servers["intake"].close()
    ready = await house.http.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]["intake"]) == (503, "away")
    assert (await house.http.get("/livez")).status_code == 200


async def test_a_service_that_hangs_does_not_make_the_gateway_look_dead(house: House) -> None:
    asked = asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        return web.Response()

    async with a_stand_in(house, "casework", "/readyz", never):
        async with asyncio.timeout(2):  # so long the container's health check waits
            ready = await house.http.get("/readyz")
    assert asked.is_set()
    assert (ready.status_code, ready.json()["parts"]["casework"]) == (200, "away")


async def test_a_service_that_does_not_answer_in_time_is_a_503(house: House) -> None:
    async def never(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with a_stand_in(house, "casework", "/slow", never):
        with pytest.raises(ServiceUnreachable):
            await house.desk.services.forward("casework", Call("GET", "/slow", timeout=0.1), None)


async def test_a_long_answer_is_streamed_whole(house: House) -> None:
    whole = "x" * 700_000
    house.upstreams.put("notifier", "GET", "/v1/deliveries", {"big": whole})
    answer = await house.http.get("/v1/deliveries", headers=house.headers("operator"))
    assert answer.json()["big"] == whole


async def test_refusals_of_a_service_come_out_as_they_are(house: House) -> None:
    house.upstreams.put("intake", "POST", "/v1/alerts", {"type": "x", "status": 409}, status=409)
    answer = await house.http.post("/v1/alerts", json={"a": 1}, headers=house.headers())
    assert (answer.status_code, answer.json()["type"]) == (409, "x")
    assert house.upstreams.heard[0].body == b'{"a":1}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a":1,"a":2}', 400),
        (b'{"a":NaN}', 400),
        (b'"\\ud800"', 400),
        (b'"\\u0000"', 400),
        (b"x" * 1_100_000, 413),
    ],
)
async def test_what_is_not_strict_json_stays_outside(house: House, body: bytes, status: int) -> None:
    kind = {"content-type": "application/json"}
    answer = await house.http.post("/v1/alerts", content=body, headers=house.headers() | kind)
    assert answer.status_code == status
    assert not house.upstreams.heard


async def test_every_answer_says_what_is_left(house: House) -> None:
    house.upstreams.put("notifier", "GET", "/v1/inbox", {})
    answer = await house.http.get("/v1/inbox", headers=house.headers())
    assert answer.headers["ratelimit-policy"] == '"deliveries";q=30000;w=60'
    assert answer.headers["ratelimit"].startswith('"deliveries";r=29999;t=')


async def test_a_direct_threat_is_never_held_back_by_other_traffic(house: House) -> None:
    few = Allowances(dict.fromkeys(Bucket, 2))
    object.__setattr__(house.desk, "allowances", few)
    house.upstreams.put("intake", "POST", "/v1/alerts", {}, status=201)
    house.upstreams.put("notifier", "GET", "/v1/cases", {})
    headers = house.headers()

    async def post(**facts: bool) -> int:
        return (
            await house.http.post("/v1/alerts", content=json.dumps(facts), headers=headers | JSON)
        ).status_code

    assert [await post() for _ in range(3)] == [201, 201, 429]
    assert [await post(direct_threat=True) for _ in range(4)] == [201] * 4
    refused = await house.http.post("/v1/alerts", json={}, headers=headers)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["ratelimit"].startswith('"alerts";r=0;')
    assert refused.json()["type"] == "https://dabyl.kz/problems/rate-exceeded"
    other = await house.http.post("/v1/alerts", json={}, headers=house.headers(subject="c-2"))
    assert other.status_code == 201


JSON = {"content-type": "application/json"}


async def test_the_document_describes_the_public_surface_of_all_services(house: House) -> None:
    described = {
        "openapi": "3.1.0",
        "paths": {
            "/v1/inbox": {"get": {"operationId": "read_inbox", "responses": {"200": _ref("Item")}}},
            "/internal/events": {"post": {"operationId": "hidden", "responses": {}}},
            "/livez": {"get": {"operationId": "livez", "responses": {}}},
        },
        "components": {"schemas": {"Item": {"type": "object"}}},
    }
    house.upstreams.put("notifier", "GET", "/openapi.json", described)
    for service in ("intake", "casework", "registry"):
        house.upstreams.put(service, "GET", "/openapi.json", {"paths": {}})
    document = (await house.http.get("/openapi.json")).json()
    assert document["paths"]["/v1/inbox"]["get"]["operationId"] == "notifier_read_inbox"
    assert document["paths"]["/v1/inbox"]["get"]["security"] == [{"accessToken": []}]
    assert "/internal/events" not in document["paths"]
    assert "/oauth/token" in document["paths"]
    assert document["components"]["schemas"]["notifier_Item"] == {"type": "object"}
    assert "#/components/schemas/notifier_Item" in json.dumps(document)


def _ref(name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": "ok", "content": {"application/json": {"schema": schema}}}


async def test_whoever_finds_a_hole_finds_whom_to_tell(house: House) -> None:
    text = (await house.http.get("/.well-known/security.txt")).text
    assert "Contact: mailto:" in text
    assert "Expires: 20" in text
