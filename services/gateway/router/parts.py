"""What ``app`` hands to this door."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from common.db import Database
from common.timing import Now
from gateway.domain.identity import Access, Role
from gateway.domain.ports import AgencyDirectory, Services
from gateway.service.allowance import Allowances
from gateway.service.doorman import Doorman
from gateway.service.gatekeeper import Gatekeeper
from gateway.service.secrets import SecretChecker
from gateway.service.standing import Standings
from gateway.service.tokens import Issuer
from gateway.service.waits import Waits


@dataclass(frozen=True)
class Desk:
    """The parts of the API door."""

    db: Database
    now: Now
    issuer: Callable[[], Issuer]
    gatekeeper: Gatekeeper
    secrets: SecretChecker
    services: Services
    directory: AgencyDirectory
    allowances: Allowances
    waits: Waits
    doorman: Doorman
    standings: Standings
    document: Callable[[], Awaitable[dict[str, Any]]]
    public_url: str
    token_lifetime: timedelta
    security_contact: str


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]

_scheme = HTTPBearer(auto_error=False, bearerFormat="JWT", description="OAuth 2 access token (RFC 9068)")


async def _registrar(
    request: Request,
    desk: AtDesk,
    _declared: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)],
) -> Access:
    return await desk.gatekeeper.admit(request.headers.get("authorization"), Role.REGISTRAR)


Registrar = Annotated[Access, Depends(_registrar)]
"""A registrar's valid token; 401 or 403 otherwise."""
