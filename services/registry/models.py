"""Tables of the register. Current facts are rows; every change is kept as well, as the event that told it."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, MetaData, SmallInteger, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field, SQLModel

from common.db import NAMING, Json
from common.ids import new_id
from common.outbox import add_tables


class Model(SQLModel):
    """Base of registry's tables: metadata of its own."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


class Territory(Model, table=True):
    """A node of the tree; ``code`` is ISO 3166-2, ``KZ`` the root."""

    __tablename__ = "territories"

    code: str = Field(primary_key=True, max_length=9)
    kato: str | None = Field(default=None, max_length=9, unique=True)
    kind: str = Field(max_length=20)
    parent: str | None = Field(default=None, max_length=9, foreign_key="territories.code")
    name_kk: str
    name_ru: str
    name_en: str
    centre_kk: str


class Agency(Model, table=True):
    """An organisation with powers or duties in law, as it is now."""

    __tablename__ = "agencies"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    code: str = Field(max_length=80, unique=True)
    version: int
    name_kk: str
    name_ru: str
    name_en: str
    # Deferred: a file of agencies may name a superior before its row.
    superior_id: UUID | None = Field(
        default=None,
        sa_column=Column(Uuid, ForeignKey("agencies.id", deferrable=True, initially="DEFERRED")),
    )
    registered_at: datetime
    retired_at: datetime | None = None
    # Who takes the place of a retired one, where somebody does.
    successor_id: UUID | None = Field(default=None, foreign_key="agencies.id")


class Mandate(Model, table=True):
    """A role that an agency holds in a territory, from ``valid_from`` until before ``valid_until``."""

    __tablename__ = "mandates"
    __table_args__ = (Index(None, "role", "territory"),)

    agency_id: UUID = Field(primary_key=True, foreign_key="agencies.id")
    role: str = Field(primary_key=True, max_length=60)
    territory: str = Field(primary_key=True, max_length=9, foreign_key="territories.code")
    valid_from: datetime = Field(primary_key=True)
    valid_until: datetime | None = None
    is_primary: bool


_LIVE = text("revoked_at IS NULL")


class Endpoint(Model, table=True):
    """A way to reach an agency's system, as it is now. One live row an agency and address."""

    __tablename__ = "endpoints"
    __table_args__ = (
        Index(
            "ix_endpoints_live",
            "agency_id",
            "url",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    agency_id: UUID = Field(foreign_key="agencies.id")
    version: int
    kind: str = Field(max_length=20)
    url: str = Field(max_length=500)
    concurrency: int
    receipt_key: str | None = Field(default=None, max_length=44)
    # Step of the agency's ladder, and when somebody answers there; null is always.
    rung: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0")))
    hours: dict[str, Any] | None = Field(default=None, sa_column=Column(Json))
    registered_at: datetime
    revoked_at: datetime | None = None


class Absence(Model, table=True):
    """In this territory no body of this role exists for this time."""

    __tablename__ = "absences"
    __table_args__ = (UniqueConstraint("role", "territory", "valid_from"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    version: int
    role: str = Field(max_length=60)
    territory: str = Field(max_length=9, foreign_key="territories.code")
    valid_from: datetime
    valid_until: datetime | None = None
    reason: str = Field(sa_column=Column(Text, nullable=False))


class Return(Model, table=True):
    """What an agency handed in for a period of a duty that returns; never altered."""

    __tablename__ = "returns"
    __table_args__ = (
        UniqueConstraint("agency_id", "duty", "period"),
        Index(None, "agency_id", "submitted_at"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    agency_id: UUID = Field(foreign_key="agencies.id")
    duty: str = Field(max_length=40)
    period: str = Field(max_length=9)
    reference: str = Field(max_length=200)
    digest: str = Field(max_length=64)
    outgoing_number: str = Field(max_length=60)
    submitted_at: datetime
    submitted_by: str = Field(max_length=200)


class Change(Model, table=True):
    """One version of one thing, as it was told to the others; never altered."""

    __tablename__ = "changes"

    subject: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    type: str = Field(max_length=80)
    facts: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    recorded_at: datetime
    recorded_by: str = Field(max_length=200)


class Seeding(Model, table=True):
    """A set of seed files that was loaded; ``digest`` is the SHA-256 of all of them."""

    __tablename__ = "seedings"

    digest: str = Field(primary_key=True, max_length=64)
    loaded_at: datetime


add_tables(Model.metadata)
