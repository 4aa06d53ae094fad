"""Whom a token speaks for."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """Roles a caller from outside may have (architecture §4)."""

    AGENCY = "agency"
    OPERATOR = "operator"
    REGISTRAR = "registrar"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Bearer:
    """A person's or a system's standing, as a token, a client or a session carries it.

    Attributes:
        subject: who, opaque: a client id, or the agency or role a registrar had a token made for.
        role: what kind of caller.
        agency: registry id, for ``agency`` only.
        bodies: role codes of the joint order that the agency holds.
        territory: ISO 3166-2, or ``KZ`` for a national body.
        names: the agency's name by language; empty for the other roles.
    """

    subject: str
    role: Role
    agency: UUID | None = None
    bodies: tuple[str, ...] = ()
    territory: str | None = None
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """A verified access token.

    Attributes:
        bearer: whom it speaks for.
        client: client id that it was issued to (RFC 9068 ``client_id``).
        jti: the token's own id.
        issued_at: UTC; a later revocation of client or agency beats the token.
        expires_at: UTC.
    """

    bearer: Bearer
    client: str
    jti: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AgencyRecord:
    """What registry says about an agency."""

    id: UUID
    code: str
    names: dict[str, str]
    bodies: tuple[str, ...]
    territory: str | None
