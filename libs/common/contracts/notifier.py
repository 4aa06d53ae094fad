"""What notifier tells the others: duties and their clocks, deliveries and their fate.

Events of one transaction travel together: a list per alert, not one message per row.
"""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.contracts.envelope import Event
from common.contracts.vocabulary import DutyKind


class ObligationFact(BaseModel):
    """One duty as casework needs it; times in UTC, ``None`` where the law gives none.

    ``evidence`` names the facts that meet it: whoever owes it may record them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    obligation_id: UUID
    rule: str
    kind: DutyKind
    obliged: str
    recipient: str | None
    force: str
    state: Literal["pending", "open", "met", "waived", "cancelled"]
    starts_at: datetime
    due_at: datetime | None
    breach_at: datetime | None
    evidence: tuple[str, ...] = ()


class ObligationOpened(Event):
    """Duties were laid down, or their clocks started: later copies of an id replace earlier ones.

    ``assignees`` is base64 of an HPKE sealing for ``casework`` (key ``assignee``) of
    ``{obligation_id: agency_id}``, AAD ``alert_id``: an agency's id can point at a school.
    """

    type: ClassVar[str] = "kz.dabyl.obligation.opened.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("casework",)

    alert_id: UUID
    territory: str
    obligations: tuple[ObligationFact, ...]
    assignees: str


class ObligationMet(Event):
    """Duties were fulfilled; ``met_at`` is when the fact happened, not when it was recorded."""

    type: ClassVar[str] = "kz.dabyl.obligation.met.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("casework",)

    alert_id: UUID
    obligations: tuple[UUID, ...]
    met_at: datetime


class ObligationWaived(Event):
    """Their obliged body decided, two persons and a reason on record, that these duties will not be done.

    Final. A breach that was before stays.
    """

    type: ClassVar[str] = "kz.dabyl.obligation.waived.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("casework",)

    alert_id: UUID
    obligations: tuple[UUID, ...]
    waived_at: datetime


class ObligationBreached(Event):
    """The formal limit passed (``breach_at``); stays on record when the duty is met late.

    Met in time after all (``met_at`` not after ``breach_at``), in whatever order it is told, there was none.
    """

    type: ClassVar[str] = "kz.dabyl.obligation.breached.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("casework",)

    alert_id: UUID
    obligations: tuple[UUID, ...]
    breached_at: datetime


class ObligationPassed(Event):
    """A body is retired; its successor owes now what it owed, in the same time.

    Attributes:
        obligations: unmet duties that passed; none where only a place passed.
        passed: base64 of an HPKE sealing for ``casework`` (key ``assignee``) of
            ``{"former": agency_id, "heirs": {role: agency_id}}``, AAD ``alert_id``: who takes its place under
            which role, the place of the coordinator included.
    """

    type: ClassVar[str] = "kz.dabyl.obligation.passed.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("casework",)

    alert_id: UUID
    obligations: tuple[UUID, ...]
    passed_at: datetime
    passed: str


class BreachExplained(Event):
    """A body says why a duty was breached; the breach stays.

    Attributes:
        by: ``owner`` of the breach, or the ``superior`` body that was told of it.
        explanation: base64 of an HPKE sealing for ``casework`` (key ``assignee``) of
            ``{"agency": uuid, "reason": text}``, AAD ``alert_id`` and the bytes of ``statement_id``.
    """

    type: ClassVar[str] = "kz.dabyl.breach.explained.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("casework",)

    alert_id: UUID
    obligation_id: UUID
    statement_id: UUID
    by: Literal["owner", "superior"]
    explained_at: datetime
    explanation: str


class ConflictRaised(Event):
    """Some must not be able to tell that this alert exists; ``raised_at`` orders it against a lowering.

    Attributes:
        denied: base64 of an HPKE sealing for ``intake`` (key ``denial``) of the marks
            ``["agency:…", "role:…"]``, AAD ``alert_id``.
        shut_out: base64 of an HPKE sealing for ``casework`` (key ``assignee``) of
            ``{"agencies": [uuid, …], "assignees": {obligation_id: agency_id}}``, AAD ``alert_id``: who must
            not see the case, and who owes now what they owed.
    """

    type: ClassVar[str] = "kz.dabyl.conflict.raised.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("intake", "casework")

    alert_id: UUID
    raised_at: datetime
    denied: str
    shut_out: str


class ConflictLowered(Event):
    """A conflict of interest was weighed by two bodies and lowered; fields as in ``ConflictRaised``."""

    type: ClassVar[str] = "kz.dabyl.conflict.lowered.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("intake", "casework")

    alert_id: UUID
    lowered_at: datetime
    denied: str
    shut_out: str


class HeadFact(BaseModel):
    """Of several alerts about one child, the one whose case continues; an alert alone is its own head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alert_id: UUID
    head_id: UUID


