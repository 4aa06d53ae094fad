"""What an agency does with its alerts and duties: notifier's API, for its own reports intake's."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from gateway.adapters.reading import Question, ask, parse
from gateway.domain.affair import Act, Affair, Conflict, DutyAct, Organisation, Told
from gateway.domain.identity import Bearer
from gateway.domain.inbox import OwedDuty, in_working_order
from gateway.domain.ports import Services
from gateway.domain.routes import Upstream

_AFFAIR = TypeAdapter(Affair)
_AFFAIRS = TypeAdapter(list[Affair])
_DUTIES = TypeAdapter(list[OwedDuty])
_CONFLICTS = TypeAdapter(list[Conflict])
_TOLD = TypeAdapter(list[Told])
_ORGANISATIONS = TypeAdapter(list[Organisation])

PAGE = "50"
MOST_PAGES = 5
"""Pages of the register that are looked through for a name: a region's bodies fit."""

_DOORS: Final[Mapping[Act, tuple[Upstream, str]]] = {
    Act.RELEASE: ("notifier", "release"),
    Act.CORRECTION: ("intake", "corrections"),
    Act.WITHDRAWAL: ("intake", "withdrawal"),
    Act.RATING: ("notifier", "rating"),
    Act.UNFOUNDED: ("notifier", "unfounded"),
    Act.CONFLICT: ("notifier", "conflicts"),
    Act.CONFLICT_LOWERED: ("notifier", "conflicts"),
    Act.PARENT_LOCK: ("notifier", "parent-lock"),
    Act.LOCK_LIFTED: ("notifier", "parent-lock"),
}


class AgencyAffairs:
    """What the agencies' pages of duties read and write."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list_affairs(self, bearer: Bearer, *, cursor: str | None) -> tuple[list[Affair], str | None]:
        """Alerts that this agency knows, newest first, and the cursor of the next page."""
        query = {"limit": PAGE} | ({"after": cursor} if cursor else {})
        found = await self._get(bearer, "/v1/alerts", "/v1/alerts", query)
        return parse(_AFFAIRS, found["items"], "notifier"), found["next"]

    async def get_affair(self, bearer: Bearer, alert_id: UUID) -> Affair:
        """One of them; ``PageUnknown`` when there is none for this agency."""
        found = await self._get(bearer, f"/v1/alerts/{alert_id}", "/v1/alerts/{id}")
        return parse(_AFFAIR, found, "notifier")

    async def list_duties(self, bearer: Bearer, alert_id: UUID) -> list[OwedDuty]:
        """This agency's own duties, the soonest due first."""
        found = await self._get(bearer, f"/v1/alerts/{alert_id}/obligations", "/v1/alerts/{id}/obligations")
        duties = parse(_DUTIES, found["items"], "notifier")
        return in_working_order(duty for duty in duties if duty.obliged_agency == bearer.agency)

    async def list_conflicts(self, bearer: Bearer, alert_id: UUID) -> list[Conflict]:
        """Who is shut out now; ``PageUnknown`` for those whose business it is not."""
        found = await self._get(bearer, f"/v1/alerts/{alert_id}/conflicts", "/v1/alerts/{id}/conflicts")
        every = parse(_CONFLICTS, found["items"], "notifier")
        return [one for one in every if one.state == "in_force"]

    async def list_told(self, bearer: Bearer, alert_id: UUID) -> list[Told]:
        """Bodies of whose notices this agency knows."""
        found = await self._get(bearer, f"/v1/alerts/{alert_id}/deliveries", "/v1/alerts/{id}/deliveries")
        told = parse(_TOLD, [one for one in found["items"] if one.get("agency")], "notifier")
        return list({one.agency: one for one in reversed(told)}.values())

    async def find_organisations(self, bearer: Bearer, wanted: str) -> list[Organisation]:
        """Bodies of this agency's territory whose name or code holds these letters."""
        if bearer.territory is None:
            return []
        query = {"territory": bearer.territory, "limit": "200"}
        found: list[Organisation] = []
        for _ in range(MOST_PAGES):
            question = Question(
                target="/v1/agencies", route="/v1/agencies", query=dict(query), is_traced=False
            )
            page = await ask(self._services, "registry", bearer, question)
            named = [{**one, "names": one.get("name") or {}} for one in page["items"]]
            found = [*found, *_organisations(named)]
            if not page.get("next"):
                break
            query["after"] = page["next"]
        letters = wanted.casefold()
        return [
            one for one in found if letters in " ".join([one.code, *one.names.values()]).casefold()
        ]  # the search is ours: a school's name must not stand in an address

    async def act_on_alert(
        self, bearer: Bearer, alert_id: UUID, act: Act, body: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Do it. Every one of these doors answers a repeat with what stands already."""
        service, door = _DOORS[act]
        question = Question(
            target=f"/v1/alerts/{alert_id}/{door}",
            route=f"/v1/alerts/{{id}}/{door}",
            method="POST",
            body=dict(body),
        )
        return dict(await ask(self._services, service, bearer, question))

    async def act_on_duty(
        self, bearer: Bearer, duty_id: UUID, act: DutyAct, body: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Do it; a repeat changes nothing."""
        question = Question(
            target=f"/v1/obligations/{duty_id}/{act}",
            route=f"/v1/obligations/{{id}}/{act}",
            method="POST",
            body=dict(body),
        )
        return dict(await ask(self._services, "notifier", bearer, question))

    async def _get(
        self, bearer: Bearer, target: str, route: str, query: Mapping[str, str] | None = None
    ) -> Any:
        question = Question(target=target, route=route, query=query or {}, is_traced=False)
        return await ask(self._services, "notifier", bearer, question)


def _organisations(found: Any) -> list[Organisation]:
    return parse(_ORGANISATIONS, found, "registry")
