"""Returns over HTTP: handed in by the agency itself, kept as they came, told without what they say."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from tests.conftest import Callers
from tests.service.registry.conftest import Told

Client = httpx2.AsyncClient
Headers = dict[str, str]
DIGEST = "ab" * 32


def a_return(**values: Any) -> dict[str, Any]:
    return {
        "duty": "R264-22a", "period": "2026-10", "reference": "EXCH/2026/10",
        "digest": DIGEST, "outgoing_number": "04-12/118",
    } | values  # fmt: skip


@pytest.fixture
async def centre(client: Client, registrar: Headers, caller: Callers) -> Headers:
    found = await client.get("/v1/agencies?code=psych-support-centre-kz-75", headers=registrar)
    return caller("registry", "agency", agency=UUID(found.json()["items"][0]["id"]))


async def test_a_return_is_kept_and_told_without_what_it_says(
    client: Client, centre: Headers, told: Told
) -> None:
    answer = await client.post("/v1/returns", json=a_return(), headers=centre)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    [(kind, data)] = await told()
    assert kind == "return.submitted.v1"
    assert json.loads(data) == {
        "return_id": body["id"],
        "agency_id": body["agency_id"],
        "duty": "R264-22a",
        "period": "2026-10",
        "submitted_at": json.loads(data)["submitted_at"],
    }
    listed = await client.get("/v1/returns", headers=centre)
    assert listed.json()["items"] == [body]


async def test_the_same_again_is_the_same_and_another_is_refused(
    client: Client, centre: Headers, told: Told
) -> None:
    answers = await asyncio.gather(
        *(client.post("/v1/returns", json=a_return(), headers=centre) for _ in range(5))
    )
    assert sorted(each.status_code for each in answers) == [200, 200, 200, 200, 201]
    assert len({each.text for each in answers}) == 1
    other = await client.post("/v1/returns", json=a_return(digest="cd" * 32), headers=centre)
    assert other.status_code == 409
    assert other.json()["type"].endswith("/return-differs")
    assert len(await told()) == 1


async def test_only_an_agency_hands_in_and_sees_its_own(
    client: Client, centre: Headers, registrar: Headers, caller: Callers, told: Told
) -> None:
    for headers in (registrar, caller("registry", "operator"), caller("registry", "agency", agency=None)):
        assert (await client.post("/v1/returns", json=a_return(), headers=headers)).status_code == 403
    stranger = caller("registry", "agency", agency=uuid4())
    assert (await client.post("/v1/returns", json=a_return(), headers=stranger)).status_code == 404
    assert await told() == []
    assert (await client.post("/v1/returns", json=a_return(), headers=centre)).status_code == 201
    assert (await client.get("/v1/returns", headers=stranger)).json()["items"] == []
    assert len((await client.get("/v1/returns", headers=registrar)).json()["items"]) == 1
    assert (await client.get("/v1/returns", headers=caller("registry", "operator"))).status_code == 403


@pytest.mark.parametrize(
    "values",
    [
        {"period": "2026-13"}, {"period": "2026-Q5"}, {"period": "26-10"}, {"period": "2026/27"},
        {"duty": "rm -rf"}, {"duty": "x" * 50}, {"digest": "AB" * 32}, {"digest": "ab"},
        {"reference": ""}, {"reference": "a\nb"}, {"outgoing_number": "x" * 61}, {"child": "x"},
    ],
)  # fmt: skip
async def test_what_is_no_return_is_refused_without_echo(
    client: Client, centre: Headers, told: Told, values: dict[str, Any]
) -> None:
    answer = await client.post("/v1/returns", json=a_return(**values), headers=centre)
    assert answer.status_code == 422
    assert await told() == []
