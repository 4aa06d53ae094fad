"""Problems say what is wrong and repeat nothing of what was sent, wherever it was put."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx2 as httpx
import pytest
from fastapi import APIRouter, Header
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field
from sqlalchemy.exc import IntegrityError

from common.errors import Conflict
from common.http import After, Limit, create_app
from common.keys import KeyRing
from common.problems import problem_type
from common.schemas import In
from common.testing import parts_for_test

CANARY = "Aigerim-Canary-900101400123"


class ChildIn(In):
    name: str = Field(max_length=10)
    age: int | None = Field(None, ge=0, le=17)


class AlertIn(In):
    territory: str = Field(pattern=r"^KZ-\d\d$")
    child: ChildIn
    codes: dict[str, int] = Field(default_factory=dict)
    choice: int | ChildIn = 1


class DuplicateAlert(Conflict):
    """This alert is already here."""


router = APIRouter()


@router.post("/alerts/{alert_id}", status_code=201)
async def receive(
    alert_id: UUID,
    body: AlertIn,
    limit: Limit = 50,
    after: After = None,
    key: Annotated[UUID | None, Header(alias="Idempotency-Key")] = None,
) -> dict[str, str]:
    if body.child.age == 1:
        raise DuplicateAlert(pointer="#/child/age")
    if body.child.age == 2:
        raise RuntimeError(body.child.name)
    if body.child.age == 3:
        raise IntegrityError(body.child.name, {}, ValueError(body.child.name))
    if body.child.age == 4:
        raise ConnectionRefusedError(body.child.name)
    return {"status": "stored"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("app")
    parts = parts_for_test("intake", f"sqlite+aiosqlite:///{folder}/a.db", KeyRing.create(folder / "keys"))
    app = create_app(parts, title="test", routers=[router])
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made
    asyncio.run(parts.close())


GOOD: dict[str, Any] = {"territory": "KZ-75", "child": {"name": "A", "age": 9}}
PATH = f"/alerts/{UUID(int=1)}"


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    return body


def everything(answer: httpx.Response) -> str:
    return answer.text + str(answer.headers)


def test_the_good_request_is_good(client: TestClient) -> None:
    assert client.post(PATH, json=GOOD).status_code == 201


# --- the canary, anywhere

PLACES = [("territory",), ("child",), ("child", "name"), ("child", "age"), ("codes",), ("choice",), ("new",)]
PATHS = [PATH, f"/alerts/{CANARY}", f"/{CANARY}", f"/alerts/%ff{CANARY}", f"{PATH}/{CANARY}"]
QUERIES = ["", f"?limit={CANARY}", f"?{CANARY}={CANARY}", f"?after={CANARY}&limit=0", f"?limit=%ff{CANARY}"]
VALUES = st.sampled_from(
    [
        CANARY,
        [CANARY],
        {CANARY: CANARY},
        {"name": CANARY},
        {"name": "A", CANARY: 1},
        {CANARY: {CANARY: CANARY}},
    ]
)


def spoil(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(json.dumps(GOOD))
    at = body
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return body


@settings(max_examples=150, deadline=None)
@given(
    body=st.builds(spoil, st.sampled_from(PLACES), VALUES) | st.just(GOOD),
    path=st.sampled_from(PATHS),
    query=st.sampled_from(QUERIES),
    headers=st.sampled_from(
        [{}, {"Idempotency-Key": CANARY}, {"X-Canary": CANARY}, {"Authorization": f"Bearer {CANARY}"},
         {"Cookie": CANARY}, {"Accept-Language": CANARY}, {"traceparent": CANARY}]
    ),
    kind=st.sampled_from(["application/json", f"application/{CANARY}+json", f"text/{CANARY}", CANARY, ""]),
    method=st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
)  # fmt: skip
def test_a_canary_put_anywhere_never_comes_back(
    client: TestClient, body: Any, path: str, query: str, headers: dict[str, str], kind: str, method: str
) -> None:
    answer = client.request(
        method, path + query, content=json.dumps(body), headers={**headers, "Content-Type": kind}
    )
    assert "canary" not in everything(answer).casefold()
    assert answer.status_code == 201 or 400 <= answer.status_code < 500
    if answer.status_code != 201:
        problem(answer, answer.status_code)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300).map(lambda noise: noise + CANARY.encode()))
def test_noise_is_a_4xx_without_an_echo(client: TestClient, body: bytes) -> None:
    answer = client.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert "canary" not in everything(answer).casefold()
    problem(answer, answer.status_code)
    assert 400 <= answer.status_code < 500


# --- each kind of hostile input


@pytest.mark.parametrize("name", ["content-type", "content-encoding"])
def test_a_header_given_twice_cannot_hide_the_body_from_the_check(client: TestClient, name: str) -> None:
    twice = {"content-type": ("application/json", "text/plain"), "content-encoding": ("identity", "gzip")}[
        name
    ]
    for order in (twice, twice[::-1]):
        headers = httpx.Headers([(name, value) for value in order])
        answer = client.post(PATH, content=b'{"a": NaN}', headers=headers)
        assert problem(answer, 400)["type"].endswith("/header-repeated")


@pytest.mark.parametrize(
    "kind",
    ["application/json", "APPLICATION/JSON; charset=utf-8", "application/problem+json", " application/json "],
)
def test_every_spelling_of_json_is_read_strictly(client: TestClient, kind: str) -> None:
    answer = client.post(PATH, content=b'{"child": {"age": NaN}}', headers={"Content-Type": kind})
    assert problem(answer, 400)["type"].endswith("/body-not-readable")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "application/ json", "text/json"])
def test_json_under_another_name_is_not_taken(client: TestClient, kind: str) -> None:
    answer = client.post(PATH, content=json.dumps(GOOD).encode(), headers={"Content-Type": kind})
    assert 400 <= answer.status_code < 500


def test_a_compressed_body_is_not_taken(client: TestClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem(client.post(PATH, content=b"\x1f\x8b", headers=headers), 415)


def test_a_body_that_is_too_large_is_refused_also_when_its_length_is_not_told(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    problem(client.post(PATH, content=b" " * 300_000, headers=headers), 413)
    problem(client.post(PATH, content=(b" " * 50_000 for _ in range(6)), headers=headers), 413)


@pytest.mark.parametrize("address", [f"{PATH}?after=%00", "/alerts/a%00b", "/%00"])
def test_nul_in_the_address_is_refused(client: TestClient, address: str) -> None:
    assert problem(client.post(address, json=GOOD), 400)["type"].endswith("/address-not-readable")


def test_pointers_name_known_fields_and_never_unknown_keys(client: TestClient) -> None:
    body = problem(client.post(PATH, json={**GOOD, "child": {"name": "A", "age": 99, CANARY: 1}}), 422)
    assert {(one["pointer"], one["code"]) for one in body["errors"]} == {
        ("#/child/age", "less_than_equal"), ("#/child", "extra_forbidden"),
    }  # fmt: skip


def test_a_key_of_a_free_object_is_input_too(client: TestClient) -> None:
    body = problem(client.post(PATH, json={**GOOD, "codes": {CANARY: "x"}}), 422)
    assert [one["pointer"] for one in body["errors"]] == ["#/codes"]


# --- refusals and failures


def test_a_refusal_is_a_problem_named_after_its_class(client: TestClient) -> None:
    body = problem(client.post(PATH, json=spoil(("child", "age"), 1)), 409)
    assert body["type"] == problem_type(DuplicateAlert) == "https://dabyl.kz/problems/duplicate-alert"
    assert body["title"] == "This alert is already here."
    assert body["errors"] == [{"pointer": "#/child/age", "code": "refused"}]


@pytest.mark.parametrize(("age", "status"), [(2, 500), (3, 500), (4, 503)])
def test_a_failure_says_nothing_about_itself(client: TestClient, age: int, status: int) -> None:
    answer = client.post(PATH, json={"territory": "KZ-75", "child": {"name": "Canary", "age": age}})
    problem(answer, status)
    assert "canary" not in everything(answer).casefold()
    if status == 503:
        assert answer.headers["retry-after"]


def test_unknown_pages_and_methods_are_problems(client: TestClient) -> None:
    problem(client.get("/nowhere"), 404)
    answer = client.get(PATH)
    problem(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_the_manual_pages_of_the_framework_are_shut(client: TestClient) -> None:
    for page in ("/docs", "/redoc"):
        problem(client.get(page), 404)
