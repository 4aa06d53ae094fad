"""What registry tells the others: who exists, who holds which role where, and how to reach them."""

from datetime import date, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.contracts.envelope import Event


class Mandate(BaseModel):
    """A role held in a territory for a time; ``territory`` ``KZ`` is the whole country.

    ``valid_until`` is exclusive; ``None`` means open.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str
    territory: str
    valid_from: datetime
    valid_until: datetime | None = None
    primary: bool = True


class AgencyRegistered(Event):
    """An agency as it is from ``version`` on; a higher version replaces a lower one."""

    type: ClassVar[str] = "kz.dabyl.agency.registered.v1"
    publisher: ClassVar[str] = "registry"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    agency_id: UUID
    version: int
    code: str
    name_kk: str
    name_ru: str
    name_en: str
    superior_id: UUID | None = None
    mandates: tuple[Mandate, ...]


class AgencyRetired(Event):
    """The agency holds no role from ``retired_at`` on; ``successor_id`` takes its place, if one is named."""

    type: ClassVar[str] = "kz.dabyl.agency.retired.v1"
    publisher: ClassVar[str] = "registry"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    agency_id: UUID
    version: int
    retired_at: datetime
    successor_id: UUID | None = None


HourMinute = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
"""Local time of day; ``24:00`` is the end of the day."""


class DutyWindow(BaseModel):
    """A stretch of one day, from ``opens`` until before ``closes``, local time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opens: HourMinute
    closes: HourMinute


class WeeklyWindow(DutyWindow):
    """A stretch of every such weekday; ``day`` 1 is Monday (ISO 8601)."""

    day: int = Field(ge=1, le=7)


class DutyException(BaseModel):
    """On this date these windows take the place of the weekly ones; none means nobody is on duty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: date
    windows: tuple[DutyWindow, ...] = ()


class DutyHours(BaseModel):
    """When somebody answers a way of an agency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weekly: tuple[WeeklyWindow, ...] = ()
    exceptions: tuple[DutyException, ...] = ()


class EndpointRegistered(Event):
    """A way to reach an agency's system, as it is from ``version`` on.

    Attributes:
        kind: which channel: ``webhook``, ``smtp``, ``sms``, ``voice``, ``amqp``, ``file``, or ``x-…`` of
            a plug-in; a body without an endpoint pulls its inbox.
        url: where the thin notice goes, unless that is a mailbox, a telephone or holds a password.
        sealed_url: then this instead: the address, sealed for notifier (base64).
        concurrency: requests in flight at the same time.
        receipt_key: Ed25519 public key (base64url of 32 bytes) that receipts must be signed with.
        rung: step of the agency's ladder: 0 first way, 1 second endpoint, 2 duty phone or SMS.
        hours: when somebody answers there; ``None`` is always. Silence skips a way that is off duty.
    """

    type: ClassVar[str] = "kz.dabyl.endpoint.registered.v1"
    publisher: ClassVar[str] = "registry"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    endpoint_id: UUID
    agency_id: UUID
    version: int
    kind: str
    url: str | None = None
    sealed_url: str | None = None
    concurrency: int = 8
    receipt_key: str | None = None
    rung: int = Field(default=0, ge=0, le=2)
    hours: DutyHours | None = None


class EndpointRevoked(Event):
    """The endpoint must not be used any more."""

    type: ClassVar[str] = "kz.dabyl.endpoint.revoked.v1"
    publisher: ClassVar[str] = "registry"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    endpoint_id: UUID
    agency_id: UUID
    version: int
    revoked_at: datetime


class BodyDeclaredAbsent(Event):
    """In this territory no body of this role exists for this time (architecture §3, last bullets).

    A fact with dates, never guessed from silence: only it lets guardianship stand in.
    """

    type: ClassVar[str] = "kz.dabyl.body.declared_absent.v1"
    publisher: ClassVar[str] = "registry"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    absence_id: UUID
    version: int
    role: str
    territory: str
    valid_from: datetime
    valid_until: datetime | None = None


class ReturnSubmitted(Event):
    """An agency handed in what a duty asks for at intervals. What it says stays in registry.

    Attributes:
        duty: rule of the law.
        period: ``2026-10``, ``2026-Q4``, ``2026-H2`` or ``2026/2027``.
    """

    type: ClassVar[str] = "kz.dabyl.return.submitted.v1"
    publisher: ClassVar[str] = "registry"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    return_id: UUID
    agency_id: UUID
    duty: str
    period: str
    submitted_at: datetime
