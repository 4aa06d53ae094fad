"""Who holds a role in a territory at a time: the nearest primary holder upward, or a stand-in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from types import MappingProxyType
from uuid import UUID

from registry.domain.territory import Lineage
from registry.errors import IntervalInverted

STAND_INS: Mapping[str, str] = MappingProxyType({"regional_child_rights_body": "guardianship_body"})
"""Who takes every duty of a body that is declared absent (joint order ¶8, 12, 17, 21)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``valid_from`` until just before ``valid_until``; ``None`` is open. Aware datetimes."""

    valid_from: datetime
    valid_until: datetime | None = None

    def __post_init__(self) -> None:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise IntervalInverted(pointer="#/valid_until")

    def covers(self, at: datetime) -> bool:
        """Whether ``at`` lies inside."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)

    def overlaps(self, other: "Interval") -> bool:
        """Whether some instant lies inside both."""
        starts = max(self.valid_from, other.valid_from)
        return all(i.valid_until is None or starts < i.valid_until for i in (self, other))


@dataclass(frozen=True, slots=True)
class Mandate:
    """An agency holds a role in a territory for a time."""

    agency_id: UUID
    role: str
    territory: str
    during: Interval
    primary: bool = True


@dataclass(frozen=True, slots=True)
class Absence:
    """In this territory no body of this role exists for this time: declared, never guessed."""

    role: str
    territory: str
    during: Interval


@dataclass(frozen=True, slots=True)
class Holder:
    """The answer: the agency, and the role it acts in (another one when it stands in)."""

    agency_id: UUID
    role: str
    territory: str
    stands_in: bool = False


def resolve(
    role: str,
    territory: Lineage,
    at: datetime,
    mandates: Iterable[Mandate],
    absences: Iterable[Absence],
) -> Holder | None:
    """Find who holds ``role`` in ``territory`` at ``at``: nearest upward, primary mandates only.

    Where the body is declared absent, its stand-in is looked for instead, even if a mandate
    contradicts the declaration. A body that is merely missing has no stand-in: ``None`` then, so
    that the notice is visibly without a route (architecture §3).

    Args:
        role: role code of the law.
        territory: the place and those above it, nearest first.
        at: aware instant.
        mandates: every mandate that might matter; others do no harm.
        absences: likewise.
    """
    acting = role
    if role in STAND_INS and is_absent(role, territory, at, absences):
        acting = STAND_INS[role]
    valid = [m for m in mandates if m.primary and m.role == acting and m.during.covers(at)]
    for place in territory:
        holders = [m.agency_id for m in valid if m.territory == place]
        if holders:
            # Two primaries cannot be registered; should a copy hold them, everybody must pick the same.
            return Holder(min(holders, key=str), acting, place, stands_in=acting != role)
    return None


def is_absent(role: str, territory: Lineage, at: datetime, absences: Iterable[Absence]) -> bool:
    """Whether the body is declared absent here; a declaration speaks for every territory below its own."""
    return any(a.role == role and a.territory in territory and a.during.covers(at) for a in absences)


@dataclass(frozen=True, slots=True)
class Names:
    """A name in the three languages."""

    kk: str
    ru: str
    en: str


@dataclass(frozen=True, slots=True)
class MandateDraft:
    """A role to be held.

    Attributes:
        territory: in any form that the tree knows.
        valid_from: ``None``: as it is registered already, else from now.
        primary: ``None``: as it is registered already, else whether nobody else is.
    """

    role: str
    territory: str
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    primary: bool | None = None


@dataclass(frozen=True, slots=True)
class AgencyDraft:
    """An agency to be registered, or registered anew.

    Attributes:
        superior: code of the agency above; it gets what this one leaves unanswered.
        replaces: the version that this one takes the place of; ``None`` for a new agency.
        id: fixed by the seed; otherwise random.
    """

    code: str
    names: Names
    mandates: tuple[MandateDraft, ...]
    superior: str | None = None
    replaces: int | None = None
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AbsenceDraft:
    """An absence to be declared, or declared anew; role, territory and beginning say which one.

    An end equal to the beginning takes the declaration back.
    """

    role: str
    territory: str
    during: Interval
    reason: str
    replaces: int | None = None


def is_rival(mandate: Mandate, other: Mandate) -> bool:
    """Whether two agencies would both be primary for a role in a territory at some instant."""
    return (
        mandate.primary
        and other.primary
        and mandate.agency_id != other.agency_id
        and (mandate.role, mandate.territory) == (other.role, other.territory)
        and mandate.during.overlaps(other.during)
    )


def have_rivals(mandates: Iterable[Mandate]) -> bool:
    """Whether any two of them are rivals."""
    by_place: dict[tuple[str, str], list[Mandate]] = defaultdict(list)
    for mandate in mandates:
        by_place[mandate.role, mandate.territory].append(mandate)
    return any(is_rival(*pair) for held in by_place.values() for pair in combinations(held, 2))
