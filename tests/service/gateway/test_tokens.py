import asyncio
import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey, RSAKey
from sqlalchemy import delete
from sqlmodel import col

from gateway.models import Client
from gateway.service import sessions
from tests.factories.gateway import BASE, POLICE, House


def bootstrap_file(house: House) -> Path:
    assert house.settings.bootstrap_file is not None
    return house.settings.bootstrap_file


async def bootstrap(house: House) -> dict[str, str]:
    for prepare in house.service.prepare:
        await prepare()
    credentials: dict[str, str] = json.loads(await asyncio.to_thread(bootstrap_file(house).read_text))
    return credentials


async def grant(house: House, client_id: str, secret: str) -> Any:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return await house.http.post("/oauth/token", data=form)


async def test_the_first_registrar_is_written_to_a_file_that_only_its_owner_reads(house: House) -> None:
    credentials = await bootstrap(house)
    status = await asyncio.to_thread(bootstrap_file(house).stat)
    assert status.st_mode & 0o777 == 0o600
    answer = await grant(house, credentials["client_id"], credentials["client_secret"])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    made = await house.http.post(
        "/v1/tokens",
        json={"role": "operator"},
        headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
    )
    assert made.status_code == 201


async def test_a_lost_bootstrap_file_replaces_the_registrar(house: House) -> None:
    old = await bootstrap(house)
    await asyncio.to_thread(bootstrap_file(house).unlink)
    new = await bootstrap(house)
    assert new["client_id"] != old["client_id"]
    assert (await grant(house, old["client_id"], old["client_secret"])).status_code == 401
    assert (await grant(house, new["client_id"], new["client_secret"])).status_code == 200


async def forget(house: House, client_id: str) -> None:
    """As it is in a database that was lost, or restored from before this client was made."""
    async with house.parts.db.transaction() as session:
        await session.execute(delete(Client).where(col(Client.id) == UUID(client_id)))


async def test_a_registrar_that_the_database_does_not_know_is_made_anew(house: House) -> None:
    lost = await bootstrap(house)
    await forget(house, lost["client_id"])
    new = await bootstrap(house)
    assert new["client_id"] != lost["client_id"]
    assert (await asyncio.to_thread(bootstrap_file(house).stat)).st_mode & 0o777 == 0o600
    assert (await grant(house, lost["client_id"], lost["client_secret"])).status_code == 401
    assert (await grant(house, new["client_id"], new["client_secret"])).status_code == 200
    assert await bootstrap(house) == new


async def test_a_restored_database_keeps_no_older_registrar(house: House) -> None:
    restored = await bootstrap(house)
    lost = {**restored, "client_id": str(uuid4())}
    await asyncio.to_thread(bootstrap_file(house).write_text, json.dumps(lost))
    new = await bootstrap(house)
    assert (await grant(house, restored["client_id"], restored["client_secret"])).status_code == 401
    assert (await grant(house, new["client_id"], new["client_secret"])).status_code == 200


async def test_a_registrar_that_was_revoked_does_not_come_back(house: House) -> None:
    first = await bootstrap(house)
    revoked = await house.http.delete(f"/v1/clients/{first['client_id']}", headers=house.headers("registrar"))
    assert revoked.status_code == 204
    assert await bootstrap(house) == first
    assert (await grant(house, first["client_id"], first["client_secret"])).status_code == 401


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"client_id": 7}', '{"client_id": "x"}', "x"])
async def test_a_bootstrap_file_of_somebody_else_is_left_alone(house: House, text: str) -> None:
    await asyncio.to_thread(bootstrap_file(house).write_text, text)
    for prepare in house.service.prepare:
        await prepare()
    assert await asyncio.to_thread(bootstrap_file(house).read_text) == text


