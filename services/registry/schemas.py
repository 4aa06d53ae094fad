"""Shapes on the wire."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from common.schemas import In, Out
from registry.domain.agency import AbsenceDraft, AgencyDraft, Interval, MandateDraft, Names
from registry.domain.endpoint import EndpointDraft
from registry.models import Absence, Agency, Endpoint, Mandate, Return, Territory

_DATE_AND_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ].+", re.ASCII | re.DOTALL)


def _written_out(value: Any) -> Any:
    # pydantic would take a bare number for seconds since 1970.
    if isinstance(value, str) and not _DATE_AND_TIME.fullmatch(value):
        raise ValueError("not a date and time")
    if not isinstance(value, str | datetime):
        raise ValueError("not a date and time")  # noqa: TRY004  # pydantic turns only ValueError into a 422
    return value


def _day(value: Any) -> date:
    if not isinstance(value, str) or not re.fullmatch(
        r"(19[9]|20[0-9]|21[0-9])[0-9]-[0-9]{2}-[0-9]{2}", value
    ):
        raise ValueError("not a date")
    return date.fromisoformat(value)


def _utc(value: datetime) -> datetime:
    if not 1990 <= value.year <= 2200:  # also keeps conversion away from the ends of the calendar
        raise ValueError("out of range")
    return value.astimezone(UTC)


def _printable(value: str) -> str:
    if any(unicodedata.category(character).startswith("C") for character in value) or not value.strip():
        raise ValueError("not one line of text")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_utc)]
"""RFC 3339 with an offset; kept in UTC."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_printable)]
"""One line of text."""

