"""What the gateway's rooms and doors need from outside; adapters give it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from gateway.domain.fanout import AlertRow, Delivery, Receipt
from gateway.domain.identity import AgencyRecord, Bearer
from gateway.domain.inbox import Content, Notice, OwedDuty
from gateway.domain.routes import Upstream
from gateway.domain.waterfall import Span


class KeySource(Protocol):
    """Public keys of a token issuer."""

    async def find_jwk(self, kid: str) -> Mapping[str, Any] | None:
        """The public JWK with this ``kid``, or nothing."""


class AgencyDirectory(Protocol):
    """Where agencies are looked up."""

    async def find_agency(self, reference: str) -> AgencyRecord | None:
        """The agency with this id or code, with the roles it holds now."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way inside. ``target`` is the raw path with its query."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = 15.0
    route: str = ""
    is_traced: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A service's answer: a whole ``body``, or a ``stream`` that must be read or closed."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


class Services(Protocol):
    """The services behind the gateway."""

    async def forward(self, service: Upstream, call: Call, bearer: Bearer | None) -> Answer:
        """Ask ``service`` on behalf of ``bearer``, or for ourselves.

        Raises ``ServiceUnreachable`` when there is no answer in time.
        """

    async def is_ready(self, service: Upstream) -> bool:
        """Whether the service says that it can work."""


class AlertDesk(Protocol):
    """What an operator's pages read."""

    async def list_alerts(
        self, bearer: Bearer, *, cursor: str | None = None
    ) -> tuple[list[AlertRow], str | None]:
        """Newest alerts first, and the cursor of the next page."""

    async def get_alert(self, bearer: Bearer, alert_id: UUID) -> AlertRow:
        """One alert by any id an operator may use."""

    async def list_deliveries(self, bearer: Bearer, alert_id: UUID) -> list[Delivery]:
        """Every delivery of one alert."""

    async def list_duties(self, bearer: Bearer, alert_id: UUID) -> list[OwedDuty]:
        """Every duty of one alert, open ones first, the soonest due on top."""


class InboxDesk(Protocol):
    """What an agency's pages read and write."""

    async def list_notices(self, bearer: Bearer) -> list[Notice]:
        """Notices for this agency, in any order; reading them hands them over."""

    async def get_notice(self, bearer: Bearer, delivery_id: UUID) -> Notice:
        """One notice."""

    async def list_own_duties(self, bearer: Bearer, notice: Notice) -> list[OwedDuty]:
        """What the law asks of this agency for the same alert, the soonest due first."""

    async def open_content(self, bearer: Bearer, notice: Notice) -> Content:
        """What the notice is about, field by field as far as this agency may see it. The look is recorded."""

    async def answer(self, bearer: Bearer, notice: Notice, receipt: Receipt) -> Receipt:
        """Give the agency's answer; a repeat returns the stored one."""


class TraceStore(Protocol):
    """Where spans are kept."""

    async def list_spans(self, trace_id: str) -> Sequence[Span]:
        """Spans of one trace, in any order; empty when it is not known."""
