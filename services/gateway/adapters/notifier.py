"""Notifier's API: alerts and deliveries for operators, notices and answers for agencies."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from gateway.adapters.reading import Question, Shape, ask, parse
from gateway.domain.alarms import Alarm
from gateway.domain.fanout import AlertRow, Delivery, Receipt
from gateway.domain.identity import Bearer
from gateway.domain.inbox import Notice, OwedDuty, in_working_order
from gateway.domain.ports import Services
from gateway.errors import PageUnknown

_ALERT = TypeAdapter(AlertRow)
_ALERTS = TypeAdapter(list[AlertRow])
_ALARMS = TypeAdapter(list[Alarm])
_DELIVERIES = TypeAdapter(list[Delivery])
_NOTICE = TypeAdapter(Notice)
_DUTIES = TypeAdapter(list[OwedDuty])
_RECEIPT = TypeAdapter(Receipt)

PAGE = "50"
"""Rows of one page of a list."""


class NotifierDesk:
    """What the operators' pages read."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list_alerts(
        self, bearer: Bearer, *, cursor: str | None = None
    ) -> tuple[list[AlertRow], str | None]:
        """Newest alerts first, and the cursor of the next page."""
        query = {"limit": PAGE} | ({"after": cursor} if cursor else {})
        found = await self._get(bearer, "/v1/alerts", "/v1/alerts", query)
        return _parse(_ALERTS, found["items"]), found["next"]

    async def list_alarms(
        self, bearer: Bearer, *, state: str, cursor: str | None = None
    ) -> tuple[list[Alarm], str | None]:
        """Open or past alarms, and the cursor of the next page."""
        query = {"limit": PAGE, "state": state} | ({"after": cursor} if cursor else {})
        found = await self._get(bearer, "/v1/escalations", "/v1/escalations", query)
        return _parse(_ALARMS, found["items"]), found["next"]

    async def get_alert(self, bearer: Bearer, alert_id: UUID) -> AlertRow:
        """One alert by any id an operator may use."""
        return _parse(_ALERT, await self._get(bearer, f"/v1/alerts/{alert_id}", "/v1/alerts/{id}"))

    async def list_deliveries(self, bearer: Bearer, alert_id: UUID) -> list[Delivery]:
        """Every delivery of one alert."""
        found = await self._get(bearer, f"/v1/alerts/{alert_id}/deliveries", "/v1/alerts/{id}/deliveries")
        return _parse(_DELIVERIES, [_delivery(one) for one in found["items"]])

    async def list_duties(self, bearer: Bearer, alert_id: UUID) -> list[OwedDuty]:
        """Every duty of one alert, open ones first, the soonest due on top."""
        found = await self._get(bearer, f"/v1/alerts/{alert_id}/obligations", "/v1/alerts/{id}/obligations")
        duties = _parse(_DUTIES, found["items"])
        return in_working_order(duties)

    async def _get(
        self, bearer: Bearer, target: str, route: str, query: Mapping[str, str] | None = None
    ) -> Any:
        question = Question(target=target, route=route, query=query or {}, is_traced=False)
        return await ask(self._services, "notifier", bearer, question)


class NotifierInbox:
    """What the agencies' pages read and write; content comes from intake (``adapters.intake``)."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list_notices(self, bearer: Bearer) -> list[Notice]:
        """Notices for this agency. What waits is taken from the inbox first: that hands it over."""
        taking = Question(target="/v1/inbox", route="/v1/inbox", query={"limit": "200"}, is_traced=False)
        await ask(self._services, "notifier", bearer, taking)
        looking = Question(
            target="/v1/deliveries", route="/v1/deliveries", query={"limit": "200"}, is_traced=False
        )
        found = await ask(self._services, "notifier", bearer, looking)
        # The list also holds deliveries to others that carry a duty of ours; those have no notice for us.
        return [_notice(one) for one in found["items"] if one.get("content")]

    async def get_notice(self, bearer: Bearer, delivery_id: UUID) -> Notice:
        """One notice; ``PageUnknown`` when it is not addressed to this agency."""
        question = Question(target=f"/v1/deliveries/{delivery_id}", route="/v1/deliveries/{id}")
        found = await ask(self._services, "notifier", bearer, question)
        if not found.get("content"):
            raise PageUnknown
        return _notice(found)

    async def list_own_duties(self, bearer: Bearer, notice: Notice) -> list[OwedDuty]:
        """What the law asks of this agency for the same alert, the soonest due first."""
        if notice.alert is None:  # a test notice is about no alert
            return []
        question = Question(
            target=f"/v1/alerts/{notice.alert}/obligations", route="/v1/alerts/{id}/obligations"
        )
        found = await ask(self._services, "notifier", bearer, question)
        return in_working_order(
            duty for duty in _parse(_DUTIES, found["items"]) if duty.obliged_agency == bearer.agency
        )

    async def answer(self, bearer: Bearer, notice: Notice, receipt: Receipt) -> Receipt:
        """Give the agency's answer; a repeat returns the stored one."""
        body = {
            "delivery": str(notice.delivery),
            "notice_digest": notice.digest,
            "status": receipt.status,
            "person": receipt.person,
            "at": _instant(receipt.at),
        }
        body |= {"reason": receipt.reason} if receipt.reason else {}
        body |= {"reference": receipt.reference} if receipt.reference else {}
        question = Question(
            target=f"/v1/deliveries/{notice.delivery}/receipt",
            route="/v1/deliveries/{id}/receipt",
            method="POST",
            body=body,
        )
        return _parse(_RECEIPT, await ask(self._services, "notifier", bearer, question))


def _delivery(found: Mapping[str, Any]) -> dict[str, Any]:
    """As the domain has it: a citation in words is told in one language there, by rule here."""
    duties = [{**duty, "citation": duty.get("citation") or {}} for duty in found.get("duties", [])]
    return {**found, "duties": duties, "receipt": _told(found.get("receipt"))}


def _told(receipt: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return receipt if receipt and "status" in receipt and "at" in receipt else None


def _notice(found: Mapping[str, Any]) -> Notice:
    content = found["content"]
    shown = {
        "delivery": found["id"],
        "alert": found.get("alert"),
        "number": content["notice"],
        "urgency": content["urgency"],
        # The stored bytes are what was told; the ledger's clocks may have moved on since.
        "duties": _worded(content["duties"], found.get("duties", [])),
        "sent_at": content["sent_at"],
        "digest": found["notice_digest"],
        "grant": content.get("content", {}).get("grant"),
        "state": found["state"],
        "answer_due_at": found.get("ack_due_at"),
        "opened_at": found.get("opened_at"),
        "acknowledged_at": found.get("acknowledged_at"),
        "receipt": _told(found.get("receipt")),
        "test": bool(content.get("test")),
    }
    return _parse(_NOTICE, shown)


def _worded(told: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Duties of a notice, with the due time and the wording that the ledger has now."""
    now = OrderedDict((duty["rule"], duty) for duty in ledger)
    return [
        {
            **duty,
            "text": duty.get("text") or now.get(duty["rule"], {}).get("text") or {},
            "citation": _citation(duty, now.get(duty["rule"], {})),
            "due_at": now.get(duty["rule"], {}).get("due_at") or duty.get("due_at"),
        }
        for duty in told
    ]


def _citation(told: Mapping[str, Any], ledger: Mapping[str, Any]) -> dict[str, str]:
    found = ledger.get("citation") or told.get("citation") or {}
    return dict(found) if isinstance(found, Mapping) else {"kk": str(found), "ru": str(found)}


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _parse(adapter: TypeAdapter[Shape], found: Any) -> Shape:
    return parse(adapter, found, "notifier")
