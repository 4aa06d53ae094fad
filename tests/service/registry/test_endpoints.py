"""Endpoints over HTTP: shown to few, changed by version, revoked at once or not at all."""

import asyncio
import base64
import json
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from common.keys import KeyRing
from notifier.service.addresses import open_address, stored_address
from tests.conftest import Callers
from tests.factories.registry import an_endpoint_body
from tests.service.registry.conftest import SenderStandIn, Told

Client = httpx2.AsyncClient
Headers = dict[str, str]
NOTHING = {"opens": "24:00", "closes": "24:00"}
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")


async def register(client: Client, headers: Headers, **values: Any) -> dict[str, Any]:
    answer = await client.post("/v1/endpoints", json=an_endpoint_body(**values), headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_an_endpoint_is_registered_and_told(client: Client, registrar: Headers, told: Told) -> None:
    body = await register(client, registrar, receipt_key=KEY)
    assert (body["version"], body["concurrency"], body["revoked_at"]) == (1, 8, None)
    [(kind, data)] = await told()
    assert kind == "endpoint.registered.v1"
    assert json.loads(data) == {
        "endpoint_id": body["id"],
        "agency_id": body["agency_id"],
        "version": 1,
        "kind": "webhook",
        "url": "https://police.example.kz/notices",
        "sealed_url": None,
        "concurrency": 8,
        "receipt_key": KEY,
        "rung": 0,
        "hours": None,
    }


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("smtp", "mailto:kezekshi@police.example.kz"),
        ("sms", "tel:+77011234567"),
        ("voice", "tel:+77172123456"),
        ("amqp", "amqps://dabyl:pass-word@mq.example.kz/alerts?queue=dabyl.in"),
        ("x-fax", "fax:+77172000000"),
    ],
)
async def test_a_mailbox_a_telephone_and_a_password_travel_sealed(
    client: Client, registrar: Headers, told: Told, keys: KeyRing, kind: str, url: str
) -> None:
    body = await register(client, registrar, kind=kind, url=url)
    assert (body["kind"], body["url"]) == (kind, url)
    [(_, data)] = await told()
    assert url not in data
    event = json.loads(data)
    assert (event["kind"], event["url"]) == (kind, None)
    opened = open_address(keys, UUID(body["id"]), stored_address(None, event["sealed_url"]))
    assert opened == url
    again = await client.post("/v1/endpoints", json=an_endpoint_body(kind=kind, url=url), headers=registrar)
    assert (again.status_code, again.json()) == (200, body)


async def test_a_folder_is_named_never_a_path(client: Client, registrar: Headers, told: Told) -> None:
    await register(client, registrar, kind="file", url="folder:police-kz-75")
    [(_, data)] = await told()
    assert json.loads(data)["url"] == "folder:police-kz-75"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("smtp", "https://police.example.kz/"),
        ("smtp", "mailto:a@b.kz,c@d.kz"),
        ("smtp", "mailto:a@b.kz?subject=x"),
        ("smtp", "mailto:a@-b.kz"),
        ("sms", "tel:87011234567"),
        ("sms", "tel:+7701"),
        ("voice", "tel:+7701123456789012"),
        ("amqp", "amqp://mq.example.kz/alerts?queue=q"),
        ("amqp", "amqps://mq.example.kz/alerts"),
        ("amqp", "amqps://mq.example.kz/alerts?queue=q&heartbeat=0"),
        ("amqp", "amqps://169.254.169.254/?queue=q"),
        ("amqps", "amqps://mq.example.kz/?queue=q"),
        ("file", "file:///etc/cron.d"),
        ("file", "folder:../etc"),
        ("file", "folder:"),
        ("webhook", "mailto:a@b.kz"),
        ("x-", "fax:1"),
        ("pigeon", "loft:1"),
    ],
)
async def test_an_address_has_the_form_of_its_kind(
    client: Client, registrar: Headers, kind: str, url: str
) -> None:
    answer = await client.post("/v1/endpoints", json=an_endpoint_body(kind=kind, url=url), headers=registrar)
    assert answer.status_code == 422
    assert url not in answer.text


