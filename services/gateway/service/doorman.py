"""Client id and secret, from a system or from a person at the console: one check, one brake."""

from collections import Counter
from uuid import UUID

from common.db import Database
from gateway import repository
from gateway.errors import DoorBusy, RateExceeded
from gateway.models import Client
from gateway.service.allowance import Failures
from gateway.service.secrets import SecretChecker

LONGEST_SECRET = 200
WRONG_PER_MINUTE = 20
"""Wrong secrets for one client from one source."""
UNKNOWN_PER_MINUTE = 120
"""Unknown clients from one source, all of them together."""
AT_ONCE = 8
"""Unproven secrets for one client from one source that are looked at or wait."""


class Doorman:
    """Slows guessing down without shutting anybody else out.

    Wrong secrets count for client *and* source together: a stranger elsewhere locks nobody out, nor does a
    neighbour who tries another client's id. Proven secrets pass in any case.
    """

    def __init__(self, db: Database, secrets: SecretChecker) -> None:
        self._db = db
        self._secrets = secrets
        self._wrong = Failures(WRONG_PER_MINUTE)
        self._unknown = Failures(UNKNOWN_PER_MINUTE)
        self._at_door: Counter[tuple[str, str]] = Counter()

    async def find_client(self, client_id: str, secret: str, *, source: str) -> Client | None:
        """The client with these credentials, unless it was revoked.

        Args:
            client_id: as it was given; need not be an id.
            secret: as it was given.
            source: token of where the call came from; kept in memory, for a minute.

        Raises:
            RateExceeded: too many wrong ones of this kind; a secret proven within the last hours passes.
            DoorBusy: too many are waiting.
        """
        client = await self._find(client_id)
        if client is not None and self._secrets.is_proven(client.secret_hash, secret):
            return client
        key = (source, str(client.id) if client is not None else "")
        if self._at_door[key] >= AT_ONCE:
            raise DoorBusy
        self._at_door[key] += 1
        try:
            return await self._check(client, secret, source)
        finally:
            self._at_door[key] -= 1
            if not self._at_door[key]:
                del self._at_door[key]

    async def _find(self, client_id: str) -> Client | None:
        try:
            wanted = UUID(client_id)
        except ValueError:
            return None
        async with self._db.reading() as session:
            client = await repository.find_client(session, wanted)
        return client if client is not None and client.revoked_at is None else None

    async def _check(self, client: Client | None, secret: str, source: str) -> Client | None:
        failures = self._unknown if client is None else self._wrong
        caller = source if client is None else f"{source}/{client.id}"
        if await failures.too_many(caller):
            raise RateExceeded
        async with self._secrets.turn(is_known=client is not None):
            # Asked again: those who waited in front may have proven it, or have used up what was left.
            if client is not None and self._secrets.is_proven(client.secret_hash, secret):
                return client
            if await failures.too_many(caller):
                raise RateExceeded
            stored = client.secret_hash if client is not None else None
            if len(secret) <= LONGEST_SECRET and await self._secrets.matches(stored, secret):
                return client
            await failures.count(caller)
        if client is not None and await self._unknown.too_many(source):
            raise RateExceeded  # the same as for an id that nobody has: guessing tells nothing
        return None
