"""Access tokens: issued as RFC 9068 ``at+jwt`` over Ed25519, and verified against the issuers we trust."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, OKPKey
from joserfc.util import urlsafe_b64decode

from common.ids import new_id
from common.timing import Now
from gateway.domain.identity import Access, Bearer, Role, is_person_code
from gateway.domain.ports import KeySource
from gateway.errors import TokenInvalid

TYPE = "at+jwt"
ALGORITHM = "Ed25519"
CLOCK_SKEW = timedelta(seconds=5)
LONGEST_TOKEN = 8192
REMEMBERED = 4096
RECHECK = timedelta(minutes=1)
"""So long a proven token is not proven again: a key its issuer withdraws stops counting after that."""


@dataclass(frozen=True)
class Issued:
    """A fresh token and what its holder needs to know."""

    token: str
    jti: str
    expires_at: datetime


class Issuer:
    """The embedded token issuer: one Ed25519 key, published as JWKS."""

    def __init__(self, key: Ed25519PrivateKey, *, url: str, audience: str, now: Now) -> None:
        self.url = url
        self.audience = audience
        self._now = now
        bare = OKPKey.import_key(key)
        self.kid = bare.thumbprint()
        self._key = bare
        public = dict(bare.as_dict(private=False))
        self.jwk: dict[str, Any] = public | {"kid": self.kid, "use": "sig", "alg": ALGORITHM}

    def issue(self, bearer: Bearer, *, client: str, lifetime: timedelta) -> Issued:
        """Sign a token for ``bearer``; valid from now for ``lifetime``."""
        now = self._now()
        expires_at = datetime.fromtimestamp(int((now + lifetime).timestamp()), UTC)
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": self.audience,
            "sub": bearer.subject,
            "client_id": client,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": str(new_id()),
            "role": bearer.role.value,
        }
        if bearer.agency is not None:
            claims |= {
                "agency": str(bearer.agency),
                "bodies": list(bearer.bodies),
                "territory": bearer.territory,
            }
        if bearer.person is not None:
            claims["person"] = bearer.person
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self.kid}
        return Issued(jwt.encode(header, claims, self._key, [ALGORITHM]), claims["jti"], expires_at)


@dataclass(frozen=True)
class Trusted:
    """An issuer whose tokens count, with the algorithms pinned: the token's header never chooses."""

    url: str
    audience: str
    algorithms: tuple[str, ...]
    keys: KeySource


class Verifier:
    """Checks access tokens. Whether one was revoked is not its business: that is asked anew each time."""

    def __init__(self, trusted: Sequence[Trusted], *, now: Now) -> None:
        self._trusted = {issuer.url: issuer for issuer in trusted}
        self._now = now
        self._known: OrderedDict[bytes, tuple[Access, datetime]] = OrderedDict()

    async def verify(self, token: str) -> Access:
        """The standing a token proves; raises ``TokenInvalid``, with one answer for every reason."""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise TokenInvalid
        digest, now = hashlib.sha256(token.encode("ascii")).digest(), self._now()
        access, proven_until = self._known.get(digest, (None, now))
        if access is None or proven_until <= now:
            self._known.pop(digest, None)
            access = await self._verify(token)
            self._known[digest] = (access, now + RECHECK)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        if access.expires_at <= now:
            raise TokenInvalid
        return access

    async def _verify(self, token: str) -> Access:
        try:
            header, unproven = _peek(token)
            issuer = self._trusted[str(unproven["iss"])]
            kid = header["kid"]
            if str(header.get("typ", "")).lower().removeprefix("application/") != TYPE:
                raise TokenInvalid
            if header["alg"] not in issuer.algorithms or not isinstance(kid, str):
                raise TokenInvalid
            jwk = await issuer.keys.find_jwk(kid)
            if jwk is None or jwk.get("use", "sig") != "sig":
                raise TokenInvalid
            claims = jwt.decode(token, _key_of(jwk), list(issuer.algorithms)).claims
            return _access_of(claims, issuer, self._now())
        except (
            JoseError,
            KeyError,
            ValueError,
            TypeError,
            ArithmeticError,
            OSError,
            RecursionError,
        ) as error:
            raise TokenInvalid from error


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, payload, _signature = token.split(".")
    header = json.loads(urlsafe_b64decode(head.encode()))
    claims = json.loads(urlsafe_b64decode(payload.encode()))
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenInvalid
    return header, claims


def _key_of(jwk: Mapping[str, Any]) -> Key:
    if jwk.get("kty") == "oct" or "d" in jwk or "k" in jwk:
        raise TokenInvalid  # a shared or private key in a public set proves nothing
    return JWKRegistry.import_key(dict(jwk))


def _instant(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenInvalid
    return datetime.fromtimestamp(value, UTC)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        raise TokenInvalid
    return value


def _person(claims: Mapping[str, Any]) -> str | None:
    """An issuer says it of people alone: whoever signs in as a client, has no such claim."""
    if "person" not in claims:
        return None
    person = _text(claims, "person")
    if not is_person_code(person):
        raise TokenInvalid
    return person


def _access_of(claims: Mapping[str, Any], issuer: Trusted, now: datetime) -> Access:
    """Every claim of RFC 9068 §2.2 is required; unknown further claims carry no right."""
    expires_at, issued_at = _instant(claims, "exp"), _instant(claims, "iat")
    audience = claims["aud"]
    audiences = audience if isinstance(audience, list) else [audience]
    if _text(claims, "iss") != issuer.url or issuer.audience not in audiences:
        raise TokenInvalid
    if expires_at <= now or issued_at > now + CLOCK_SKEW:
        raise TokenInvalid
    if "nbf" in claims and _instant(claims, "nbf") > now + CLOCK_SKEW:
        raise TokenInvalid
    role = Role(_text(claims, "role"))
    agency = UUID(_text(claims, "agency")) if role is Role.AGENCY else None
    bodies = claims.get("bodies", []) if agency else []
    territory = claims.get("territory") if agency else None
    if not isinstance(bodies, list) or not all(isinstance(body, str) for body in bodies):
        raise TokenInvalid
    if territory is not None and not isinstance(territory, str):
        raise TokenInvalid
    subject = _text(claims, "sub")
    return Access(
        bearer=Bearer(subject, role, agency, tuple(bodies), territory, person=_person(claims)),
        client=_text(claims, "client_id"),
        jti=_text(claims, "jti"),
        issued_at=issued_at,
        expires_at=expires_at,
    )
