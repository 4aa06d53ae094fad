"""Who may look at which part of the ledger (anchors/trust.md §4; architecture §4).

An operator sees ids and states, no facts. An agency sees what is addressed to it, duties in which it is
a party, and how far the deliveries that carry its duties have come. Contact centre 111 supervises the
alerts that it knows (joint order ¶14(3)): states and clocks of all bodies, no content. Nobody else.
"""

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

SUPERVISOR = "contact_centre_111"


class Sight(Enum):
    """How much a caller sees of one alert."""

    EVERYTHING = "everything"
    SUPERVISION = "supervision"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A caller with an alert in front of it; ``agency`` is ``None`` for the operator."""

    sight: Sight
    agency: UUID | None

    @property
    def sees_all(self) -> bool:
        """Whether every row of the alert is shown."""
        return self.sight is not Sight.OWN

    def sees_obligation(self, *, obliged: UUID | None, recipient: UUID | None, was_dispatched: bool) -> bool:
        """A duty is shown to who owes it, and to its recipient once a notice of it exists."""
        if self.sees_all:
            return True
        return obliged == self.agency or (was_dispatched and recipient == self.agency)

    def sees_delivery(self, *, agency: UUID | None, carries_duty_of: frozenset[UUID | None]) -> bool:
        """A delivery is shown to whom it is addressed, and to those whose duties it carries."""
        return self.sees_all or agency == self.agency or self.agency in carries_duty_of

    def is_addressee(self, agency: UUID | None) -> bool:
        """Whether this caller is whom the notice is for: notice and receipt in full."""
        return self.agency is not None and agency == self.agency


def sight_of(role: str, bodies: tuple[str, ...]) -> Sight | None:
    """How a caller looks at an alert that it knows; ``None`` when it may look at none."""
    if role == "operator":
        return Sight.EVERYTHING
    if role != "agency":
        return None
    return Sight.SUPERVISION if SUPERVISOR in bodies else Sight.OWN
