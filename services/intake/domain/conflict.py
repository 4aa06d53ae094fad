"""Who must not be able to tell that an alert exists (architecture §3, conflict of interest).

The organisation whose staff is suspected; when it is not known which, every school, the reporting one
included. An unsure conflict never delays the police.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

SCHOOLS: Final = (
    "education_org",
    "education_org_head",
    "education_org_staff",
    "education_psychologist",
    "social_pedagogue",
    "sppss",
)
_STAFF: Final = frozenset({"education_staff", "organisation_staff"})


def excluded(relation: str, agency: UUID | None) -> tuple[str, ...]:
    """Marks of those who are shut out, from the facts of the alert."""
    if agency is not None:
        return (f"agency:{agency}",)
    return tuple(f"role:{role}" for role in SCHOOLS) if relation in _STAFF else ()


def marks_of(agency: UUID | None, bodies: Iterable[str]) -> tuple[str, ...]:
    """Every mark that a caller answers to."""
    own = (f"agency:{agency}",) if agency is not None else ()
    return (*own, *(f"role:{body}" for body in bodies))