async def test_a_duty_phone_has_its_step_and_its_hours(
    client: Client, registrar: Headers, told: Told
) -> None:
    hours = {
        "weekly": [{"day": 5, "opens": "09:00", "closes": "24:00"}],
        "exceptions": [{"on": "2026-12-16", "windows": []}],
    }
    first = await register(client, registrar, rung=2, hours=hours)
    assert (first["rung"], first["hours"]) == (2, hours)
    again = await client.post("/v1/endpoints", json=an_endpoint_body(rung=2, hours=hours), headers=registrar)
    assert (again.status_code, again.json()) == (200, first)
    always = await client.post(
        "/v1/endpoints", json=an_endpoint_body(rung=1, id=first["id"], replaces=1), headers=registrar
    )
    assert (always.json()["version"], always.json()["rung"], always.json()["hours"]) == (2, 1, None)
    said = sorted((json.loads(data) for _, data in await told()), key=lambda one: one["version"])
    assert [(one["rung"], one["hours"]) for one in said] == [(2, hours), (1, None)]


@pytest.mark.parametrize(
    ("values", "status", "pointer"),
    [
        ({"rung": 3}, 422, None),
        ({"rung": "1"}, 422, None),
        ({"rung": True}, 422, None),
        ({"hours": {"weekly": [{"day": 0, "opens": "09:00", "closes": "10:00"}]}}, 422, None),
        ({"hours": {"weekly": [{"day": 1, "opens": "9:00", "closes": "10:00"}]}}, 422, None),
        ({"hours": {"weekly": [{"day": 1, "opens": "25:00", "closes": "26:00"}]}}, 422, None),
        ({"hours": {"exceptions": [{"on": 1, "windows": []}]}}, 422, None),
        ({"hours": {"exceptions": [{"on": "2026-02-30", "windows": []}]}}, 422, None),
        (
            {"hours": {"weekly": [{"day": 1, "opens": "22:00", "closes": "06:00"}]}},
            422,
            "#/hours/weekly/0/closes",
        ),
        (
            {"hours": {"exceptions": [{"on": "2026-12-16"}, {"on": "2026-12-16"}]}},
            422,
            "#/hours/exceptions/1/on",
        ),
        (
            {"hours": {"exceptions": [{"on": "2026-12-16", "windows": [NOTHING]}]}},
            422,
            "#/hours/exceptions/0/windows",
        ),
    ],
)  # fmt: skip
async def test_hours_that_nobody_could_keep_are_refused(
    client: Client, registrar: Headers, told: Told, values: dict[str, Any], status: int, pointer: str | None
) -> None:
    answer = await client.post("/v1/endpoints", json=an_endpoint_body(**values), headers=registrar)
    assert answer.status_code == status, answer.text
    if pointer is not None:
        assert pointer in answer.text
    assert await told() == []


async def test_the_agency_may_be_named_by_id(client: Client, registrar: Headers) -> None:
    by_code = await register(client, registrar)
    by_id = await client.post("/v1/endpoints", json=an_endpoint_body(by_code["agency_id"]), headers=registrar)
    assert (by_id.status_code, by_id.json()) == (200, by_code)


async def test_a_change_is_a_new_version_that_names_the_old(
    client: Client, registrar: Headers, told: Told
) -> None:
    first = await register(client, registrar)
    rotated = an_endpoint_body(receipt_key=KEY)
    clash = await client.post("/v1/endpoints", json=rotated, headers=registrar)
    stale = await client.post(
        "/v1/endpoints", json=rotated | {"id": first["id"], "replaces": 2}, headers=registrar
    )
    moved = await client.post(
        "/v1/endpoints",
        json=rotated | {"id": first["id"], "replaces": 1, "url": "https://police.example.kz/v2"},
        headers=registrar,
    )
    repeat = await client.post(
        "/v1/endpoints",
        json=rotated | {"id": first["id"], "replaces": 1, "url": "https://police.example.kz/v2"},
        headers=registrar,
    )
    assert [a.status_code for a in (clash, stale, moved, repeat)] == [409, 409, 200, 200]
    assert (moved.json()["version"], moved.json()["receipt_key"]) == (2, KEY)
    assert repeat.json() == moved.json()
    assert sorted(json.loads(data)["version"] for _, data in await told()) == [1, 2]


