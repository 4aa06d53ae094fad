"""Who is calling, as one service tells another: short-lived signed tokens, verified without a call.

The gateway checks the outside token (and its revocation) and mints one of these per service; a service
minting for itself speaks as ``service``. Only the gateway may speak for anybody else.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from common.errors import Forbidden, Unauthenticated
from common.ids import new_id
from common.keys import KeyMissing, KeyRing
from common.timing import Now

ALGORITHM = "Ed25519"
LIFETIME = timedelta(seconds=60)
LEEWAY_SECONDS = 5
SERVICES = ("gateway", "intake", "notifier", "casework", "registry")
_REMEMBERED = 4096


class CallerUnknown(Unauthenticated):
    """Credentials are missing, expired, or not for this service."""


class RoleNotAllowed(Forbidden):
    """This role may not do this."""


@dataclass(frozen=True)
class Principal:
    """The caller.

    Attributes:
        subject: opaque id of the client or session; the service's name for ``service``.
        role: ``agency``, ``operator``, ``registrar``, ``auditor`` or ``service``.
        agency: registry id, for ``agency``.
        bodies: role codes of law/roles.md that the agency holds.
        territory: ISO 3166-2 code, ``KZ`` for national bodies.
        person: opaque code of the one human being behind the call; ``None`` for a system, and for
            credentials that several people may share. Only a person is one of two persons.
    """

    subject: str
    role: str
    agency: UUID | None = None
    bodies: tuple[str, ...] = ()
    territory: str | None = None
    person: str | None = None

    def holds(self, *roles: str) -> bool:
        """Whether the agency holds one of these role codes."""
        return any(role in self.bodies for role in roles)


def signing_jwk(key: Ed25519PrivateKey) -> OKPKey:
    """The private key as joserfc takes it."""
    return OKPKey.import_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def verifying_jwk(key: Ed25519PublicKey) -> OKPKey:
    """The public key as joserfc takes it."""
    return OKPKey.import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


class ServiceTokens:
    """Mints and verifies internal tokens for one service."""

    def __init__(self, keys: KeyRing, service: str, now: Now) -> None:
        self.service = service
        self._keys = keys
        self._now = now
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(now().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True},
            aud={"essential": True, "value": service},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            jti={"essential": True},
        )
        self._verified: dict[str, tuple[float, Principal]] = {}
        self._own: dict[str, tuple[float, str]] = {}

    def mint(self, audience: str, principal: Principal | None = None) -> str:
        """A token for one service, good for ``LIFETIME``; as ourselves unless a principal is given."""
        if principal is not None:
            return self._mint(audience, principal)
        expires, token = self._own.get(audience, (0.0, ""))
        if expires < self._now().timestamp():
            token = self._mint(audience, Principal(self.service, "service"))
            self._own[audience] = (self._now().timestamp() + LIFETIME.total_seconds() / 2, token)
        return token

    def verify(self, token: str) -> Principal:
        """Who speaks.

        Raises:
            CallerUnknown: bad signature, wrong audience, expired, or a service speaking for others.
        """
        expires, principal = self._verified.get(token, (0.0, None))
        if principal is not None and expires > self._now().timestamp():
            return principal
        expires, principal = self._check(token)
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[token] = (expires, principal)
        return principal

    def _mint(self, audience: str, principal: Principal) -> str:
        now = self._now()
        claims: dict[str, Any] = {
            "iss": self.service,
            "aud": audience,
            "sub": principal.subject,
            "jti": str(new_id()),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "role": principal.role,
            "agency": str(principal.agency) if principal.agency else None,
            "bodies": list(principal.bodies),
            "territory": principal.territory,
            "person": principal.person,
        }
        key = signing_jwk(self._keys.signing(self.service))
        return jwt.encode(
            {"alg": ALGORITHM, "typ": "at+jwt", "kid": self.service}, claims, key, algorithms=[ALGORITHM]
        )

    def _check(self, token: str) -> tuple[float, Principal]:
        try:
            decoded = jwt.decode(token, self._key_of_issuer, algorithms=[ALGORITHM])
            self._claims.validate(decoded.claims)
            claims = decoded.claims
            issuer = decoded.header["kid"]
            speaks_for_others = claims["role"] != "service"
            if (
                decoded.header.get("typ") != "at+jwt"
                or not isinstance(claims["role"], str)
                or claims["iss"] != issuer
                or (speaks_for_others and issuer != "gateway")
                or (not speaks_for_others and claims["sub"] != issuer)
            ):
                raise CallerUnknown
            agency = claims.get("agency")
            return float(claims["exp"]), Principal(
                subject=str(claims["sub"]),
                role=str(claims["role"]),
                agency=UUID(agency) if agency else None,
                bodies=tuple(claims.get("bodies") or ()),
                territory=claims.get("territory"),
                person=claims.get("person"),
            )
        except (JoseError, KeyMissing, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CallerUnknown from error

    def _key_of_issuer(self, compact: Any) -> OKPKey:
        issuer = str(compact.headers().get("kid"))
        if issuer not in SERVICES:
            raise CallerUnknown
        return verifying_jwk(self._keys.verifying(issuer))


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="OAuth 2 access token")


# A plain function would be run in a thread for every request: `async` keeps it on the loop.
async def _caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    if credentials is None:
        raise CallerUnknown
    tokens: ServiceTokens = request.app.state.tokens
    return tokens.verify(credentials.credentials)


Caller = Annotated[Principal, Depends(_caller)]
"""The caller of this request; 401 without a valid token."""


def require(*roles: str) -> Callable[[Principal], Awaitable[Principal]]:
    """Let only these roles pass: ``Annotated[Principal, Depends(require("operator"))]``."""

    async def check(caller: Caller) -> Principal:
        if caller.role not in roles:
            raise RoleNotAllowed
        return caller

    return check
