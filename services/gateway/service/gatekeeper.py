"""Who may come in: a valid token that nobody took back."""

from dataclasses import replace

from common.db import Database
from gateway.domain.identity import Access, Role
from gateway.errors import RoleNotAllowed, TokenInvalid, TokenMissing
from gateway.service import clients
from gateway.service.standing import Standings
from gateway.service.tokens import Verifier


class Gatekeeper:
    """Asks each time: a revocation takes effect at the next request (trust S-05)."""

    def __init__(self, db: Database, verifier: Verifier, standings: Standings) -> None:
        self._db = db
        self._verifier = verifier
        self._standings = standings

    async def admit(self, authorization: str | None, *roles: Role) -> Access:
        """The caller behind an ``Authorization`` header; with ``roles``, only those.

        Raises:
            TokenMissing: no bearer token.
            TokenInvalid: wrong, expired, taken back, or of a retired agency; the answer is the same for all.
            RoleNotAllowed: another role.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise TokenMissing
        access = await self._verifier.verify(token)
        async with self._db.glancing() as session:
            await clients.refuse_revoked(session, access)
        bearer = await self._standings.narrow(access.bearer)
        if bearer is None:
            raise TokenInvalid
        if bearer is not access.bearer:
            access = replace(access, bearer=bearer)
        if roles and access.bearer.role not in roles:
            raise RoleNotAllowed
        return access

    async def read(self, token: str) -> Access:
        """What a token says, revoked or not; raises ``TokenInvalid``."""
        return await self._verifier.verify(token)
