"""Shapes on the wire (architecture §4). Unknown, absent and ``null`` are the same."""

import json
import re
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from common.contracts.vocabulary import (
    AgeBand,
    Channel,
    Concern,
    Occasion,
    OffenderRelation,
    ReportedBy,
)
from common.schemas import In, Out
from intake.domain.child import Child
from intake.domain.report import Report
from intake.domain.source import Publication, Screening
from intake.domain.territory import REGIONS, Territory, read_territory

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _unique(concerns: tuple[Concern, ...]) -> tuple[Concern, ...]:
    if len(set(concerns)) != len(concerns):
        raise PydanticCustomError("not_unique", "a concern stands twice")
    return concerns


def _written_date(value: Any) -> Any:
    """Only ``2016-02-29``: pydantic alone would take a count of seconds for a birthday."""
    if value is None or isinstance(value, date):
        return value
    if not isinstance(value, str) or _ISO_DATE.fullmatch(value) is None:
        raise PydanticCustomError("date_format", "not a date")
    return value


def _whole(value: Any) -> Any:
    """JSON has one kind of number: ``9.0`` is an integer (JSON Schema 2020-12 §6.1.1)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _blank_is_unknown(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


_CODES = "|".join(sorted(region.removeprefix("KZ-") for region in REGIONS))
TerritoryCode = Annotated[
    str,
    StringConstraints(pattern=f"^(KZ-({_CODES})|({_CODES})[0-9]{{7}})$"),
    Field(description="ISO 3166-2 (`KZ-75`) or a KATO code of nine digits", examples=["KZ-75"]),
]
Short = Annotated[
    Annotated[str, StringConstraints(max_length=100)] | None, BeforeValidator(_blank_is_unknown)
]
WrittenDate = Annotated[date, BeforeValidator(_written_date), Field(examples=["2026-10-23"])]
Line = Annotated[Annotated[str, StringConstraints(max_length=500)] | None, BeforeValidator(_blank_is_unknown)]
Text = Annotated[
    Annotated[str, StringConstraints(max_length=20_000)] | None, BeforeValidator(_blank_is_unknown)
]
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, strip_whitespace=True),
    Field(description="sealed; nobody is shown it by this service"),
]
Age = Annotated[Annotated[int, Field(strict=True, ge=0, le=130)], BeforeValidator(_whole)]


class ChildIn(In):
    """The child; everything may be unknown. A doubtful identification number is marked, never refused."""

    name: Line = None
    birth_date: Annotated[
        date | None, BeforeValidator(_written_date), Field(description="beats `age`", examples=["2016-02-29"])
    ] = None
    age: Age | None = Field(None, description="full years")
    sex: Literal["female", "male"] | None = None
    iin: Short = None
    address: Line = None
    education_org: Line = None


class OffenderIn(In):
    """The alleged offender; ``agency`` is the registry id of the organisation whose staff it is."""

    relation: OffenderRelation | None = None
    agency: UUID | None = None


class PublicationIn(In):
    """What was read in the media, joint order ¶4(5)."""

    address: Annotated[str, StringConstraints(min_length=1, max_length=2048, strip_whitespace=True)]
    discovered_on: WrittenDate
    copy_digest: Annotated[
        str | None, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the copy that was kept")
    ] = None


class ScreeningIn(In):
    """A test found a child at risk. Results below the threshold are not reported."""

    instrument: Annotated[
        str, Field(pattern="^[a-z0-9][a-z0-9_.-]{0,59}$", description="code of the test", examples=["phq-a"])
    ]
    result: Literal["over_threshold", "critical"]
    taken_on: WrittenDate


def canonical_of(body: In) -> bytes:
    """One spelling for one body: order of keys, blanks and left-out unknowns do not matter."""
    told = body.model_dump(mode="json", exclude_none=True)
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


class AlertIn(In):
    """What an agency's system tells. Only the place and the concerns must be known."""

    territory: TerritoryCode
    concerns: Annotated[
        tuple[Concern, ...],
        Field(min_length=1, max_length=len(Concern), json_schema_extra={"uniqueItems": True}),
        AfterValidator(_unique),
    ]
    cyber: StrictBool | None = Field(None, description="bullying over the network")
    occasion: Occasion | None = Field(None, description="joint order ¶4(1)–(5); default `own_duties`")
    channel: Channel | None = Field(None, description="default `system`")
    direct_threat: StrictBool | None = Field(None, description="to life or health")
    needs_medical_care: StrictBool | None = None
    without_parental_care: StrictBool | None = None
    alleged_offender: OffenderIn | None = None
    parents_may_be_informed: StrictBool | None = Field(
        None, description="`false` keeps every message away from the parents"
    )
    child: ChildIn | None = None
    narrative: Text = None
    reference: Annotated[Short, Field(description="own number of this report, unique at the sender")] = None
    reported_by: ReportedBy | None = Field(None, description="default `head` for a school's system")
    publication: PublicationIn | None = Field(None, description="makes the occasion `media`")
    screening: ScreeningIn | None = Field(None, description="makes the channel `survey`")

    @model_validator(mode="after")
    def _source_fits(self) -> "AlertIn":
        if self.publication is not None and self.occasion not in (None, Occasion.MEDIA):
            raise PydanticCustomError("occasion_contradicts", "a publication is the occasion `media`")
        if self.screening is not None and self.channel not in (None, Channel.SURVEY):
            raise PydanticCustomError("channel_contradicts", "a screening comes by the channel `survey`")
        return self

    def to_report(self) -> Report:
        """The report with its defaults filled in."""
        offender = self.alleged_offender or OffenderIn()
        child = self.child or ChildIn()
        return Report(
            territory=read_territory(self.territory) or Territory(self.territory),
            concerns=tuple(str(concern) for concern in self.concerns),
            canonical=canonical_of(self),
            cyber=bool(self.cyber),
            direct_threat=bool(self.direct_threat),
            needs_medical_care=bool(self.needs_medical_care),
            without_parental_care=bool(self.without_parental_care),
            offender_relation=str(offender.relation or OffenderRelation.UNKNOWN),
            offender_agency=offender.agency,
            parents_may_be_informed=self.parents_may_be_informed,
            occasion=str(self.occasion or (Occasion.MEDIA if self.publication else Occasion.OWN_DUTIES)),
            channel=str(self.channel or (Channel.SURVEY if self.screening else Channel.SYSTEM)),
            reported_by=str(self.reported_by) if self.reported_by else None,
            reference=self.reference,
            child=Child(
                name=child.name,
                birth_date=child.birth_date,
                age=child.age,
                sex=child.sex,
                iin=child.iin,
                address=child.address,
                education_org=child.education_org,
            ),
            narrative=self.narrative,
            publication=Publication(**dict(self.publication)) if self.publication else None,
            screening=Screening(**dict(self.screening)) if self.screening else None,
        )