class JoiningMade(Event):
    """A person found two alerts to be about one child.

    Attributes:
        pair: the two alerts, the lesser id first.
        heads: how every alert that it concerns stands now; of two tellings the greater ``no`` counts.
        no: grows with every decision of this kind in the whole house.
    """

    type: ClassVar[str] = "kz.dabyl.joining.made.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("intake", "casework")

    pair: tuple[UUID, UUID]
    heads: tuple[HeadFact, ...]
    no: int
    at: datetime


class JoiningUndone(Event):
    """Two persons parted what was joined; fields as in ``JoiningMade``."""

    type: ClassVar[str] = "kz.dabyl.joining.undone.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("intake", "casework")

    pair: tuple[UUID, UUID]
    heads: tuple[HeadFact, ...]
    no: int
    at: datetime


class JoiningDeclined(Event):
    """A person found that two alerts are not about one child; nothing changes but what is proposed."""

    type: ClassVar[str] = "kz.dabyl.joining.declined.v1"
    publisher: ClassVar[str] = "notifier"
    consumers: ClassVar[tuple[str, ...]] = ("intake",)

    pair: tuple[UUID, UUID]
    no: int
    at: datetime


class DeliveryFact(BaseModel):
    """One delivery by opaque ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delivery_id: UUID
    alert_id: UUID
    role: str
    at: datetime


class DeliveryTransmitted(Event):
    """The agencies' edges took these notices."""

    type: ClassVar[str] = "kz.dabyl.delivery.transmitted.v1"
    publisher: ClassVar[str] = "notifier"

    deliveries: tuple[DeliveryFact, ...]


class DeliveryOpened(Event):
    """The content behind these notices was read."""

    type: ClassVar[str] = "kz.dabyl.delivery.opened.v1"
    publisher: ClassVar[str] = "notifier"

    deliveries: tuple[DeliveryFact, ...]


class DeliveryAcknowledged(Event):
    """A named person of the agency answered these notices."""

    type: ClassVar[str] = "kz.dabyl.delivery.acknowledged.v1"
    publisher: ClassVar[str] = "notifier"

    deliveries: tuple[DeliveryFact, ...]


class DeliveryFailed(Event):
    """These deliveries need a person: nothing more will be tried by itself."""

    type: ClassVar[str] = "kz.dabyl.delivery.failed.v1"
    publisher: ClassVar[str] = "notifier"

    deliveries: tuple[DeliveryFact, ...]


class EscalationRaised(Event):
    """Silence climbed one rung, or a breached act alarmed the body above.

    Attributes:
        delivery_id: the silent first way; of a breach, the notice to the body above, if there is one.
        breach_id: the alarm of breached acts.
        level: how many alarms there were, this one included.
        rung: 1 second endpoint, 2 duty phone, 3 superior body, 4 operator.
    """

    type: ClassVar[str] = "kz.dabyl.escalation.raised.v1"
    publisher: ClassVar[str] = "notifier"

    delivery_id: UUID | None = None
    breach_id: UUID | None = None
    alert_id: UUID
    level: int
    rung: int | None = None
    raised_at: datetime


class PeriodFact(BaseModel):
    """One period of one agency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period_id: UUID
    agency_id: UUID


class PeriodOpened(Event):
    """A period of a duty that returns began for these agencies; nothing of it is about a child.

    Attributes:
        key: ``2026-10``, ``2026-Q4``, ``2026-H2`` or ``2026/2027``.
    """

    type: ClassVar[str] = "kz.dabyl.period.opened.v1"
    publisher: ClassVar[str] = "notifier"

    rule: str
    key: str
    due_at: datetime
    breach_at: datetime | None
    periods: tuple[PeriodFact, ...]


class PeriodMet(Event):
    """An agency handed in what a period asked for; a late one stays breached."""

    type: ClassVar[str] = "kz.dabyl.period.met.v1"
    publisher: ClassVar[str] = "notifier"

    rule: str
    key: str
    period: PeriodFact
    return_id: UUID
    met_at: datetime


class PeriodBreached(Event):
    """The formal limit of a period passed for these agencies."""

    type: ClassVar[str] = "kz.dabyl.period.breached.v1"
    publisher: ClassVar[str] = "notifier"

    rule: str
    key: str
    breached_at: datetime
    periods: tuple[PeriodFact, ...]


class PeriodPassed(Event):
    """The mandate ended while the period was open: ``to`` owes it now."""

    type: ClassVar[str] = "kz.dabyl.period.passed.v1"
    publisher: ClassVar[str] = "notifier"

    rule: str
    key: str
    period: PeriodFact
    to: UUID
    passed_at: datetime