async def test_two_endpoints_of_an_agency_cannot_share_an_address(client: Client, registrar: Headers) -> None:
    await register(client, registrar)
    second = await register(client, registrar, url="https://police.example.kz/second")
    answer = await client.post(
        "/v1/endpoints", json=an_endpoint_body(id=second["id"], replaces=1), headers=registrar
    )
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/endpoint-exists")


async def test_of_many_at_once_one_is_registered(client: Client, registrar: Headers, told: Told) -> None:
    answers = await asyncio.gather(
        *(client.post("/v1/endpoints", json=an_endpoint_body(), headers=registrar) for _ in range(6))
    )
    assert sorted(a.status_code for a in answers).count(201) == 1
    assert {a.status_code for a in answers} <= {200, 201, 409}
    assert len(await told()) == 1


async def test_addresses_are_shown_to_a_registrar_and_to_the_agency_only(
    client: Client, registrar: Headers, caller: Callers
) -> None:
    endpoint = await register(client, registrar)
    await register(client, registrar, agency="prosecutor-kz-75", url="https://prosecutor.example.kz/")
    police = UUID(endpoint["agency_id"])
    own = caller("registry", "agency", agency=police)
    other = caller("registry", "agency", agency=uuid4())
    path = f"/v1/agencies/{police}"
    assert [e["id"] for e in (await client.get(path, headers=own)).json()["endpoints"]] == [endpoint["id"]]
    assert len((await client.get(path, headers=registrar)).json()["endpoints"]) == 1
    for headers in (other, caller("registry", "operator"), caller("registry", "auditor")):
        answer = await client.get(path, headers=headers)
        assert answer.json()["endpoints"] is None
        assert "police.example.kz" not in answer.text
    listed = await client.get("/v1/endpoints", headers=own)
    assert [e["id"] for e in listed.json()["items"]] == [endpoint["id"]]
    assert (await client.get("/v1/endpoints", headers=other)).json()["items"] == []
    assert len((await client.get("/v1/endpoints", headers=registrar)).json()["items"]) == 2
    foreign = await client.get("/v1/endpoints?agency=prosecutor-kz-75", headers=own)
    assert foreign.status_code == 404
    assert (await client.get("/v1/endpoints", headers=caller("registry", "operator"))).status_code == 403
    unnamed = caller("registry", "agency", agency=None)
    assert (await client.get("/v1/endpoints", headers=unnamed)).status_code == 403


