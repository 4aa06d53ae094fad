"""The service that sends: told at once when an endpoint must not be used any more (architecture §7)."""

from uuid import UUID

import aiohttp

from common.identity import ServiceTokens
from registry.errors import RevocationNotPossible

SECONDS = 5


class Sender:
    """Client of notifier's internal door for revocations."""

    def __init__(self, url: str, tokens: ServiceTokens) -> None:
        self._url = url
        self._tokens = tokens
        self._session: aiohttp.ClientSession | None = None

    async def stop_sending(self, endpoint_id: UUID) -> None:
        """Return once nothing more goes to this endpoint.

        Raises:
            RevocationNotPossible: notifier is away, or did not confirm.
        """
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=SECONDS, connect=2)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        headers = {"Authorization": f"Bearer {self._tokens.mint('notifier')}"}
        url = f"{self._url}/internal/endpoints/{endpoint_id}/revocation"
        try:
            async with self._session.post(url, headers=headers, allow_redirects=False) as answer:
                confirmed = answer.status in (200, 204)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RevocationNotPossible from error
        if not confirmed:
            raise RevocationNotPossible

    async def close(self) -> None:
        """Give connections back."""
        if self._session is not None:
            await self._session.close()
