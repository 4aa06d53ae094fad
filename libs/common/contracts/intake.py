"""What intake tells the others."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.contracts.envelope import Event
from common.contracts.vocabulary import (
    AgeBand,
    Channel,
    Concern,
    Occasion,
    OffenderRelation,
    ReportedBy,
)


class AlertReceived(Event):
    """An alert was accepted and stored: facts only (architecture §2.3).

    Attributes:
        alert_id: internal id, random; agencies never see it.
        number: short number for reporter and operator.
        received_at: UTC instant of the commit at intake; every first clock starts here.
        territory: ISO 3166-2 code of the region.
        kato: finer KATO code, only when the sender gave one.
        reporter: role code of the reporting body, or ``child``, ``parent``, ``citizen``, ``anonymous``.
        age_band: never the age.
        parents_may_be_informed: ``None`` when the sender did not say.
        clustered: a public report that came with many like it: a person decides whether others hear of it.
        routing: base64 of an HPKE sealing for ``notifier`` of
            ``{"reporter_agency": uuid | null, "implicated": [uuid, …]}``, AAD ``alert_id``.
    """

    type: ClassVar[str] = "kz.dabyl.alert.received.v1"
    publisher: ClassVar[str] = "intake"
    consumers: ClassVar[tuple[str, ...]] = ("notifier", "casework")

    alert_id: UUID
    number: str
    received_at: datetime
    territory: str
    kato: str | None = None
    concerns: tuple[Concern, ...]
    cyber: bool = False
    direct_threat: bool = False
    needs_medical_care: bool = False
    without_parental_care: bool = False
    offender_relation: OffenderRelation = OffenderRelation.UNKNOWN
    parents_may_be_informed: bool | None = None
    reporter: str
    reported_by: ReportedBy | None = None
    occasion: Occasion
    channel: Channel
    age_band: AgeBand = AgeBand.UNKNOWN
    clustered: bool = False
    routing: str


class AlertFacts(BaseModel):
    """What a correction says instead of what was received; codes only, as in ``AlertReceived``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    territory: str
    kato: str | None = None
    concerns: tuple[Concern, ...]
    cyber: bool = False
    direct_threat: bool = False
    needs_medical_care: bool = False
    without_parental_care: bool = False
    offender_relation: OffenderRelation = OffenderRelation.UNKNOWN
    parents_may_be_informed: bool | None = None
    reporter: str
    reported_by: ReportedBy | None = None
    occasion: Occasion
    channel: Channel
    age_band: AgeBand = AgeBand.UNKNOWN


class AlertCorrected(Event):
    """Its reporter corrected an alert; the former version stays on record and is not served any more.

    Attributes:
        version: of the sealed record; the first is 1, so a correction is 2 or more. A lower one that
            comes later changes nothing.
        routing: as in ``AlertReceived``, with the organisations that the correction implicates.
    """

    type: ClassVar[str] = "kz.dabyl.alert.corrected.v1"
    publisher: ClassVar[str] = "intake"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    alert_id: UUID
    version: int
    corrected_at: datetime
    facts: AlertFacts
    routing: str


class AlertWithdrawn(Event):
    """Its reporter takes an alert back. That travels as information: no duty of the law ends by it."""

    type: ClassVar[str] = "kz.dabyl.alert.withdrawn.v1"
    publisher: ClassVar[str] = "intake"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    alert_id: UUID
    withdrawn_at: datetime


class ContentOpened(Event):
    """An agency read the content behind a notice (architecture §2.6): *opened by whom, when*.

    ``person`` is the subject of the token, never a name.
    """

    type: ClassVar[str] = "kz.dabyl.content.opened.v1"
    publisher: ClassVar[str] = "intake"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    delivery_id: UUID
    opened_at: datetime
    person: str
