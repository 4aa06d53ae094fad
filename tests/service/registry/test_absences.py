"""Declared absences: facts with dates, and what they do to the answer."""

import json
from typing import Any

import httpx2

from tests.conftest import Callers
from tests.service.registry.conftest import Told

Client = httpx2.AsyncClient
Headers = dict[str, str]


def an_absence_body(**values: Any) -> dict[str, Any]:
    return {
        "role": "regional_child_rights_body",
        "territory": "KZ-75",
        "valid_from": "2026-09-01T00:00:00+05:00",
        "reason": "Әкімнің 2026 жылғы 25 тамыздағы № 12 қаулысы",
    } | values


async def holder(client: Client, headers: Headers, territory: str, at: str) -> tuple[str, bool]:
    query = {"role": "regional_child_rights_body", "territory": territory, "at": at}
    first = (await client.get("/v1/agencies", params=query, headers=headers)).json()["items"][0]
    assert first["primary"] is True
    return first["code"], first["stands_in"]


async def test_guardianship_stands_in_while_and_where_the_body_is_declared_absent(
    client: Client, registrar: Headers, anybody: Headers, told: Told
) -> None:
    until = "2026-12-01T00:00:00+05:00"
    answer = await client.post("/v1/absences", json=an_absence_body(valid_until=until), headers=registrar)
    assert answer.status_code == 201, answer.text
    [(kind, data)] = await told()
    assert kind == "body.declared_absent.v1"
    assert json.loads(data) == {
        "absence_id": answer.json()["id"],
        "version": 1,
        "role": "regional_child_rights_body",
        "territory": "KZ-75",
        "valid_from": "2026-08-31T19:00:00Z",
        "valid_until": "2026-11-30T19:00:00Z",
    }
    regional, guardian = "regional-child-rights-body-kz-75", "guardianship-body-kz-75"
    assert await holder(client, anybody, "KZ-75", "2026-08-31T23:59:59+05:00") == (regional, False)
    assert await holder(client, anybody, "KZ-75", "2026-09-01T00:00:00+05:00") == (guardian, True)
    assert await holder(client, anybody, "751110000", "2026-11-30T23:59:59+05:00") == (guardian, True)
    assert await holder(client, anybody, "KZ-75", until) == (regional, False)
    assert await holder(client, anybody, "KZ-71", "2026-09-01T00:00:00+05:00") == (
        "regional-child-rights-body-kz-71",
        False,
    )


async def test_an_absence_is_ended_or_taken_back_by_its_next_version(
    client: Client, registrar: Headers, anybody: Headers
) -> None:
    first = await client.post("/v1/absences", json=an_absence_body(), headers=registrar)
    again = await client.post("/v1/absences", json=an_absence_body(territory="750000000"), headers=registrar)
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    ended = an_absence_body(valid_until="2026-10-01T00:00:00+05:00")
    unnamed = await client.post("/v1/absences", json=ended, headers=registrar)
    stale = await client.post("/v1/absences", json=ended | {"replaces": 3}, headers=registrar)
    right = await client.post("/v1/absences", json=ended | {"replaces": 1}, headers=registrar)
    assert [unnamed.status_code, stale.status_code, right.status_code] == [409, 409, 200]
    taken_back = an_absence_body(valid_until="2026-09-01T00:00:00+05:00", replaces=2)
    assert (await client.post("/v1/absences", json=taken_back, headers=registrar)).json()["version"] == 3
    code, stands_in = await holder(client, anybody, "KZ-75", "2026-09-15T00:00:00+05:00")
    assert (code, stands_in) == ("regional-child-rights-body-kz-75", False)
    listed = (await client.get("/v1/absences", headers=anybody)).json()
    assert [a["version"] for a in listed["items"]] == [3]


async def test_the_seed_declares_no_absence(client: Client, anybody: Headers) -> None:
    assert (await client.get("/v1/absences", headers=anybody)).json() == {"items": [], "next": None}


async def test_other_bodies_and_inputs_are_refused(
    client: Client, registrar: Headers, caller: Callers
) -> None:
    for body in (
        an_absence_body(role="no_such_body"),
        an_absence_body(territory="KZ-99"),
        an_absence_body(territory="kz-75"),
        an_absence_body(reason=""),
        an_absence_body(valid_from="2026-09-01"),
        an_absence_body(valid_until="2026-01-01T00:00:00Z"),
        an_absence_body(more=1),
    ):
        answer = await client.post("/v1/absences", json=body, headers=registrar)
        assert answer.status_code == 422, body
    denied = await client.post("/v1/absences", json=an_absence_body(), headers=caller("registry", "agency"))
    assert denied.status_code == 403
