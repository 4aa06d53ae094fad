"""Who coordinates a case (joint order ¶17), and who accompanies the child (¶12(2))."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

COORDINATING = ("regional_child_rights_body", "guardianship_body")
"""Bodies that may coordinate; the second where the first is declared absent."""

APPOINTMENT_RULE = "R136-12.2"
"""Appoint the case manager, one working day."""


@dataclass(frozen=True, slots=True)
class Coordinator:
    """The agency that coordinates, and the role in which it does."""

    role: str
    agency: UUID

    def standing(self) -> tuple[int, str]:
        """Sort key: the greater coordinates."""
        return -COORDINATING.index(self.role), str(self.agency)


@dataclass(frozen=True, slots=True)
class Employee:
    """The person: kept sealed, never in an event or a log."""

    name: str
    position: str


def choose_coordinator(candidates: Iterable[Coordinator]) -> Coordinator | None:
    """The same choice from the same candidates, in whatever order they become known."""
    return max(candidates, key=Coordinator.standing, default=None)
