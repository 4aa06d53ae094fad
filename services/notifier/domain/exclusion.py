"""Who must not be able to tell that an alert exists (architecture §3, *Conflict of interest*).

An organisation whose staff is suspected; when it is not known which one, every holder of that role in the
district. Exclusions beat every rule. What a school owed passes to the coordinating body; what was meant for
anybody else goes to the body above it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from notifier.domain.territory import chain

SCHOOLS: Final = frozenset(
    {
        "education_org",
        "education_org_head",
        "education_org_staff",
        "education_psychologist",
        "social_pedagogue",
        "sppss",
    }
)
"""Bodies that stand inside a school; the same as in the access table."""

COORDINATING: Final = frozenset({"regional_child_rights_body", "guardianship_body"})
POLICE: Final = "internal_affairs"
NAMED_ONLY: Final = COORDINATING | {POLICE}
"""Bodies that are shut out one by one: without every holder of the role nobody would help the child."""
SIDES: Final = {"coordinating": COORDINATING, "police": frozenset({POLICE})}
"""The two that lower a conflict together, by the roles under which they were told."""

STAFF: Final = frozenset({"education_staff", "organisation_staff"})
"""Relations of an alleged offender that implicate an organisation, named or not."""

Held = tuple[str, str]
"""A role and the territory in which it is held."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One agency, or every holder of ``role`` in ``territory``, is shut out of an alert.

    Attributes:
        territory: a district, or a region where no more is known; with ``role`` only.
    """

    alert_id: UUID
    agency_id: UUID | None = None
    role: str | None = None
    territory: str | None = None

    @property
    def mark(self) -> str:
        """Stable identity within an alert."""
        return f"agency:{self.agency_id}" if self.agency_id is not None else f"role:{self.role}"

    def covers(self, agency_id: UUID, held: Iterable[Held]) -> bool:
        """Whether it shuts out an agency that holds these roles."""
        if self.agency_id is not None:
            return self.agency_id == agency_id
        return any(
            role == self.role and is_near(territory, self.territory or territory) for role, territory in held
        )


def implied(
    alert_id: UUID, *, relation: str, implicated: Iterable[UUID], place: str
) -> tuple[Exclusion, ...]:
    """The exclusions that an alert brings with it."""
    named = tuple(Exclusion(alert_id, agency_id=agency) for agency in sorted(set(implicated), key=str))
    if named or relation not in STAFF:
        return named
    return tuple(Exclusion(alert_id, role=role, territory=district_of(place)) for role in sorted(SCHOOLS))


def district_of(place: str) -> str:
    """The district that a place lies in, or the region where that is all that is known."""
    levels = chain(place)
    # Two digits region, two digits district: the rest of a KATO code says where inside it.
    return next((level for level in levels if level.isdigit() and level.endswith("00000")), place)


def is_near(holder: str, district: str) -> bool:
    """Whether a territory lies in the district, or the district in it."""
    return holder in chain(district) or district in chain(holder)
