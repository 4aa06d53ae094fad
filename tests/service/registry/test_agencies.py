"""Agencies over HTTP: who is found, who may change what, and what the others are told."""

import asyncio
import json
from typing import Any

import httpx2

from common.testing import FrozenNow
from tests.conftest import Callers
from tests.factories.registry import an_agency_body
from tests.service.registry.conftest import Told

Client = httpx2.AsyncClient
Headers = dict[str, str]


async def items(client: Client, headers: Headers, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/v1/agencies", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_the_seeded_police_of_almaty_would_be_told(client: Client, anybody: Headers) -> None:
    found = await items(client, anybody, role="internal_affairs", territory="KZ-75")
    assert [(a["code"], a["primary"], a["stands_in"]) for a in found] == [
        ("internal-affairs-kz-75", True, False),
        ("internal-affairs-kz", False, False),
    ]
    assert found[0]["name"]["kk"] == "Алматы қаласының Полиция департаменті"
    assert found[0]["endpoints"] is None


async def test_a_kato_code_leads_to_the_region(client: Client, anybody: Headers) -> None:
    found = await items(client, anybody, role="minors_commission", territory="751110000")
    assert found[0]["code"] == "minors-commission-kz-75"


async def test_a_national_body_is_found_from_every_region(client: Client, anybody: Headers) -> None:
    for territory in ("KZ", "KZ-10", "KZ-79"):
        [found] = await items(client, anybody, role="child_rights_authority", territory=territory)
        assert (found["code"], found["primary"]) == ("child-rights-authority-kz", True)


async def test_no_school_is_ever_told_because_of_its_place(client: Client, anybody: Headers) -> None:
    [school] = await items(client, anybody, role="education_org", territory="KZ-75")
    assert (school["code"], school["primary"]) == ("education-org-kz-75", False)


async def test_an_agency_is_found_by_code_and_by_id(client: Client, anybody: Headers) -> None:
    [by_filter] = await items(client, anybody, code="psych-support-centre-kz-75")
    by_code = await client.get("/v1/agencies/psych-support-centre-kz-75", headers=anybody)
    by_id = await client.get(f"/v1/agencies/{by_filter['id']}", headers=anybody)
    assert by_code.json() == by_id.json()
    assert by_id.json()["id"] == by_filter["id"]
    assert await items(client, anybody, code="nobody") == []
    assert (await client.get("/v1/agencies/nobody", headers=anybody)).status_code == 404


async def test_pages_follow_each_other_without_gap_or_repeat(client: Client, anybody: Headers) -> None:
    for query in ({}, {"role": "internal_affairs"}, {"role": "internal_affairs", "territory": "KZ-75"}):
        seen: list[str] = []
        after: str | None = None
        while True:
            page = {"limit": 1 if "territory" in query else 7} | query | ({"after": after} if after else {})
            answer = (await client.get("/v1/agencies", params=page, headers=anybody)).json()
            seen += [a["code"] for a in answer["items"]]
            after = answer["next"]
            if after is None:
                break
        whole = [a["code"] for a in await items(client, anybody, limit=200, **query)]
        assert seen[: len(whole)] == whole
        assert len(seen) == len(set(seen))
        assert len(seen) == {0: 367, 1: 21, 2: 2}[len(query)]


async def test_a_registrar_registers_an_agency_and_the_others_are_told(
    client: Client, registrar: Headers, anybody: Headers, told: Told, now: FrozenNow
) -> None:
    answer = await client.post("/v1/agencies", json=an_agency_body(), headers=registrar)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["version"], body["mandates"][0]["valid_from"]) == (1, "2025-12-31T19:00:00Z")
    [(kind, data)] = await told()
    assert kind == "agency.registered.v1"
    event = json.loads(data)
    assert (event["agency_id"], event["version"], event["mandates"][0]["primary"]) == (body["id"], 1, False)
    found = await items(client, anybody, role="psych_support_centre", territory="KZ-75")
    assert [(a["code"], a["primary"]) for a in found] == [
        ("psych-support-centre-kz-75", True),
        ("psych-support-centre-kz-75-2", False),
    ]


async def test_the_same_again_changes_nothing(client: Client, registrar: Headers, told: Told) -> None:
    for body in (an_agency_body(), an_agency_body("x", mandates=[{"role": "health_org", "territory": "KZ"}])):
        first = await client.post("/v1/agencies", json=body, headers=registrar)
        again = await client.post("/v1/agencies", json=body, headers=registrar)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
    assert len(await told()) == 2


