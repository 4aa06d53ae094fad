"""The public OpenAPI document: fetched from the services, merged, kept for a minute."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, get_args

from common.telemetry import log
from common.timing import Now
from gateway.domain.document import merge
from gateway.domain.ports import Call, Services
from gateway.domain.routes import Upstream
from gateway.errors import ServiceUnreachable

KEEP = timedelta(minutes=1)


class PublicDocument:
    """Asks every service for its own description; one that is away is left out and asked again."""

    def __init__(self, services: Services, *, server: str, now: Now) -> None:
        self.own: Callable[[], dict[str, Any]] = dict  # the app's own, known once the app is made
        self._services = services
        self._server = server
        self._now = now
        self._kept: tuple[datetime, dict[str, Any]] | None = None

    async def __call__(self) -> dict[str, Any]:
        """The merged document."""
        if self._kept is not None and self._kept[0] > self._now():
            return self._kept[1]
        others: dict[str, Mapping[str, Any]] = {}
        services: tuple[Upstream, ...] = get_args(Upstream)
        for service in services:
            found = await self._fetch(service)
            if found is not None:
                others[service] = found
        document = merge(self.own(), others, server=self._server)
        if len(others) == len(services):
            self._kept = (self._now() + KEEP, document)
        return document

    async def _fetch(self, service: Upstream) -> Mapping[str, Any] | None:
        call = Call("GET", "/openapi.json", timeout=5.0, route="/openapi.json", is_traced=False)
        try:
            answer = await self._services.forward(service, call, None)
            body = answer.body
            if answer.stream is not None:
                body = b"".join([chunk async for chunk in answer.stream])
            found = json.loads(body) if answer.status == 200 else None
        except (ServiceUnreachable, ValueError) as error:
            log.warning("description_unreachable", upstream=service, error_type=type(error).__name__)
            return None
        return found if isinstance(found, dict) else None
