"""A report without a token: let in, counted by a source that nobody can name, and nothing else of it."""

from typing import Any

from aiohttp import web

from gateway.domain.routes import Bucket
from tests.factories.gateway import House


def taken(house: House, status: int = 201) -> None:
    told: dict[str, Any] = {"number": "7K4M-Q2XP-9", "receipt": "R"}
    house.upstreams.answers["intake", "POST", "/v1/reports"] = lambda _request: web.json_response(
        told, status=status
    )


async def test_it_goes_in_as_ours_with_a_source_in_place_of_an_address(house: House) -> None:
    taken(house)
    noise = {
        "Dabyl-Source": "f" * 32, "X-Forwarded-For": "203.0.113.77", "Cookie": "a=b",
        "Authorization": "Bearer nonsense", "Idempotency-Key": "a-key-that-nobody-guesses",
    }  # fmt: skip
    answer = await house.http.post("/v1/reports", json={"territory": "KZ-75"}, headers=noise)
    assert (answer.status_code, answer.json()["receipt"]) == (201, "R")
    assert answer.headers["cache-control"] == "no-store"
    [heard] = house.upstreams.heard
    assert (heard.principal.role, heard.principal.subject) == ("service", "gateway")
    assert heard.headers["idempotency-key"] == "a-key-that-nobody-guesses"
    source = heard.headers["dabyl-source"]
    assert len(source) == 32
    assert source != "f" * 32
    assert "203.0.113" not in str(heard.headers)
    assert "nonsense" not in str(heard.headers)


async def test_one_source_has_a_small_allowance_of_its_own(house: House) -> None:
    taken(house)
    quota = house.settings.rate_reports
    answers = [await house.http.post("/v1/reports", json={"direct_threat": True}) for _ in range(quota + 1)]
    assert [one.status_code for one in answers] == [201] * quota + [429]
    assert answers[0].headers["ratelimit-policy"].startswith(f'"{Bucket.REPORTS.value}"')
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_without_a_token_nothing_else_is_let_in(house: House) -> None:
    for method, path in (("GET", "/v1/reports"), ("POST", "/v1/alerts"), ("GET", "/v1/alerts")):
        answer = await house.http.request(method, path)
        assert answer.status_code in (401, 405), (method, path)
    assert house.upstreams.heard == []