Code = Annotated[str, StringConstraints(max_length=80, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
RoleCode = Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-z][a-z0-9_]*$")]
TerritoryCode = Annotated[str, StringConstraints(max_length=9, pattern=r"^(KZ(-[0-9]{2})?|[0-9]{9})$")]
"""ISO 3166-2 code, ``KZ``, or a KATO code."""

Kind = Annotated[
    str, StringConstraints(max_length=10, pattern=r"^(webhook|smtp|sms|voice|amqp|file|x-[a-z0-9]{1,8})$")
]
"""Channel of an endpoint."""
HourMinute = Annotated[
    str, StringConstraints(max_length=5, pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")
]
Day = Annotated[date, BeforeValidator(_day)]
"""ISO 8601 date."""

Version = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class AgencyQuery(In):
    """What a list of agencies is asked for."""

    role: RoleCode | None = Field(default=None, description="role code of the law")
    territory: TerritoryCode | None = Field(default=None, description="ISO 3166-2 or KATO code")
    code: Code | None = Field(default=None, description="exact code of one agency")
    at: Instant | None = Field(default=None, description="as it is at this time; default: now")
    after: str | None = Field(default=None, max_length=400, description="`next` of the page before")
    limit: int = Field(default=50, ge=1, le=200, description="rows a page")


class NamesIn(In):
    """A name in the three languages."""

    kk: Line
    ru: Line
    en: Line


class MandateIn(In):
    """A role to be held; without ``primary``: when nobody else is; without ``valid_from``: from now."""

    role: RoleCode
    territory: TerritoryCode
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    primary: bool | None = Field(default=None, strict=True)


class AgencyIn(In):
    """An agency; ``replaces`` names the version that a change takes the place of."""

    code: Code
    name: NamesIn
    mandates: list[MandateIn] = Field(min_length=1, max_length=100)
    superior: Code | None = None
    replaces: Version | None = None

    def to_draft(self) -> AgencyDraft:
        """As the service takes it."""
        return AgencyDraft(
            code=self.code,
            names=Names(self.name.kk, self.name.ru, self.name.en),
            mandates=tuple(
                MandateDraft(m.role, m.territory, m.valid_from, m.valid_until, m.primary)
                for m in self.mandates
            ),
            superior=self.superior,
            replaces=self.replaces,
        )


class RetirementIn(In):
    """When the agency holds no role any more; now, unless given.

    ``successor`` (id or code) takes its place: what it owes passes there as it is.
    """

    retired_at: Instant | None = None
    successor: str | None = Field(None, max_length=80)


class DutyWindowIn(In):
    """From `opens` until before `closes`, local time; `24:00` is the end of the day."""

    opens: HourMinute
    closes: HourMinute


class WeeklyWindowIn(DutyWindowIn):
    """The same on every such weekday; 1 is Monday."""

    day: int = Field(strict=True, ge=1, le=7)


class DutyExceptionIn(In):
    """What holds on one date in place of the weekly windows; no windows: nobody is on duty."""

    on: Day
    windows: list[DutyWindowIn] = Field(default=[], max_length=10)


class DutyHoursIn(In):
    """When somebody answers; `null` is always."""

    weekly: list[WeeklyWindowIn] = Field(default=[], max_length=70)
    exceptions: list[DutyExceptionIn] = Field(default=[], max_length=100)


class EndpointIn(In):
    """A way to reach an agency's system; ``id`` and ``replaces`` change one that is there.

    ``agency`` is an id or a code. ``receipt_key`` is an Ed25519 public key, base64url of 32 bytes.
    ``rung`` is the step of the agency's ladder: 0 first way, 1 second endpoint, 2 duty phone or SMS.
    """

    agency: Code
    kind: Kind = Field(
        default="webhook", description="webhook, smtp, sms, voice, amqp, file, or x-… of a plug-in"
    )
    url: str = Field(
        min_length=1,
        max_length=500,
        description="by kind: https://…, mailto:…, tel:+…, amqps://…/vhost?queue=…, folder:name",
    )
    concurrency: int = Field(default=8, strict=True, ge=1, le=64)
    receipt_key: str | None = Field(default=None, max_length=44)
    rung: int = Field(default=0, strict=True, ge=0, le=2)
    hours: DutyHoursIn | None = None
    id: UUID | None = None
    replaces: Version | None = None

    def to_draft(self) -> EndpointDraft:
        """As the service takes it."""
        return EndpointDraft(
            self.agency,
            self.kind,
            self.url,
            self.concurrency,
            self.receipt_key,
            self.id,
            self.replaces,
            rung=self.rung,
            hours=None if self.hours is None else self.hours.model_dump(mode="json"),
        )


class AbsenceIn(In):
    """No body of this role exists in this territory for this time; ``reason`` names the act that says so."""

    role: RoleCode
    territory: TerritoryCode
    valid_from: Instant
    valid_until: Instant | None = None
    reason: Line
    replaces: Version | None = None

    def to_draft(self) -> AbsenceDraft:
        """As the service takes it."""
        during = Interval(self.valid_from, self.valid_until)
        return AbsenceDraft(self.role, self.territory, during, self.reason, self.replaces)


class NamesOut(Out):
    """A name in the three languages."""

    kk: str
    ru: str
    en: str


class TerritoryOut(Out):
    """A node of the tree."""

    code: str
    kato: str | None
    kind: str
    parent: str | None
    name: NamesOut

    @classmethod
    def of(cls, row: Territory) -> "TerritoryOut":
        """From a row."""
        name = NamesOut(kk=row.name_kk, ru=row.name_ru, en=row.name_en)
        return cls(code=row.code, kato=row.kato, kind=row.kind, parent=row.parent, name=name)


class MandateOut(Out):
    """A role held."""

    role: str
    territory: str
    valid_from: datetime
    valid_until: datetime | None
    primary: bool

    @classmethod
    def of(cls, row: Mandate) -> "MandateOut":
        """From a row."""
        return cls(
            role=row.role,
            territory=row.territory,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            primary=row.is_primary,
        )


class EndpointOut(Out):
    """A way to reach an agency's system."""

    id: UUID
    agency_id: UUID
    kind: str
    url: str
    concurrency: int
    receipt_key: str | None
    rung: int
    hours: dict[str, Any] | None
    version: int
    registered_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: Endpoint) -> "EndpointOut":
        """From a row."""
        return cls.model_validate(row)


class AgencyOut(Out):
    """An agency.

    Attributes:
        mandates: those in force; a registrar sees past and future ones too.
        primary: given when a role and a territory were asked for: whether this one would be told.
        stands_in: it would be told in the place of a body that is declared absent.
        endpoints: shown to a registrar and to the agency itself, when one agency is asked for.
    """

    id: UUID
    code: str
    name: NamesOut
    superior_id: UUID | None
    mandates: list[MandateOut]
    version: int
    retired_at: datetime | None
    primary: bool | None = None
    stands_in: bool | None = None
    endpoints: list[EndpointOut] | None = None

    @classmethod
    def of(
        cls, agency: Agency, mandates: Iterable[Mandate], *, at: datetime | None, **more: Any
    ) -> "AgencyOut":
        """From rows; ``at`` ``None`` shows every mandate."""
        shown = [
            MandateOut.of(mandate)
            for mandate in mandates
            if at is None or Interval(mandate.valid_from, mandate.valid_until).covers(at)
        ]
        return cls(
            id=agency.id,
            code=agency.code,
            name=NamesOut(kk=agency.name_kk, ru=agency.name_ru, en=agency.name_en),
            superior_id=agency.superior_id,
            mandates=shown,
            version=agency.version,
            retired_at=agency.retired_at,
            **more,
        )


class AbsenceOut(Out):
    """A declared absence."""

    id: UUID
    role: str
    territory: str
    valid_from: datetime
    valid_until: datetime | None
    reason: str
    version: int

    @classmethod
    def of(cls, row: Absence) -> "AbsenceOut":
        """From a row."""
        return cls.model_validate(row)


Duty = Annotated[str, StringConstraints(max_length=40, pattern=r"^[A-Z][A-Za-z0-9]*-[A-Za-z0-9._]+$")]
"""Rule of the law."""

PeriodKey = Annotated[
    str,
    StringConstraints(max_length=9, pattern=r"^20[0-9]{2}(-(0[1-9]|1[0-2]|Q[1-4]|H[12])|/20[0-9]{2})$"),
]
"""Month, quarter, half-year or school year."""


class ReturnBodyIn(In):
    """What is handed in for one period; the document itself stays with its agency.

    Nothing about a child belongs here: ``reference`` and ``outgoing_number`` are the agency's own numbers.
    """

    duty: Duty = Field(description="rule, as in the list of periods, e.g. `R264-22a`")
    period: PeriodKey = Field(description="`2026-10`, `2026-Q4`, `2026-H2` or `2026/2027`")
    reference: Annotated[Line, StringConstraints(max_length=200)]
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the document, hexadecimal")
    outgoing_number: Annotated[Line, StringConstraints(max_length=60)]


class ReturnOut(Out):
    """What was handed in; it is never altered."""

    id: UUID
    agency_id: UUID
    duty: str
    period: str
    reference: str
    digest: str
    outgoing_number: str
    submitted_at: datetime

    @classmethod
    def of(cls, row: Return) -> "ReturnOut":
        """From a row."""
        return cls.model_validate(row)
