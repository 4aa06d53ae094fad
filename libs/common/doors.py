"""The second way of an event: straight to the reader's inbox when the broker gives no confirm.

Architecture §2.3.
"""

import aiohttp

from common.envelope import CONTENT_TYPE
from common.identity import ServiceTokens
from common.outbox import Door
from common.settings import ServiceSettings

SECONDS = 10


class Doors:
    """Client side of ``POST /internal/events`` of every service."""

    def __init__(self, settings: ServiceSettings, tokens: ServiceTokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self._session: aiohttp.ClientSession | None = None

    def to(self, reader: str) -> Door:
        """The door of one reader."""

        async def bring(body: bytes) -> bool:
            if self._session is None:
                timeout = aiohttp.ClientTimeout(total=SECONDS, connect=2)
                self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
            headers = {"Authorization": f"Bearer {self._tokens.mint(reader)}", "Content-Type": CONTENT_TYPE}
            url = f"{self._settings.url_of(reader)}/internal/events"
            try:
                async with self._session.post(
                    url, data=body, headers=headers, allow_redirects=False
                ) as answer:
                    return answer.status == 204
            except (aiohttp.ClientError, TimeoutError, OSError):
                return False

        return bring

    async def close(self) -> None:
        """Give connections back."""
        if self._session is not None:
            await self._session.close()
