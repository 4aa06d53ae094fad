"""The second way of an event: straight to the reader's inbox when the broker gives no confirm.

Architecture §2.3.
"""

import json
from uuid import UUID

import aiohttp

from common.envelope import CONTENT_TYPE
from common.identity import ServiceTokens
from common.outbox import Ask, Door
from common.settings import ServiceSettings

SECONDS = 10
CONNECTIONS = 100


class Doors:
    """Client side of ``POST /internal/events`` and ``/internal/events/missing`` of every service."""

    def __init__(self, settings: ServiceSettings, tokens: ServiceTokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self._session: aiohttp.ClientSession | None = None

    def to(self, reader: str) -> Door:
        """The door of one reader."""

        async def bring(body: bytes) -> bool:
            status, _ = await self._post(reader, "/internal/events", body, CONTENT_TYPE)
            return status == 204

        return bring

    def asking(self, reader: str) -> Ask:
        """The question which of some events one reader never took."""

        async def ask(ids: list[UUID]) -> list[UUID] | None:
            body = json.dumps({"ids": [str(one) for one in ids]}).encode()
            status, answer = await self._post(reader, "/internal/events/missing", body, "application/json")
            if status != 200:
                return None
            try:
                return [UUID(one) for one in json.loads(answer)["missing"]]
            except (ValueError, KeyError, TypeError):
                return None

        return ask

    async def _post(self, reader: str, path: str, body: bytes, content_type: str) -> tuple[int | None, bytes]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=SECONDS, connect=2)
            # Each reader has its own: one that hangs must not keep the others' events out.
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        headers = {"Authorization": f"Bearer {self._tokens.mint(reader)}", "Content-Type": content_type}
        url = f"{self._settings.url_of(reader)}{path}"
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None, b""

    async def close(self) -> None:
        """Give connections back."""
        if self._session is not None:
            await self._session.close()
