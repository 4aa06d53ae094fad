"""The registry, asked for everything it says now when our copy has to be rebuilt."""

import json

import aiohttp

from common.contracts import Event
from common.envelope import Envelope, UnreadableEvent, decode
from common.identity import ServiceTokens
from notifier.errors import RegistryAway

SECONDS = 10.0


class RegistryClient:
    """Client of ``GET /internal/snapshot``."""

    def __init__(self, url: str, tokens: ServiceTokens) -> None:
        self._url = url
        self._tokens = tokens

    async def list_facts(self) -> list[Event]:
        """Every fact of the register as the event that said it: agencies before endpoints, in their order.

        Raises:
            RegistryAway: no answer, a refusal, or something that is no snapshot.
        """
        facts: list[Envelope] = []
        after: str | None = None
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS)) as client:
                while True:
                    async with client.get(
                        f"{self._url}/internal/snapshot",
                        params={"after": after} if after else {},
                        headers={"Authorization": f"Bearer {self._tokens.mint('registry')}"},
                        raise_for_status=True,
                    ) as answer:
                        page = await answer.json()
                    facts += [decode(json.dumps(item).encode()) for item in page["items"]]
                    after = page["next"]
                    if after is None:
                        facts.sort(key=lambda fact: (fact.event.type, fact.time))
                        return [fact.event for fact in facts]
        except (aiohttp.ClientError, TimeoutError, UnreadableEvent, ValueError, KeyError, TypeError) as error:
            raise RegistryAway from error
