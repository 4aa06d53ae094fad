"""What the gateway's rooms and doors need from outside; adapters give it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from gateway.domain.affair import Act, Affair, Conflict, DutyAct, Organisation, Told
from gateway.domain.alarms import Alarm
from gateway.domain.failure import Count, FailingEndpoint, FailureGroup, ProposedRedrive, RedriveRun
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

    async def look_up(self, agency_id: UUID) -> AgencyRecord | None:
        """The same by id, for a question that is asked again and again: it leaves no trace."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way inside.

    Attributes:
        target: the raw path with its query.
        waits: held back on purpose; it must take no connection from those that are not.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = 15.0
    route: str = ""
    is_traced: bool = True
    waits: bool = False


class Chunks(Protocol):
    """An answer as it comes; ``aclose`` ends it, also where nobody began to read."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None:
        """Let the connection go."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A service's answer: a whole ``body``, or a ``stream`` that must be read or closed."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    stream: Chunks | None = None


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

    async def list_alarms(
        self, bearer: Bearer, *, state: str, cursor: str | None = None
    ) -> tuple[list[Alarm], str | None]:
        """Open or past alarms in notifier's order, and the cursor of the next page."""

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


class AffairDesk(Protocol):
    """What an agency does with the alerts that it knows, and with its own duties."""

    async def list_affairs(self, bearer: Bearer, *, cursor: str | None) -> tuple[list[Affair], str | None]:
        """Newest first, and the cursor of the next page."""

    async def get_affair(self, bearer: Bearer, alert_id: UUID) -> Affair:
        """One alert with what this agency may do; ``PageUnknown`` when there is none for it."""

    async def list_duties(self, bearer: Bearer, alert_id: UUID) -> list[OwedDuty]:
        """This agency's own duties, the soonest due first."""

    async def list_conflicts(self, bearer: Bearer, alert_id: UUID) -> list[Conflict]:
        """Who is shut out now, for those who may lower it."""

    async def list_told(self, bearer: Bearer, alert_id: UUID) -> list[Told]:
        """Bodies of whose notices this agency knows."""

    async def find_organisations(self, bearer: Bearer, wanted: str) -> list[Organisation]:
        """Bodies of this agency's territory by letters of their name or code."""

    async def act_on_alert(
        self, bearer: Bearer, alert_id: UUID, act: Act, body: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Do it; ``ServiceRefused`` says why not."""

    async def act_on_duty(
        self, bearer: Bearer, duty_id: UUID, act: DutyAct, body: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Do it; ``ServiceRefused`` says why not."""


class FailureDesk(Protocol):
    """What an operator does about deliveries that fail."""

    async def list_failures(self, bearer: Bearer) -> list[FailureGroup]:
        """By cause, the most urgent first."""

    async def list_failing_endpoints(self, bearer: Bearer) -> list[FailingEndpoint]:
        """Endpoints whose tests fail."""

    async def list_redrives(self, bearer: Bearer) -> tuple[list[ProposedRedrive], list[RedriveRun]]:
        """What waits for another operator, and the latest that began."""

    async def count(self, bearer: Bearer, group: FailureGroup) -> Count:
        """The dry run."""

    async def propose(self, bearer: Bearer, group: FailureGroup, reason: str) -> None:
        """Put it before another operator."""

    async def confirm(self, bearer: Bearer, proposal: UUID) -> None:
        """Let another operator's redrive begin."""

    async def redrive(self, bearer: Bearer, delivery: UUID, generation: int) -> None:
        """Send one delivery again."""

    async def pause(self, bearer: Bearer, endpoint: UUID, *, paused: bool) -> None:
        """Push nothing there, or push again."""


class TraceStore(Protocol):
    """Where spans are kept."""

    async def list_spans(self, trace_id: str) -> Sequence[Span]:
        """Spans of one trace, in any order; empty when it is not known."""
