"""Keys of an external OIDC issuer: fetched from its JWKS address, again for an unknown ``kid``."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from common.telemetry import log
from common.timing import Now
from gateway.errors import ServiceUnreachable

FRESH = timedelta(minutes=10)
"""After so long the set is fetched again, so that a withdrawn key stops counting."""

KEEP = timedelta(hours=1)
"""So long the last set serves while the issuer cannot be reached."""

PAUSE = timedelta(seconds=10)
"""Between two fetches at least: strangers choose the ``kid`` and must not make us call out each time."""

LARGEST = 256 * 1024


class RemoteKeys:
    """A key source that follows the issuer's rotation."""

    def __init__(self, url: str, *, now: Now) -> None:
        self._url = url
        self._now = now
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def find_jwk(self, kid: str) -> Mapping[str, Any] | None:
        """The public JWK with this ``kid``; raises ``ServiceUnreachable`` when no set could be had at all."""
        if kid not in self._keys or self._age() > FRESH:
            async with self._lock:
                if (kid not in self._keys or self._age() > FRESH) and self._may_try():
                    await self._fetch()
        if self._age() > KEEP:
            raise ServiceUnreachable
        return self._keys.get(kid)

    def _age(self) -> timedelta:
        return self._now() - self._fetched_at if self._fetched_at else timedelta.max

    def _may_try(self) -> bool:
        return self._tried_at is None or self._now() - self._tried_at >= PAUSE

    async def _fetch(self) -> None:
        self._tried_at = self._now()
        try:
            timeout = aiohttp.ClientTimeout(total=5)
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(
                    self._url, allow_redirects=False, headers={"Accept": "application/json"}
                ) as answer,
            ):
                answer.raise_for_status()
                found = json.loads(await answer.content.read(LARGEST))
            keys: dict[str, Mapping[str, Any]] = {
                str(key["kid"]): key
                for key in found["keys"]
                if isinstance(key, dict) and "kid" in key and key.get("kty") != "oct"
            }
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            log.warning("issuer_keys_unreachable", error_type=type(error).__name__)
            return
        self._keys, self._fetched_at = keys, self._now()