async def test_an_agencys_client_gets_tokens_that_carry_what_registry_says(house: House) -> None:
    made = await house.http.post(
        "/v1/clients", json={"agency": "internal-affairs-kz-75"}, headers=house.headers("registrar")
    )
    assert made.status_code == 201, made.text
    client = made.json()
    assert client["agency"] == str(POLICE)
    assert client["bodies"] == ["internal_affairs"]
    answer = await grant(house, client["client_id"], client["client_secret"])
    claims = json.loads(base64.urlsafe_b64decode(answer.json()["access_token"].split(".")[1] + "=="))
    header = json.loads(base64.urlsafe_b64decode(answer.json()["access_token"].split(".")[0] + "=="))
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "Ed25519"
    assert {"exp", "iat", "iss", "aud", "sub", "jti", "client_id"} <= claims.keys()
    assert claims["agency"] == str(POLICE)
    assert claims["territory"] == "KZ-75"


async def said_inside(house: House, token: str) -> Any:
    """Who the services behind are told is calling."""
    await house.http.get("/v1/inbox", headers={"Authorization": f"Bearer {token}"})
    return house.upstreams.heard[-1].principal


async def test_only_whom_a_registrar_calls_a_person_is_one(house: House) -> None:
    """An agency's system gets as many tokens as it likes: none of them is a person's."""
    registrar = house.headers("registrar")
    house.upstreams.put("notifier", "GET", "/v1/inbox", {"items": []})

    async def secret_of(**more: str) -> str:
        body = {"agency": "internal-affairs-kz-75", **more}
        client = (await house.http.post("/v1/clients", json=body, headers=registrar)).json()
        granted = await grant(house, client["client_id"], client["client_secret"])
        return str(granted.json()["access_token"])

    for token in (await secret_of(), await secret_of()):
        assert (await said_inside(house, token)).person is None
    assert (await said_inside(house, await secret_of(person="duty-17"))).person == f"{POLICE}:duty-17"
    found = set()
    for person in ("duty-17", "duty-18"):
        body = {"agency": "internal-affairs-kz-75", "person": person}
        made = await house.http.post("/v1/tokens", json=body, headers=registrar)
        principal = await said_inside(house, made.json()["access_token"])
        found.add((principal.person, principal.subject))
    assert found == {(f"{POLICE}:duty-{each}", f"agency:{POLICE}/duty-{each}") for each in (17, 18)}
    made = await house.http.post("/v1/tokens", json={"agency": "internal-affairs-kz-75"}, headers=registrar)
    assert (await said_inside(house, made.json()["access_token"])).person is None


async def test_a_sign_in_link_lets_one_person_in(house: House) -> None:
    body = {"role": "operator", "person": "duty-3"}
    made = await house.http.post("/v1/console-codes", json=body, headers=house.headers("registrar"))
    answer = await house.http.get("/console/sign-in", params={"code": made.json()["code"]})
    assert answer.status_code == 303
    async with house.parts.db.reading() as session:
        cookie = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        bearer = await sessions.find_bearer(session, cookie, now=house.now())
    assert bearer is not None
    assert (bearer.person, bearer.whole_person) == ("duty-3", "operator:duty-3")


async def test_the_secret_may_come_as_basic_but_not_twice(house: House) -> None:
    credentials = await bootstrap(house)
    basic = (credentials["client_id"], credentials["client_secret"])
    form = {"grant_type": "client_credentials"}
    assert (await house.http.post("/oauth/token", data=form, auth=basic)).status_code == 200
    twice = await house.http.post("/oauth/token", data=form | {"client_secret": "x"}, auth=basic)
    assert twice.status_code == 400


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password", "client_id": "x", "client_secret": "y"}, 400, "unsupported_grant_type"),
        ({"client_id": "x", "client_secret": "y"}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}, 401, "invalid_client"),
        (
            {"grant_type": "client_credentials", "client_id": str(POLICE), "client_secret": "y"},
            401,
            "invalid_client",
        ),
        ({"grant_type": "client_credentials", "surprise": "1"}, 400, "invalid_request"),
    ],
)
async def test_a_bad_request_for_a_token_gets_the_error_of_rfc_6749(
    house: House, form: dict[str, str], status: int, error: str
) -> None:
    answer = await house.http.post("/oauth/token", data=form)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


