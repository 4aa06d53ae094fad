"""How an alert stands for the body that a notice was addressed to.

Intake is not told how a case goes on. What it knows is under which duty the notifier told a body, and
the law fixes when that duty arises: the first circle at once (joint order ¶8, 12(1), 13), mobile groups and
the centre for the immediate visit (¶12(3)), health and the help cabinet with the assessment (¶16, 20),
everybody else when the matter was dispatched to them (¶12(6)–(7), 14(2)).
"""

from dataclasses import dataclass
from typing import Final

_FIRST_CIRCLE: Final = frozenset(
    {
        "internal_affairs",
        "regional_child_rights_body",
        "case_manager",
        "coordinating_body_head",
        "guardianship_body",
        "regional_child_ombudsman",
        "national_child_ombudsman",
        "child_rights_authority",
        "child_rights_agency",
    }
)
_VISIT: Final = frozenset(
    {
        "family_mobile_group",
        "psych_support_centre",
        "psc_head",
        "psc_management",
        "psc_mobile_response_group",
        "psc_specialist",
    }
)
_ASSESSMENT: Final = frozenset({"health_org", "emergency_medical", "child_violence_help_cabinet"})
TRIP_GRANT: Final = ("F0", "F1", "F2", "F3", "F4", "F8")
"""Field groups that the immediate visit opens."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Status code of the access matrix, and the groups that the duty itself grants."""

    status: str
    granted: tuple[str, ...] = ()
    stands_in: bool = False


def standing_of(body: str) -> Standing:
    """The alert's standing for a body under whose role code a notice was sent."""
    if body in _VISIT:
        return Standing("S0", TRIP_GRANT)
    if body in _FIRST_CIRCLE:
        # The joint order tells guardianship only in place of a regional body that does not exist.
        return Standing("S0", stands_in=body == "guardianship_body")
    return Standing("S1" if body in _ASSESSMENT else "S2")
