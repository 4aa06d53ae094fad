"""The snapshot, the seed and the tree: what others build their copy from."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from common import identity
from common.envelope import decode
from common.keys import KeyRing
from common.parts import Parts
from common.testing import FrozenNow
from registry import service
from registry.adapters.seed import read_roles, read_seed
from tests.conftest import Callers
from tests.factories.registry import an_agency_body, an_endpoint_body

Client = httpx2.AsyncClient
Headers = dict[str, str]


@pytest.fixture
def notifier(keys: KeyRing, now: FrozenNow) -> Headers:
    token = identity.ServiceTokens(keys, "notifier", now).mint("registry")
    return {"Authorization": f"Bearer {token}"}


async def snapshot(client: Client, headers: Headers, limit: int) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        query = {"limit": limit} | ({"after": after} if after else {})
        answer = await client.get("/internal/snapshot", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        facts += page["items"]
        after = page["next"]
        if after is None:
            return facts


async def test_the_snapshot_holds_the_last_word_about_everything(
    client: Client, registrar: Headers, notifier: Headers
) -> None:
    await client.post("/v1/agencies", json=an_agency_body(), headers=registrar)
    renamed = an_agency_body(name={"kk": "Ж", "ru": "Ж", "en": "Z"}, replaces=1)
    agency = (await client.post("/v1/agencies", json=renamed, headers=registrar)).json()
    await client.post(f"/v1/agencies/{agency['id']}/retirement", json={}, headers=registrar)
    endpoint = (await client.post("/v1/endpoints", json=an_endpoint_body(), headers=registrar)).json()
    await client.delete(f"/v1/endpoints/{endpoint['id']}", headers=registrar)
    whole = await snapshot(client, notifier, 5000)
    paged = await snapshot(client, notifier, 50)
    assert [(f["type"], f["subject"]) for f in whole] == [(f["type"], f["subject"]) for f in paged]
    assert Counter(f["type"].removeprefix("kz.dabyl.") for f in whole) == {
        "agency.registered.v1": 368,
        "agency.retired.v1": 1,
        "endpoint.registered.v1": 1,
        "endpoint.revoked.v1": 1,
    }
    about = [f for f in whole if f["subject"] == agency["id"]]
    assert [(f["data"]["version"], f["data"].get("name_en")) for f in about] == [(2, "Z"), (3, None)]
    for fact in whole:
        assert str(decode(json.dumps(fact).encode()).subject) == fact["subject"]
    assert len({f["id"] for f in whole + paged}) == 2 * len(whole)


async def test_only_services_get_the_snapshot(client: Client, registrar: Headers, caller: Callers) -> None:
    for headers in (registrar, caller("registry", "agency"), caller("registry", "operator")):
        assert (await client.get("/internal/snapshot", headers=headers)).status_code == 403
    assert (await client.get("/internal/snapshot")).status_code == 401


async def test_the_snapshot_knows_its_own_cursors_only(client: Client, notifier: Headers) -> None:
    for after in ("x", "eA", "eB94", "AAAA", "_" * 300):
        answer = await client.get("/internal/snapshot", params={"after": after}, headers=notifier)
        assert answer.status_code == 422


async def test_the_seed_is_loaded_once_and_told_once(
    parts: Parts, count_events: Callable[[], Any], client: Client, registrar: Headers
) -> None:
    assert await count_events() == 367
    renamed = {
        "code": "contact-centre-111-kz",
        "name": {"kk": "111", "ru": "111", "en": "111"},
        "mandates": [{"role": "contact_centre_111", "territory": "KZ"}],
        "replaces": 1,
    }
    assert (await client.post("/v1/agencies", json=renamed, headers=registrar)).status_code == 200
    seed, roles = read_seed(), read_roles()
    async with parts.db.transaction() as session:
        assert await service.load_seed(session, seed, roles=roles, now=parts.now) == 0
    newer = service.Seed("0" * 64, seed.territories, seed.agencies)
    async with parts.db.transaction() as session:
        assert await service.load_seed(session, newer, roles=roles, now=parts.now) == 0
    assert await count_events() == 368
    kept = (await client.get("/v1/agencies/contact-centre-111-kz", headers=registrar)).json()
    assert (kept["version"], kept["name"]["en"]) == (2, "111")


async def test_the_tree_is_shown_in_three_languages(client: Client, anybody: Headers) -> None:
    answer = (await client.get("/v1/territories", headers=anybody)).json()
    assert (len(answer["items"]), answer["next"]) == (21, None)
    almaty = next(t for t in answer["items"] if t["code"] == "KZ-75")
    assert almaty == {
        "code": "KZ-75",
        "kato": "750000000",
        "kind": "city",
        "parent": "KZ",
        "name": {"kk": "Алматы", "ru": "Алматы", "en": "Almaty"},
    }
    assert (await client.get("/v1/territories")).status_code == 401


async def test_the_house_is_ready(client: Client) -> None:
    assert (await client.get("/readyz")).status_code == 200
