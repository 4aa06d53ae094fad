"""Whom a token speaks for."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

_PERSON_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_IIN: Final = re.compile(r"[0-9]{12}")


def is_person_code(code: str) -> bool:
    """Whether a code may stand for a person: short and opaque, and no IIN: it is written in records."""
    return _PERSON_CODE.fullmatch(code) is not None and _IIN.fullmatch(code) is None


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
        person: opaque code of the one human being who holds it, as its agency or office knows him;
            ``None`` for a system. Said by an issuer or a registrar, never by the bearer.
    """

    subject: str
    role: Role
    agency: UUID | None = None
    bodies: tuple[str, ...] = ()
    territory: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    person: str | None = None

    @property
    def whole_person(self) -> str | None:
        """The person among all persons: two bodies may give one code to two people."""
        return None if self.person is None else f"{self.agency or self.role.value}:{self.person}"

    def within(self, record: "AgencyRecord") -> "Bearer":
        """The same, without what the agency lost; what it gained comes with the next token."""
        bodies = tuple(body for body in self.bodies if body in record.bodies)
        territory = self.territory if self.territory in record.territories else record.territory
        if (bodies, territory) == (self.bodies, self.territory):
            return self
        return replace(self, bodies=bodies, territory=territory)


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
    """What registry says about an agency.

    Attributes:
        bodies: role codes that it holds now.
        territories: where it holds one of them.
        retired_at: from then on it holds nothing and nobody speaks for it.
    """

    id: UUID
    code: str
    names: dict[str, str]
    bodies: tuple[str, ...]
    territories: tuple[str, ...] = ()
    retired_at: datetime | None = None

    @property
    def territory(self) -> str | None:
        """The first of its territories; ``None`` when it holds nothing."""
        return self.territories[0] if self.territories else None

    def is_retired(self, now: datetime) -> bool:
        """Whether its end has come."""
        return self.retired_at is not None and self.retired_at <= now
