"""Alerts, duties, deliveries and answers on the wire."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from common.contracts.vocabulary import AgeBand, Channel, Concern, Occasion, OffenderRelation, ReportedBy
from common.schemas import In, Out
from notifier.domain.acting import Act, AlertAct
from notifier.domain.facts import Facts
from notifier.domain.proposal import Kind
from notifier.domain.receipt import Receipt, ReceiptStatus
from notifier.schemas.alarms import BreachOut
from notifier.schemas.changes import ChangeOut
from notifier.schemas.words import Flag, Instant, Line, RoleCode, Said, State, Territory, Words


class OffenderIn(In):
    """What is known of the alleged offender's relation to the child; nobody is named."""

    relation: OffenderRelation = OffenderRelation.UNKNOWN


class FactsIn(In):
    """Facts to be evaluated: an alert without anything personal."""

    territory: Territory
    concerns: list[Concern] = Field(min_length=1, max_length=7)
    reporter: RoleCode = Field(
        "education_org", description="role code, or `child`, `parent`, `citizen`, `anonymous`"
    )
    reported_by: ReportedBy | None = None
    received_at: Instant | None = Field(None, description="now, unless given")
    occasion: Occasion = Occasion.OWN_DUTIES
    channel: Channel = Channel.SYSTEM
    cyber: Flag = False
    direct_threat: Flag = False
    needs_medical_care: Flag = False
    without_parental_care: Flag = False
    alleged_offender: OffenderIn = OffenderIn()
    parents_may_be_informed: Flag | None = None
    child_age: int | None = Field(None, strict=True, ge=0, le=17)
    age_band: AgeBand = AgeBand.UNKNOWN
    regional_body: Flag | None = Field(
        None, description="what if there were none; as registered, unless given"
    )

    def to_facts(self, *, now: datetime, regional_body: bool) -> Facts:
        """As the law is asked."""
        return Facts(
            received_at=self.received_at or now,
            territory=self.territory,
            concerns=frozenset(concern.value for concern in self.concerns),
            reporter=self.reporter,
            reported_by=self.reported_by.value if self.reported_by else None,
            occasion=self.occasion.value,
            channel=self.channel.value,
            cyber=self.cyber,
            direct_threat=self.direct_threat,
            needs_medical_care=self.needs_medical_care,
            without_parental_care=self.without_parental_care,
            offender_relation=self.alleged_offender.relation.value,
            parents_may_be_informed=self.parents_may_be_informed,
            child_age=self.child_age,
            age_band=self.age_band.value,
            regional_body=regional_body,
        )


class PersonIn(In):
    """Who answers for the agency."""

    name: Line
    position: Line


class ReceiptIn(In):
    """An agency's answer to a notice."""

    delivery: UUID
    notice_digest: str = Field(pattern=r"^[0-9a-fA-F]{64}$", description="SHA-256 of the notice's bytes")
    status: ReceiptStatus
    reason: Said | None = None
    person: PersonIn
    reference: Line | None = Field(None, description="the agency's own number")
    at: Instant

    def to_receipt(self) -> Receipt:
        """As the service takes it."""
        return Receipt(
            delivery_id=self.delivery,
            notice_digest=self.notice_digest,
            status=self.status,
            at=self.at,
            person_name=self.person.name,
            person_position=self.person.position,
            reason=self.reason,
            reference=self.reference,
        )


class DutyOut(Out):
    """A duty as the preview shows it."""

    rule: str
    citation: dict[str, str]
    duty: dict[str, str]
    obliged: str
    recipient: str | None
    force: str
    starts_at: datetime
    due_at: datetime | None
    breach_at: datetime | None


class ReasonedDutyOut(DutyOut):
    """A duty that is only shown, or must not be done, and the code that says why."""

    reason: str


class PreviewOut(Out):
    """What the law says about these facts."""

    edition: str
    obligations: list[DutyOut]
    advisories: list[ReasonedDutyOut]
    withheld: list[ReasonedDutyOut]


class ProposalIn(In):
    """Either the reason of who proposes, or the id of what another person proposed."""

    reason: Words | None = None
    confirms: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.reason is None) == (self.confirms is None):
            raise ValueError("either a reason or what is confirmed")
        return self


class ProposedOut(Out):
    """What another person of the same body must confirm, and until when."""

    proposal: UUID
    expires_at: datetime


class ProposalOut(ProposedOut):
    """A proposal as its own body reads it."""

    kind: Kind
    proposed_at: datetime
    reason: str
    mine: bool = Field(description="the caller proposed it: somebody else must confirm")


class AlertProposalOut(ProposalOut):
    """A proposal about an alert, for those whose second person may confirm it."""

    may_confirm: bool = Field(description="the caller may be that second person")
    conflict: UUID | None = Field(None, description="the conflict of interest that it would lower")


class ObligationOut(DutyOut):
    """A duty in the ledger."""

    id: UUID
    kind: str
    state: Literal["pending", "open", "met", "waived", "cancelled"]
    edition: str
    obliged_agency: UUID | None
    delivery: UUID | None
    dispatch_at: datetime | None
    met_at: datetime | None
    alarmed_at: datetime | None
    breached_at: datetime | None
    breach: BreachOut | None = Field(None, description="whose breach, why, and what is said of it")
    overtaken_at: datetime | None = Field(
        None, description="the law would not ask for it on the facts as known since; it stands all the same"
    )
    released_at: datetime | None = Field(description="its obliged body let the notice go before its time")
    waived_at: datetime | None
    evidence: UUID | None
    may: list[Act] = Field(description="what the caller may do with it; empty for whom it does not bind")
    proposals: list[ProposalOut] = Field(default=[], description="what waits for a second person of its body")
    facts: list[str] = Field(description="fact codes by which the caller may state it done")
    explanation: dict[str, list[str]] = Field(
        description="by language (kk, ru, en): paragraph, force, reading used, how the clock was counted"
    )


