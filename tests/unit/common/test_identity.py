"""Internal tokens: who may speak for whom, and what is not a token."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from common.identity import (
    LEEWAY_SECONDS,
    LIFETIME,
    SERVICES,
    CallerUnknown,
    Principal,
    ServiceTokens,
    signing_jwk,
)
from common.keys import KeyRing
from common.testing import FrozenNow

AGENCY = Principal("client-1", "agency", uuid4(), ("school", "college"), "KZ-75")


@pytest.fixture
def intake(keys: KeyRing, now: FrozenNow) -> ServiceTokens:
    return ServiceTokens(keys, "intake", now)


@pytest.fixture
def gateway(keys: KeyRing, now: FrozenNow) -> ServiceTokens:
    return ServiceTokens(keys, "gateway", now)


def forged(keys: KeyRing, now: FrozenNow, signer: str = "gateway", header: Any = None, **claims: Any) -> str:
    """A token signed with a real key, otherwise as told."""
    at = int(now().timestamp())
    body = {
        "iss": signer, "aud": "intake", "sub": "client-1", "jti": "1", "role": "agency",
        "iat": at, "exp": at + 60,
    } | claims  # fmt: skip
    head = {"alg": "Ed25519", "typ": "at+jwt", "kid": signer} | (header or {})
    return jwt.encode(
        {key: value for key, value in head.items() if value is not None},
        {key: value for key, value in body.items() if value is not None},
        signing_jwk(keys.signing(signer)),
        algorithms=["Ed25519"],
    )


def test_the_gateway_speaks_for_a_caller(gateway: ServiceTokens, intake: ServiceTokens) -> None:
    assert intake.verify(gateway.mint("intake", AGENCY)) == AGENCY
    assert AGENCY.holds("college", "police")
    assert not AGENCY.holds("police")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_speaks_for_itself(
    keys: KeyRing, now: FrozenNow, intake: ServiceTokens, service: str
) -> None:
    token = ServiceTokens(keys, service, now).mint("intake")
    assert intake.verify(token) == Principal(service, "service")


@pytest.mark.parametrize("service", [one for one in SERVICES if one != "gateway"])
@pytest.mark.parametrize("role", ["agency", "operator", "registrar", "auditor"])
def test_no_other_service_speaks_for_anybody(
    keys: KeyRing, now: FrozenNow, intake: ServiceTokens, service: str, role: str
) -> None:
    token = ServiceTokens(keys, service, now).mint("intake", Principal("client-1", role))
    with pytest.raises(CallerUnknown):
        intake.verify(token)


def test_no_service_speaks_as_another(keys: KeyRing, now: FrozenNow, intake: ServiceTokens) -> None:
    for claims in ({"sub": "registry"}, {"iss": "registry", "sub": "registry"}):
        with pytest.raises(CallerUnknown):
            intake.verify(forged(keys, now, "notifier", role="service", **claims))


def test_a_token_is_for_one_service_only(keys: KeyRing, now: FrozenNow, gateway: ServiceTokens) -> None:
    notifier = ServiceTokens(keys, "notifier", now)
    with pytest.raises(CallerUnknown):
        notifier.verify(gateway.mint("intake", AGENCY))


def test_a_token_ends_also_when_it_was_seen_before(
    gateway: ServiceTokens, intake: ServiceTokens, now: FrozenNow
) -> None:
    token = gateway.mint("intake", AGENCY)
    intake.verify(token)
    now.move(LIFETIME - timedelta(seconds=1))
    intake.verify(token)
    now.move(timedelta(seconds=LEEWAY_SECONDS + 2))
    with pytest.raises(CallerUnknown):
        intake.verify(token)


def test_our_own_token_is_made_anew_before_it_ends(
    keys: KeyRing, now: FrozenNow, intake: ServiceTokens
) -> None:
    tokens = ServiceTokens(keys, "registry", now)
    first = tokens.mint("intake")
    assert tokens.mint("intake") == first
    for _ in range(10):
        now.move(timedelta(seconds=20))
        intake.verify(tokens.mint("intake"))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "jti", "iat", "exp", "role"])
def test_every_claim_is_needed(keys: KeyRing, now: FrozenNow, intake: ServiceTokens, claim: str) -> None:
    intake.verify(forged(keys, now))
    with pytest.raises(CallerUnknown):
        missing: dict[str, Any] = {claim: None}
        intake.verify(forged(keys, now, **missing))


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": 9_999_999_999, "exp": 9_999_999_999}, {"exp": 1}, {"aud": ["notifier"]}, {"aud": "intake2"},
        {"iss": "notifier"}, {"agency": "not-a-uuid"}, {"exp": "soon"}, {"role": ["agency"]}, {"bodies": 7},
    ],
    ids=str,
)  # fmt: skip
def test_claims_that_do_not_fit_are_refused(
    keys: KeyRing, now: FrozenNow, intake: ServiceTokens, claims: dict[str, Any]
) -> None:
    with pytest.raises(CallerUnknown):
        intake.verify(forged(keys, now, **claims))


@pytest.mark.parametrize("typ", [None, "JWT", "at+JWT2", "dpop+jwt"])
def test_another_kind_of_token_is_refused(
    keys: KeyRing, now: FrozenNow, intake: ServiceTokens, typ: str | None
) -> None:
    with pytest.raises(CallerUnknown):
        intake.verify(forged(keys, now, header={"typ": typ}))


@pytest.mark.parametrize("kid", [None, "issuer", "nobody", "../gateway", "", "registry"])
def test_another_key_id_is_refused(
    keys: KeyRing, now: FrozenNow, intake: ServiceTokens, kid: str | None
) -> None:
    with pytest.raises(CallerUnknown):
        intake.verify(forged(keys, now, header={"kid": kid}))


def test_a_key_of_our_own_making_is_refused(tmp_path: Path, now: FrozenNow, intake: ServiceTokens) -> None:
    stranger = ServiceTokens(KeyRing.create(tmp_path), "gateway", now)
    with pytest.raises(CallerUnknown):
        intake.verify(stranger.mint("intake", AGENCY))


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_alg_none_and_a_public_key_used_as_a_secret_are_refused(
    keys: KeyRing, gateway: ServiceTokens, intake: ServiceTokens
) -> None:
    good = gateway.mint("intake", AGENCY)
    claims = good.split(".")[1]
    for alg in ("none", "None", "NONE"):
        for signature in ("", good.split(".")[2]):
            with pytest.raises(CallerUnknown):
                intake.verify(
                    f"{_part({'alg': alg, 'typ': 'at+jwt', 'kid': 'gateway'})}.{claims}.{signature}"
                )
    public = (keys.folder / "gateway.signing.pub").read_bytes()
    payload = json.loads(base64.urlsafe_b64decode(claims + "=="))
    confused = jwt.encode(
        {"alg": "HS256", "typ": "at+jwt", "kid": "gateway"}, payload,
        OctKey.import_key(base64.b64encode(public)), algorithms=["HS256"],
    )  # fmt: skip
    with pytest.raises(CallerUnknown):
        intake.verify(confused)


def decoded(token: str) -> list[bytes]:
    head, claims, signature = token.split(".")
    return [head.encode(), claims.encode(), base64.urlsafe_b64decode(signature + "==")]


@given(position=st.integers(0, 10_000), bit=st.integers(0, 5))
def test_a_token_with_one_changed_character_is_refused(position: int, bit: int) -> None:
    token, intake = _TAMPERED
    at = position % len(token)
    if token[at] == ".":
        return
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = letters[letters.index(token[at]) ^ (1 << bit)]
    changed = token[:at] + other + token[at + 1 :]
    if decoded(changed) == decoded(token):
        return  # only padding bits differ
    with pytest.raises(CallerUnknown):
        intake.verify(changed)


@given(st.text(max_size=80) | st.lists(st.text(max_size=20), min_size=3, max_size=3).map(".".join))
def test_what_is_not_a_token_is_refused(token: str) -> None:
    with pytest.raises(CallerUnknown):
        _TAMPERED[1].verify(token)


def _tampered(folder: Path) -> tuple[str, ServiceTokens]:
    ring, now = KeyRing.create(folder), FrozenNow()
    return ServiceTokens(ring, "gateway", now).mint("intake", AGENCY), ServiceTokens(ring, "intake", now)


_TAMPERED: tuple[str, ServiceTokens]


@pytest.fixture(scope="module", autouse=True)
def _prepare(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _TAMPERED  # noqa: PLW0603  # hypothesis and function fixtures do not mix
    _TAMPERED = _tampered(tmp_path_factory.mktemp("ring"))
