"""Tables of the gateway: who may call, what was taken back, who is signed in. Secrets only as hashes."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Column, Index, MetaData, UniqueConstraint
from sqlmodel import Field, SQLModel

from common.db import NAMING, Json
from common.ids import new_id
from common.outbox import add_tables


class Model(SQLModel):
    """Base of the gateway's tables: metadata of its own."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


class Standing(SQLModel):
    """Whom a row speaks for: the same columns in every table that carries it."""

    role: str
    agency_id: UUID | None = None
    territory: str | None = None
    person: str | None = Field(default=None, max_length=64)


class Client(Standing, Model, table=True):
    """A system that gets tokens with its own secret; ``secret_hash`` is argon2id."""

    __tablename__ = "clients"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    label: str
    bodies: list[str] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    names: dict[str, str] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    secret_hash: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None


class Revocation(Model, table=True):
    """Taken back: one token (``jti``), or everything issued to a client or an agency until ``revoked_at``.

    ``forget_at`` is when the last token it concerns has expired by itself.
    """

    __tablename__ = "revocations"
    __table_args__ = (UniqueConstraint("kind", "subject"), Index(None, "forget_at"))

    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: str
    subject: str
    revoked_at: datetime
    forget_at: datetime | None = None


class SignInCode(Standing, Model, table=True):
    """A link that opens the console once; ``digest`` is SHA-256 of the code."""

    __tablename__ = "sign_in_codes"

    digest: str = Field(primary_key=True)
    subject: str
    bodies: list[str] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    names: dict[str, str] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    created_at: datetime
    expires_at: datetime = Field(index=True)
    used_at: datetime | None = None


class ConsoleSession(Standing, Model, table=True):
    """Somebody signed in; ``digest`` is SHA-256 of the cookie's value."""

    __tablename__ = "console_sessions"

    digest: str = Field(primary_key=True)
    subject: str
    bodies: list[str] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    names: dict[str, str] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    created_at: datetime
    expires_at: datetime = Field(index=True)
    ended_at: datetime | None = None


add_tables(Model.metadata)