class ReleaseIn(In):
    """Further duties of the same alert to be released together: those towards one agency share a notice."""

    also: list[UUID] = Field(default=[], max_length=50)


class EvidenceIn(In):
    """What the obliged body did, when, and where its proof is: an id or a digest, nothing of a child."""

    fact: str = Field(pattern=r"^[a-z][a-z_]*(\.[a-z_]+)+$", max_length=60, description="one of `facts`")
    happened_at: Instant
    reference: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$")


class OwnObligationsOut(Out):
    """The duties that were acted on."""

    items: list[ObligationOut]


class ObligationsOut(Out):
    """The duties of an alert; advisories and withheld ones are lists of their own."""

    items: list[ObligationOut]
    next: str | None = None
    advisories: list[ReasonedDutyOut]
    withheld: list[ReasonedDutyOut]


class AlertOut(Out):
    """An alert as the ledger shows it: ids, times and states."""

    id: UUID
    number: str | None
    received_at: datetime
    planned_at: datetime
    urgency: Literal["immediate", "urgent", "routine"]
    edition: str
    states: dict[str, int]
    escalation_level: int
    oldest_unanswered_at: datetime | None
    needs_a_person: Literal["nobody_obliged", "clustered"] | None = Field(
        default=None,
        description="the law lays no duty on anybody, or the flood guard stopped it: somebody must look",
    )
    changes: list[ChangeOut] = Field([], description="when one alert is asked for")
    may: list[AlertAct] = Field(
        default=[], description="when one alert is asked for: what the caller may do with it"
    )
    proposals: list[AlertProposalOut] = Field(
        default=[], description="when one alert is asked for: what waits for a second person"
    )
    parents_locked: bool | None = Field(
        default=None, description="when an agency asks for one alert: nothing may reach the parents"
    )
    own_open: int | None = Field(default=None, description="duties that the agency that asks still owes")
    own_due_at: datetime | None = Field(default=None, description="when the first of them is due")
    is_reporter: bool = Field(default=False, description="the agency that asks reported it")
    held: Literal["hub", "cluster"] | None = Field(
        default=None, description="a public report that waited for the hub, or for a person"
    )
    held_until: datetime | None = Field(default=None, description="when its notices leave by themselves")
    released_at: datetime | None = Field(default=None, description="when the hub let them go")
    trace_id: str | None


class AttemptOut(Out):
    """One try of a delivery."""

    no: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    status: int | None


class CarriedOut(Out):
    """A duty that a delivery carries."""

    obligation: UUID
    rule: str
    citation: dict[str, str]
    text: dict[str, str]
    due_at: datetime | None
    force: str


class DeliveryOut(Out):
    """A delivery. ``content`` is the notice itself, for its addressee."""

    id: UUID
    alert: UUID | None
    agency: UUID | None
    role: str
    notice: int
    rung: int = Field(description="0 first way, 1 second endpoint, 2 duty phone or SMS, 3 superior body")
    escalates: UUID | None = Field(description="the first way whose silence this one answers")
    generation: int = Field(description="1, and one more for each redrive")
    state: State
    reason: str | None
    urgency: Literal["immediate", "urgent", "routine"]
    duties: list[CarriedOut]
    attempts: list[AttemptOut]
    planned_at: datetime
    deadline_at: datetime | None
    next_attempt_at: datetime | None
    transmitted_at: datetime | None
    opened_at: datetime | None
    acknowledged_at: datetime | None
    ack_due_at: datetime | None
    escalation_level: int
    notice_digest: str | None
    content: dict[str, Any] | None
    receipt: dict[str, Any] | None
    test: bool


class TimelineFactOut(Out):
    """Something that happened; which other fields there are depends on ``kind``."""

    kind: str
    at: datetime
    delivery: UUID | None = None
    agency: UUID | None = None
    role: str | None = None
    notice: int | None = None
    no: int | None = None
    outcome: str | None = None
    status: int | None = None
    receipt: str | None = None
    obligation: UUID | None = None
    rule: str | None = None
    due_at: datetime | None = None
    level: int | None = None
    reason: str | None = None
    edition: str | None = None


class TimelineOut(Out):
    """The ordered facts of an alert."""

    alert: UUID
    trace_id: str | None
    items: list[TimelineFactOut]
    next: str | None = None


class InboxItemOut(Out):
    """A notice; ``notice_digest`` is over its stored bytes, which ``notice_bytes`` holds in base64."""

    delivery: UUID
    state: State
    notice_digest: str
    notice: dict[str, Any]
    notice_bytes: str


class SigningKeyOut(Out):
    """The endpoint's new signing key; a secret is not shown again."""

    scheme: str
    secret: str | None = None
    public_key: str | None = None


class PauseOut(Out):
    """Whether nothing is pushed to an endpoint, and since when."""

    endpoint: UUID
    paused_at: datetime | None


class TestOut(Out):
    """What came of a test notice."""

    delivery: UUID
    outcome: str
    status: int | None


class RebuiltOut(Out):
    """How many facts of the registry were taken."""

    facts: int