class PublicOffenderIn(In):
    """How the alleged offender stands to the child; nobody is named."""

    relation: OffenderRelation | None = None


class PublicReportIn(In):
    """What somebody without an account tells. Only the place and the concerns must be known."""

    territory: TerritoryCode
    concerns: Annotated[
        tuple[Concern, ...],
        Field(min_length=1, max_length=len(Concern), json_schema_extra={"uniqueItems": True}),
        AfterValidator(_unique),
    ]
    reporter: Literal["child", "parent", "citizen", "anonymous"] = "anonymous"
    channel: Literal["web", "messenger"] = Field("web", description="`messenger` also stands for a bot")
    cyber: StrictBool | None = Field(None, description="bullying over the network")
    direct_threat: StrictBool | None = Field(None, description="to life or health")
    needs_medical_care: StrictBool | None = None
    without_parental_care: StrictBool | None = None
    alleged_offender: PublicOffenderIn | None = None
    parents_may_be_informed: StrictBool | None = Field(
        None, description="`false` keeps every message away from the parents"
    )
    child: ChildIn | None = None
    narrative: Text = None

    def to_report(self) -> Report:
        """The report as any other: the occasion is information that somebody gave, joint order ¶4(4)."""
        told = self.model_dump(exclude_none=True, exclude={"reporter"})
        alert = AlertIn.model_validate(told | {"occasion": Occasion.INFORMATION})
        return replace(alert.to_report(), canonical=canonical_of(self))


