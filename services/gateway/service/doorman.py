"""Client id and secret, from a system or from a person at the console: one check, one brake."""

from contextlib import suppress
from uuid import UUID

from common.db import Database
from gateway import repository
from gateway.errors import RateExceeded
from gateway.models import Client
from gateway.service.allowance import Failures
from gateway.service.secrets import SecretChecker

LONGEST_SECRET = 200


class Doorman:
    """Slows strangers down per address; addresses stay in memory, for a minute."""

    def __init__(self, db: Database, secrets: SecretChecker, failures: Failures) -> None:
        self._db = db
        self._secrets = secrets
        self._failures = failures

    async def find_client(self, client_id: str, secret: str, *, address: str) -> Client | None:
        """The client with these credentials, unless it was revoked.

        Raises:
            RateExceeded: too many wrong secrets from this address; a secret proven within the last
                minute passes all the same.
        """
        client: Client | None = None
        with suppress(ValueError):
            async with self._db.reading() as session:
                client = await repository.find_client(session, UUID(client_id))
        stored = client.secret_hash if client is not None and client.revoked_at is None else None
        if client is not None and stored is not None and self._secrets.is_proven(stored, secret):
            return client
        if await self._failures.too_many(address):
            raise RateExceeded
        if len(secret) <= LONGEST_SECRET and await self._secrets.matches(stored, secret):
            return client
        await self._failures.count(address)
        return None
