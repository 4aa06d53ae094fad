"""Who coordinates a case (joint order ¶17), and who accompanies the child (¶12(2))."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

COORDINATING = ("regional_child_rights_body", "guardianship_body")
"""Bodies that may coordinate; the second where the first is declared absent."""

APPOINTMENT_RULE = "R136-12.2"
"""Appoint the case manager, one working day."""

COORDINATION_RULE = "R136-17"
"""Coordinate the help for the child: whoever owes it coordinates the case."""


@dataclass(frozen=True, slots=True)
class Coordinator:
    """The agency that coordinates, and the role in which it does."""

    role: str
    agency: UUID

    def standing(self) -> tuple[int, str]:
        """Sort key: the greater coordinates."""
        return -COORDINATING.index(self.role), str(self.agency)


SCOPES: Mapping[str, str] = {
    COORDINATION_RULE: "help",
    "R136-14.3": "supervision",
    "R136-25b": "psychological_help",
    "R264-18d": "joint_work_under_threat",
}
"""Four paragraphs name four coordinators (discrepancies X9, X11): each by its own rule."""


@dataclass(frozen=True, slots=True)
class ScopedCoordinator:
    """Who coordinates one part of a case: ``agency`` is ``None`` while nobody holds the role."""

    scope: str
    role: str
    agency: UUID | None
    rule: str


def coordinators_of(duties: Iterable[tuple[str, str, UUID | None]]) -> tuple[ScopedCoordinator, ...]:
    """Who coordinates what, from the duties (rule, role, agency) of a case that are not over.

    In the sequence of ``SCOPES``; a joined case can have several of one scope.
    """
    found = {
        ScopedCoordinator(SCOPES[rule], role, agency, rule) for rule, role, agency in duties if rule in SCOPES
    }
    places = list(SCOPES)
    return tuple(sorted(found, key=lambda one: (places.index(one.rule), one.role, str(one.agency or ""))))


@dataclass(frozen=True, slots=True)
class Employee:
    """The person: kept sealed, never in an event or a log."""

    name: str
    position: str


def choose_coordinator(candidates: Iterable[Coordinator]) -> Coordinator | None:
    """The same choice from the same candidates, in whatever order they become known."""
    return max(candidates, key=Coordinator.standing, default=None)