async def test_a_token_request_that_is_no_form_is_refused(house: House) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"\xff\xfe", b"a=1&a=2", b"grant_type=%FF%FE", b"&&&", b"=".join([b"x"] * 50)):
        answer = await house.http.post("/oauth/token", content=body, headers=kind)
        assert answer.status_code in (400, 401), body
    assert (
        await house.http.post("/oauth/token", json={"grant_type": "client_credentials"})
    ).status_code == 415


async def test_a_revoked_client_is_refused_at_the_next_request(house: House) -> None:
    made = await house.http.post("/v1/clients", json={"role": "operator"}, headers=house.headers("registrar"))
    client = made.json()
    token = (await grant(house, client["client_id"], client["client_secret"])).json()["access_token"]
    house.upstreams.put("notifier", "GET", "/v1/alerts", {"items": [], "next": None})
    held = {"Authorization": f"Bearer {token}"}
    assert (await house.http.get("/v1/alerts", headers=held)).status_code == 200
    gone = await house.http.delete(f"/v1/clients/{client['client_id']}", headers=house.headers("registrar"))
    assert gone.status_code == 204
    assert (await house.http.get("/v1/alerts", headers=held)).status_code == 401
    assert (await grant(house, client["client_id"], client["client_secret"])).status_code == 401
    again = await house.http.delete(f"/v1/clients/{client['client_id']}", headers=house.headers("registrar"))
    assert again.status_code == 409


async def test_a_revoked_token_is_refused_at_the_next_request_and_others_are_not(house: House) -> None:
    house.upstreams.put("notifier", "GET", "/v1/inbox", {"items": [], "next": None})
    one, other = house.headers(), house.headers()
    assert (await house.http.get("/v1/inbox", headers=one)).status_code == 200
    token = one["Authorization"].removeprefix("Bearer ")
    for _ in range(2):
        taken = await house.http.post(
            "/v1/tokens/revocations", json={"token": token}, headers=house.headers("registrar")
        )
        assert taken.status_code == 204
    assert (await house.http.get("/v1/inbox", headers=one)).status_code == 401
    assert (await house.http.get("/v1/inbox", headers=other)).status_code == 200


async def test_an_agencys_access_can_be_taken_back_as_a_whole_and_given_anew(house: House) -> None:
    house.upstreams.put("notifier", "GET", "/v1/inbox", {"items": [], "next": None})
    old = house.headers()
    taken = await house.http.post(
        "/v1/tokens/revocations",
        json={"agency": "internal-affairs-kz-75"},
        headers=house.headers("registrar"),
    )
    assert taken.status_code == 204
    assert (await house.http.get("/v1/inbox", headers=old)).status_code == 401
    house.now.move(timedelta(seconds=1))
    assert (await house.http.get("/v1/inbox", headers=house.headers())).status_code == 200


@pytest.mark.parametrize("role", ["agency", "operator", "auditor"])
async def test_only_a_registrar_makes_and_takes(house: House, role: str) -> None:
    for path, body in (
        ("/v1/clients", {"role": "operator"}),
        ("/v1/tokens", {"role": "operator"}),
        ("/v1/tokens/revocations", {"jti": str(POLICE)}),
        ("/v1/console-codes", {"role": "operator"}),
    ):
        assert (await house.http.post(path, json=body, headers=house.headers(role))).status_code == 403
        assert (await house.http.post(path, json=body)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"agency": "x-1", "role": "operator"},
        {"role": "service"},
        {"role": "agency"},
        {"agency": "a/../b"},
        {"role": "operator", "person": ""},
        {"role": "operator", "person": "a/../b"},
        {"role": "operator", "person": "Әлия"},
        {"role": "operator", "person": "900101300123"},
    ],
)
async def test_a_token_is_for_one_agency_or_one_office_role(house: House, body: dict[str, str]) -> None:
    answer = await house.http.post("/v1/tokens", json=body, headers=house.headers("registrar"))
    assert answer.status_code == 422
    assert "a/../b" not in answer.text