async def test_a_change_names_the_version_it_replaces(client: Client, registrar: Headers, told: Told) -> None:
    await client.post("/v1/agencies", json=an_agency_body(), headers=registrar)
    other = an_agency_body(name={"kk": "Жаңа", "ru": "Новый", "en": "New"})
    unnamed = await client.post("/v1/agencies", json=other, headers=registrar)
    wrong = await client.post("/v1/agencies", json=other | {"replaces": 7}, headers=registrar)
    right = await client.post("/v1/agencies", json=other | {"replaces": 1}, headers=registrar)
    assert [unnamed.status_code, wrong.status_code, right.status_code] == [409, 409, 200]
    assert unnamed.json()["type"].endswith("/agency-exists")
    assert wrong.json()["type"].endswith("/version-outdated")
    assert right.json()["version"] == 2
    versions = sorted(json.loads(data)["version"] for _, data in await told())
    assert versions == [1, 2]


async def test_the_first_holder_is_primary_and_a_second_one_is_refused(
    client: Client, registrar: Headers
) -> None:
    mandate = {"role": "child_protection_org", "territory": "KZ"}
    first = await client.post("/v1/agencies", json=an_agency_body("a", mandates=[mandate]), headers=registrar)
    second = await client.post(
        "/v1/agencies", json=an_agency_body("b", mandates=[mandate]), headers=registrar
    )
    claiming = await client.post(
        "/v1/agencies", json=an_agency_body("c", mandates=[mandate | {"primary": True}]), headers=registrar
    )
    assert first.json()["mandates"][0]["primary"] is True
    assert second.json()["mandates"][0]["primary"] is False
    assert claiming.status_code == 409
    assert claiming.json()["type"].endswith("/primary-taken")
    assert (await client.get("/v1/agencies/c", headers=registrar)).status_code == 404


async def test_of_many_at_once_one_becomes_primary(client: Client, registrar: Headers) -> None:
    mandate = {"role": "child_protection_org", "territory": "KZ", "primary": True}
    answers = await asyncio.gather(
        *(
            client.post("/v1/agencies", json=an_agency_body(f"n{n}", mandates=[mandate]), headers=registrar)
            for n in range(6)
        )
    )
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409, 409, 409]


async def test_a_later_time_may_have_another_primary(
    client: Client, registrar: Headers, anybody: Headers
) -> None:
    mine = (await client.get("/v1/agencies/family-support-centre-kz-75", headers=registrar)).json()
    until = "2027-01-01T00:00:00+05:00"
    ended = await client.post(
        "/v1/agencies",
        json={
            "code": mine["code"],
            "name": mine["name"],
            "superior": "local-exec-body-kz-75",
            "mandates": [{"role": "family_support_centre", "territory": "KZ-75", "valid_until": until}],
            "replaces": 1,
        },
        headers=registrar,
    )
    assert ended.status_code == 200
    assert ended.json()["mandates"][0]["valid_from"] == "2024-12-31T19:00:00Z"
    assert ended.json()["mandates"][0]["primary"] is True
    heir = an_agency_body(
        "heir", mandates=[{"role": "family_support_centre", "territory": "KZ-75", "valid_from": until}]
    )
    assert (await client.post("/v1/agencies", json=heir, headers=registrar)).status_code == 201
    ask = {"role": "family_support_centre", "territory": "KZ-75"}
    before = await items(client, anybody, at="2026-12-31T23:59:59+05:00", **ask)
    after = await items(client, anybody, at=until, **ask)
    assert [a["code"] for a in before] == [mine["code"]]
    assert [a["code"] for a in after] == ["heir"]


async def test_a_retired_agency_is_nobodys_address(
    client: Client, registrar: Headers, anybody: Headers, told: Told, now: FrozenNow
) -> None:
    police = (await client.get("/v1/agencies/internal-affairs-kz-75", headers=anybody)).json()
    path = f"/v1/agencies/{police['id']}/retirement"
    retired = await client.post(path, json={}, headers=registrar)
    again = await client.post(path, json={}, headers=registrar)
    assert (retired.status_code, again.json()) == (200, retired.json())
    assert [kind for kind, _ in await told()] == ["agency.retired.v1"]
    found = await items(client, anybody, role="internal_affairs", territory="KZ-75")
    assert [a["code"] for a in found] == ["internal-affairs-kz"]
    revived = an_agency_body("internal-affairs-kz-75", replaces=2)
    assert (await client.post("/v1/agencies", json=revived, headers=registrar)).status_code == 409
    shown = (await client.get("/v1/agencies/internal-affairs-kz-75", headers=anybody)).json()
    assert shown["mandates"] == []


