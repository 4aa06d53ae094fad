"""What fails, and sending again: notifier's API for operators."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from gateway.adapters.reading import Question, ask, parse
from gateway.domain.failure import Count, FailingEndpoint, FailureGroup, ProposedRedrive, RedriveRun
from gateway.domain.identity import Bearer
from gateway.domain.ports import Services

_GROUPS = TypeAdapter(list[FailureGroup])
_ENDPOINTS = TypeAdapter(list[FailingEndpoint])
_COUNT = TypeAdapter(Count)
_PROPOSED = TypeAdapter(list[ProposedRedrive])
_RUNS = TypeAdapter(list[RedriveRun])


class OperatorFailures:
    """What the page of failures reads and writes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list_failures(self, bearer: Bearer) -> list[FailureGroup]:
        """The most urgent and the most numerous first."""
        return parse(_GROUPS, (await self._get(bearer, "/v1/failures"))["items"], "notifier")

    async def list_failing_endpoints(self, bearer: Bearer) -> list[FailingEndpoint]:
        """Those that were first connected come first."""
        query = {"state": "failing", "limit": "100"}
        return parse(_ENDPOINTS, (await self._get(bearer, "/v1/endpoints/tests", query))["items"], "notifier")

    async def list_redrives(self, bearer: Bearer) -> tuple[list[ProposedRedrive], list[RedriveRun]]:
        """What waits for another operator, and the latest that began."""
        found = await self._get(bearer, "/v1/redrives")
        return parse(_PROPOSED, found["proposed"], "notifier"), parse(_RUNS, found["items"], "notifier")

    async def count(self, bearer: Bearer, group: FailureGroup) -> Count:
        """The dry run: nothing is sent."""
        found = await self._post(bearer, "/v1/redrives", {"filter": group.selection(), "dry_run": True})
        return parse(_COUNT, found, "notifier")

    async def propose(self, bearer: Bearer, group: FailureGroup, reason: str) -> None:
        """Put it before another operator; the same words again are the same proposal."""
        await self._post(bearer, "/v1/redrives", {"filter": group.selection(), "reason": reason})

    async def confirm(self, bearer: Bearer, proposal: UUID) -> None:
        """Let another operator's redrive begin; once more it is the same one."""
        await self._post(bearer, "/v1/redrives", {"confirms": str(proposal)})

    async def redrive(self, bearer: Bearer, delivery: UUID, generation: int) -> None:
        """Send one again; of any number of clicks on the same page one takes effect."""
        await self._post(
            bearer,
            f"/v1/deliveries/{delivery}/redrive",
            {"generation": generation},
            route="/v1/deliveries/{id}/redrive",
        )

    async def pause(self, bearer: Bearer, endpoint: UUID, *, paused: bool) -> None:
        """Push nothing there, or push again; a repeat changes nothing."""
        what = "pause" if paused else "resume"
        await self._post(bearer, f"/v1/endpoints/{endpoint}/{what}", {}, route=f"/v1/endpoints/{{id}}/{what}")

    async def _get(self, bearer: Bearer, path: str, query: Mapping[str, str] | None = None) -> Any:
        question = Question(target=path, route=path, query=query or {}, is_traced=False)
        return await ask(self._services, "notifier", bearer, question)

    async def _post(
        self, bearer: Bearer, target: str, body: Mapping[str, Any], *, route: str | None = None
    ) -> Any:
        question = Question(target=target, route=route or target, method="POST", body=dict(body))
        return await ask(self._services, "notifier", bearer, question)