async def test_an_agency_nobody_registered_gets_no_token(house: House) -> None:
    answer = await house.http.post(
        "/v1/tokens", json={"agency": "no-such"}, headers=house.headers("registrar")
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/agency"


async def test_the_published_key_verifies_our_tokens(house: House) -> None:
    keys = (await house.http.get("/oauth/jwks")).json()["keys"]
    assert [key["alg"] for key in keys] == ["Ed25519"]
    assert not {"d", "k"} & keys[0].keys()
    decoded = jwt.decode(house.token(), OKPKey.import_key(keys[0]), ["Ed25519"])
    assert decoded.claims["iss"] == BASE


FORGERIES = (
    "alg_none",
    "hs256_with_public_key",
    "other_key",
    "rsa",
    "no_exp",
    "no_jti",
    "no_client",
    "wrong_aud",
    "wrong_iss",
    "wrong_typ",
    "expired",
    "from_the_future",
    "not_yet",
    "unknown_kid",
    "kid_path",
    "jwk_in_header",
    "truncated",
    "oversized",
    "role_service",
    "exp_text",
    "exp_nan",
    "exp_huge",
    "array",
    "garbage",
)


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_or_broken_token_gets_the_same_401(house: House, forgery: str) -> None:
    house.upstreams.put("notifier", "GET", "/v1/inbox", {"items": [], "next": None})
    token = _forge(house, forgery)
    answer = await house.http.get("/v1/inbox", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401, forgery
    assert answer.json()["type"] == "https://dabyl.kz/problems/token-invalid"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not house.upstreams.heard


def _forge(house: House, forgery: str) -> str:
    issuer = house.desk.issuer()
    now = int(house.now().timestamp())
    header: dict[str, Any] = {"alg": "Ed25519", "typ": "at+jwt", "kid": issuer.kid}
    claims: dict[str, Any] = {
        "iss": issuer.url,
        "aud": issuer.audience,
        "sub": "x",
        "client_id": "x",
        "jti": "j",
        "iat": now,
        "exp": now + 600,
        "role": "agency",
        "agency": str(POLICE),
        "bodies": ["internal_affairs"],
        "territory": "KZ-75",
    }
    key: Any = issuer._key
    public_x = issuer.jwk["x"]
    stranger = OKPKey.import_key(Ed25519PrivateKey.generate())
    changes: dict[str, dict[str, Any]] = {
        "wrong_aud": {"aud": "elsewhere"},
        "wrong_iss": {"iss": "http://evil.test"},
        "expired": {"exp": now - 1},
        "from_the_future": {"iat": now + 600},
        "not_yet": {"nbf": now + 600},
        "role_service": {"role": "service"},
        "exp_text": {"exp": "tomorrow"},
        "exp_huge": {"exp": 10**40},
    }
    claims |= changes.get(forgery, {})
    for name in ("exp", "jti"):
        if forgery == f"no_{name}":
            del claims[name]
    if forgery == "no_client":
        del claims["client_id"]
    header |= {
        "wrong_typ": {"typ": "JWT"},
        "unknown_kid": {"kid": "nobody"},
        "kid_path": {"kid": "../../etc/passwd"},
    }.get(forgery, {})
    if forgery == "jwk_in_header":
        header["jwk"] = dict(stranger.as_dict(private=False))
    if forgery in ("other_key", "jwk_in_header"):
        key = stranger
    if forgery == "rsa":
        header["alg"], key = "RS256", RSAKey.generate_key(2048)
    if forgery == "hs256_with_public_key":
        header["alg"], key = "HS256", OctKey.import_key((public_x * 2).encode())
    if forgery in ("alg_none", "exp_nan", "array", "garbage"):
        return _raw(forgery, header, claims)
    token = jwt.encode(header, claims, key, [header["alg"]])
    if forgery == "truncated":
        return token[:-10]
    return token + "A" * 9000 if forgery == "oversized" else token


def _raw(forgery: str, header: dict[str, Any], claims: dict[str, Any]) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    if forgery == "garbage":
        return "%00..=.!"
    if forgery == "array":
        return f"{part([1])}.{part([2])}.AAAA"
    if forgery == "exp_nan":
        return f"{part(header)}.{part(claims | {'exp': float('nan')})}.AAAA"
    return f"{part(header | {'alg': 'none'})}.{part(claims)}."