async def test_nobody_stands_above_himself(client: Client, registrar: Headers) -> None:
    body = {
        "code": "local-exec-body-kz-75",
        "name": {"kk": "Ә", "ru": "А", "en": "A"},
        "superior": "education-org-kz-75",
        "mandates": [{"role": "local_exec_body", "territory": "KZ-75"}],
        "replaces": 1,
    }
    circular = await client.post("/v1/agencies", json=body, headers=registrar)
    unknown = await client.post("/v1/agencies", json=body | {"superior": "nobody"}, headers=registrar)
    assert [circular.status_code, unknown.status_code] == [422, 422]
    assert circular.json()["type"].endswith("/superior-circular")
    assert unknown.json()["errors"] == [{"pointer": "#/superior", "code": "refused"}]


async def test_what_cannot_be_held_is_refused(client: Client, registrar: Headers) -> None:
    mandate = {"role": "education_org", "territory": "KZ-75"}
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([mandate | {"primary": True}], "role-not-routed"),
        ([mandate | {"role": "emergency_medical"}], "role-unknown"),
        ([mandate | {"territory": "KZ-99"}], "territory-unknown"),
        ([mandate, mandate], "mandate-twice"),
        ([mandate | {"valid_until": "2001-01-01T00:00:00Z"}], "interval-inverted"),
    ]
    for mandates, problem in cases:
        answer = await client.post("/v1/agencies", json=an_agency_body(mandates=mandates), headers=registrar)
        assert answer.status_code == 422, answer.text
        assert answer.json()["type"] == f"https://dabyl.kz/problems/{problem}"


async def test_only_a_registrar_changes_the_register(
    client: Client, anybody: Headers, caller: Callers
) -> None:
    for headers in (anybody, caller("registry", "agency"), caller("registry", "auditor")):
        answer = await client.post("/v1/agencies", json=an_agency_body(), headers=headers)
        assert answer.status_code == 403
    assert (await client.get("/v1/agencies")).status_code == 401
    assert (await client.post("/v1/agencies", json=an_agency_body())).status_code == 401


async def test_hostile_input_gets_a_problem_without_echo(client: Client, registrar: Headers) -> None:
    marker = "Қанарейка"
    bodies: list[Any] = [
        an_agency_body(marker),
        an_agency_body(marker=marker),
        an_agency_body(name={"kk": marker + "\u0007", "ru": "а", "en": "a"}),
        an_agency_body(name={"kk": " ", "ru": "а", "en": "a"}),
        an_agency_body(superior=marker),
        an_agency_body(replaces="1"),
        an_agency_body(replaces=True),
        an_agency_body(mandates=[]),
        an_agency_body(mandates=[{"role": "health_org", "territory": "KZ", "valid_from": 1_700_000_000}]),
        an_agency_body(mandates=[{"role": "health_org", "territory": "KZ", "valid_from": "1700000000"}]),
        an_agency_body(
            mandates=[{"role": "health_org", "territory": "KZ", "valid_from": "0001-01-01T00:00:00+14:00"}]
        ),
        an_agency_body(
            mandates=[{"role": "health_org", "territory": "KZ", "valid_from": "2026-01-01T00:00:00"}]
        ),
        an_agency_body(mandates=[{"role": marker, "territory": "KZ"}]),
        [marker],
        marker,
    ]
    for body in bodies:
        answer = await client.post("/v1/agencies", json=body, headers=registrar)
        assert answer.status_code == 422, body
        assert answer.headers["content-type"] == "application/problem+json"
        assert marker not in answer.text
    for query in ({"after": "eA"}, {"after": "AAAA"}, {"at": "now"}, {"limit": 0}, {"role": "x"}, {"x": "1"}):
        answer = await client.get("/v1/agencies", params=query, headers=registrar)
        assert answer.status_code == (200 if query == {"after": "eA"} else 422), query