async def test_endpoints_are_paged(client: Client, registrar: Headers) -> None:
    made = {(await register(client, registrar, url=f"https://p.example.kz/{n}"))["id"] for n in range(5)}
    seen: list[str] = []
    after: str | None = None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await client.get("/v1/endpoints", params=query, headers=registrar)).json()
        seen += [e["id"] for e in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(seen) == sorted(made)
    assert (await client.get("/v1/endpoints?after=eA", headers=registrar)).status_code == 422


async def test_a_revocation_stops_the_sender_first_and_is_told(
    client: Client, registrar: Headers, told: Told, sender: SenderStandIn
) -> None:
    endpoint = await register(client, registrar)
    path = f"/v1/endpoints/{endpoint['id']}"
    first = await client.delete(path, headers=registrar)
    again = await client.delete(path, headers=registrar)
    assert (first.status_code, again.status_code) == (204, 204)
    assert sender.told == [UUID(endpoint["id"])]
    revoked = [json.loads(data) for kind, data in await told() if kind == "endpoint.revoked.v1"]
    assert [(e["endpoint_id"], e["version"]) for e in revoked] == [(endpoint["id"], 2)]
    late = an_endpoint_body(id=endpoint["id"], replaces=2, concurrency=2)
    assert (await client.post("/v1/endpoints", json=late, headers=registrar)).status_code == 409
    await register(client, registrar)  # the same address may come back as another endpoint


async def test_a_revocation_that_cannot_be_made_changes_nothing(
    client: Client, registrar: Headers, told: Told, sender: SenderStandIn
) -> None:
    endpoint = await register(client, registrar)
    sender.status = 500
    refused = await client.delete(f"/v1/endpoints/{endpoint['id']}", headers=registrar)
    assert refused.status_code == 503
    assert refused.json()["type"].endswith("/revocation-not-possible")
    shown = (await client.get("/v1/endpoints", headers=registrar)).json()["items"]
    assert [e["revoked_at"] for e in shown] == [None]
    assert [kind for kind, _ in await told()] == ["endpoint.registered.v1"]
    sender.status = 204
    assert (await client.delete(f"/v1/endpoints/{endpoint['id']}", headers=registrar)).status_code == 204


async def test_an_agency_that_can_be_pushed_to_cannot_retire(client: Client, registrar: Headers) -> None:
    endpoint = await register(client, registrar)
    path = f"/v1/agencies/{endpoint['agency_id']}/retirement"
    assert (await client.post(path, json={}, headers=registrar)).status_code == 409
    await client.delete(f"/v1/endpoints/{endpoint['id']}", headers=registrar)
    assert (await client.post(path, json={}, headers=registrar)).status_code == 200
    late = await client.post("/v1/endpoints", json=an_endpoint_body(), headers=registrar)
    assert late.json()["type"].endswith("/agency-retired")


async def test_only_a_registrar_changes_endpoints(
    client: Client, registrar: Headers, caller: Callers, sender: SenderStandIn
) -> None:
    endpoint = await register(client, registrar)
    own = caller("registry", "agency", agency=UUID(endpoint["agency_id"]))
    posted = await client.post("/v1/endpoints", json=an_endpoint_body(), headers=own)
    deleted = await client.delete(f"/v1/endpoints/{endpoint['id']}", headers=own)
    assert (posted.status_code, deleted.status_code, sender.told) == (403, 403, [])


async def test_hostile_input_gets_a_problem_without_echo(client: Client, registrar: Headers) -> None:
    marker = "canary-7f3a"
    bodies: list[dict[str, Any]] = [
        an_endpoint_body(url=f"http://{marker}.example.kz/"),
        an_endpoint_body(url=f"https://{marker}@police.example.kz/"),
        an_endpoint_body(url=f"https://police.example.kz/?{marker}"),
        an_endpoint_body(url="http://127.0.0.1:9/"),
        an_endpoint_body(url="https://169.254.169.254/"),
        an_endpoint_body(url=""),
        an_endpoint_body(url=7),
        an_endpoint_body(concurrency=0),
        an_endpoint_body(concurrency=True),
        an_endpoint_body(concurrency="8"),
        an_endpoint_body(kind=marker),
        an_endpoint_body(receipt_key=marker),
        an_endpoint_body(agency=marker),
        an_endpoint_body(agency="../" + marker),
        an_endpoint_body(id=marker),
        an_endpoint_body() | {marker: 1},
    ]
    for body in bodies:
        answer = await client.post("/v1/endpoints", json=body, headers=registrar)
        assert answer.status_code == 422, body
        assert marker not in answer.text
    missing = an_endpoint_body(id=str(uuid4()), replaces=1)
    assert (await client.post("/v1/endpoints", json=missing, headers=registrar)).status_code == 404
    assert (await client.delete(f"/v1/endpoints/{uuid4()}", headers=registrar)).status_code == 404
    assert (await client.delete(f"/v1/endpoints/{marker}", headers=registrar)).status_code == 422
