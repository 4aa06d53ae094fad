"""Tables of casework."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, MetaData, Uuid
from sqlmodel import Field, SQLModel

from common.db import NAMING, Json
from common.ids import new_id
from common.outbox import add_tables


class Model(SQLModel):
    """Base of casework's tables: metadata of its own."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


class Case(Model, table=True):
    """The file of one child's protection.

    ``territory`` and ``opened_at`` are unknown until the event that says so came; events may overtake
    one another.
    """

    __tablename__ = "cases"
    __table_args__ = (Index(None, "created_at", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    state: str = Field(max_length=20)
    territory: str | None = Field(default=None, max_length=9)
    opened_at: datetime | None = None
    coordinating_role: str | None = Field(default=None, max_length=60)
    coordinating_agency: UUID | None = Field(default=None, index=True)
    created_at: datetime
    # The case that continues, for one that was joined; nothing moves, so that parting loses nothing.
    joined_into: UUID | None = Field(default=None, foreign_key="cases.id", index=True)
    # Of two tellings the greater counts.
    joined_no: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))


class CaseAlert(Model, table=True):
    """Which case an alert belongs to. One case an alert; joined cases point to the one that continues."""

    __tablename__ = "case_alerts"

    alert_id: UUID = Field(primary_key=True)
    # Deferred: this row is written first, because its key decides which of two writers opens the case.
    case_id: UUID = Field(
        sa_column=Column(
            Uuid, ForeignKey("cases.id", deferrable=True, initially="DEFERRED"), nullable=False, index=True
        )
    )
    received_at: datetime | None = None


class Task(Model, table=True):
    """An act-duty of an agency, as notifier told it last."""

    __tablename__ = "tasks"
    __table_args__ = (Index(None, "assignee", "due_at", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    obligation_id: UUID = Field(unique=True)
    case_id: UUID = Field(foreign_key="cases.id", index=True)
    rule: str = Field(max_length=40)
    obliged: str = Field(max_length=60)
    recipient: str | None = Field(default=None, max_length=60)
    force: str = Field(max_length=40)
    assignee: UUID | None = None
    told_state: str = Field(max_length=20)
    state: str = Field(max_length=20)
    starts_at: datetime
    due_at: datetime | None = None
    breach_at: datetime | None = None
    met_at: datetime | None = None
    breached_at: datetime | None = None
    waived_at: datetime | None = None
    # Codes of the facts that meet it, as notifier told them.
    evidence: list[str] = Field(default_factory=list, sa_column=Column(Json, nullable=False))


class DutyFact(Model, table=True):
    """That a duty was met, breached or waived, kept for every duty: the fact may come before its task."""

    __tablename__ = "duty_facts"

    obligation_id: UUID = Field(primary_key=True)
    alert_id: UUID
    met_at: datetime | None = None
    breached_at: datetime | None = None
    waived_at: datetime | None = None


class Succession(Model, table=True):
    """Who took the place of a retired body under one role: an older copy of a duty may still name that."""

    __tablename__ = "successions"

    alert_id: UUID = Field(primary_key=True)
    former_id: UUID = Field(primary_key=True)
    role: str = Field(primary_key=True, max_length=60)
    successor_id: UUID
    passed_at: datetime


class Explanation(Model, table=True):
    """What a body says of a breach; ``sealed`` holds the words. It may come before its task."""

    __tablename__ = "explanations"

    id: UUID = Field(primary_key=True)
    obligation_id: UUID = Field(index=True)
    by: str = Field(max_length=8)
    explained_at: datetime
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Exclusion(Model, table=True):
    """An agency that must not be able to tell that the case of this alert exists.

    In force unless lifted after it was raised last; of two times of one kind the later counts.
    """

    __tablename__ = "exclusions"

    alert_id: UUID = Field(primary_key=True)
    agency_id: UUID = Field(primary_key=True)
    raised_at: datetime | None = None
    lifted_at: datetime | None = None


class Appointment(Model, table=True):
    """The act by which a case manager was appointed; one a case. ``person`` is sealed with AES-256-GCM."""

    __tablename__ = "appointments"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id", unique=True)
    agency_id: UUID
    person: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    accepted_at: datetime | None = None
    appointed_at: datetime
    appointed_by: str = Field(max_length=200)


class Record(Model, table=True):
    """A signed fact, with its evidence; never changed. ``sealed`` holds the person and all words."""

    __tablename__ = "records"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    case_id: UUID = Field(foreign_key="cases.id", index=True)
    kind: str = Field(max_length=60)
    agency_id: UUID
    happened_at: datetime
    digest: str | None = Field(default=None, max_length=64)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    # Keyed digest of what was told: the same record twice is one.
    token: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    supersedes: UUID | None = Field(default=None, foreign_key="records.id", unique=True)
    recorded_at: datetime
    recorded_by: str = Field(max_length=200)


add_tables(Model.metadata)