class ReportedOut(Out):
    """What whoever reported keeps. The receipt is shown once: a repeat of the call does not have it."""

    number: str = Field(description="to be said over the telephone", examples=["7K4M-Q2XP-9"])
    receipt: str | None = Field(
        description="proof of having made this report; keep it secret", examples=["7K4M-Q2XP-9ABC-DEFG-H"]
    )
    received_at: datetime


class CorrectionIn(In):
    """The report as it should have been, in full: what it leaves out is unknown from now on."""

    reason: Reason
    report: AlertIn


class WithdrawalIn(In):
    """Why the reporter takes it back."""

    reason: Reason


class ReceivedOut(Out):
    """The alert as its reporter knows it. Nothing of what was told is repeated."""

    id: UUID = Field(description="this reporter's own id of the alert")
    number: str = Field(description="to be said over the telephone", examples=["7K4M-Q2XP-9"])
    received_at: datetime
    flags: tuple[Literal["iin_doubtful"], ...] = ()


class CorrectedOut(Out):
    """A correction as its reporter gets it back. Nothing of what was told is repeated."""

    version: int = Field(description="2 for the first correction: the report itself is the first version")
    corrected_at: datetime
    flags: tuple[Literal["iin_doubtful"], ...] = ()


class WithdrawnOut(Out):
    """That the reporter took the alert back. No duty of any body ends by it."""

    withdrawn_at: datetime


class AlertOut(Out):
    """That the alert is here."""

    id: UUID
    number: str
    received_at: datetime
    state: Literal["received"] = "received"


class MatchOut(Out):
    """Another alert that may be about the same child; a person decides."""

    alert: UUID = Field(description="this agency's own id of the other alert")
    received_on: date
    shared: tuple[Literal["iin", "name"], ...] = Field(description="name stands for name with birth date")
    state: Literal["proposed", "joined", "apart"] = Field(description="what a person has made of it")
    match: str = Field(description="to be handed in with the decision: POST /v1/alerts/{id}/joining")


class FactsOut(Out):
    """Category and urgency."""

    concerns: tuple[Concern, ...] = ()
    cyber: bool = False
    direct_threat: bool = False
    needs_medical_care: bool = False
    without_parental_care: bool = False
    parents_may_be_informed: bool | None = None


class PlaceOut(Out):
    """Where."""

    region: str = ""
    kato: str | None = None


class ChildOut(Out):
    """The child; ``initials`` stand in for a masked name."""

    name: str | None = None
    initials: str | None = None
    age_band: AgeBand = AgeBand.UNKNOWN
    birth_date: date | None = None
    age: int | None = None
    sex: Literal["female", "male"] | None = None
    iin: str | None = None
    doubts: tuple[str, ...] = Field((), description="what speaks against the identification number")
    address: str | None = None
    education_org: str | None = None


class OffenderOut(Out):
    """The alleged offender; ``circle`` stands in for a masked relation."""

    relation: OffenderRelation = OffenderRelation.UNKNOWN
    circle: Literal["relative", "peer", "staff", "other"] = "other"
    agency: UUID | None = None


class SourceOut(Out):
    """How the report came."""

    occasion: Occasion = Occasion.OWN_DUTIES
    channel: Channel = Channel.SYSTEM
    received_at: datetime | None = None


class PublicationOut(Out):
    """What was read in the media."""

    address: str
    discovered_on: date
    copy_digest: str | None = None


class ScreeningOut(Out):
    """The test that found the child at risk."""

    instrument: str
    result: Literal["over_threshold", "critical"]
    taken_on: date


class VersionOut(Out):
    """Which version of the report this is, and whether its reporter has taken it back."""

    no: int
    corrected_at: datetime | None = None
    withdrawn_at: datetime | None = None


class ContentOut(Out):
    """What this agency may see. A field that is not there may not be seen; ``null`` is unknown."""

    alert: UUID
    received_on: date | None = None
    facts: FactsOut = FactsOut()
    territory: PlaceOut = PlaceOut()
    child: ChildOut = ChildOut()
    narrative: str | None = None
    summary: str | None = None
    alleged_offender: OffenderOut = OffenderOut()
    source: SourceOut = SourceOut()
    publication: PublicationOut | None = None
    screening: ScreeningOut | None = None
    version: VersionOut = VersionOut(no=1)
