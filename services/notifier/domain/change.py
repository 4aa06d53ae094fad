"""What becomes of an alert after it was told, and who hears of it.

Whoever was told of an alert, or may have been, is told of its change by a further notice with the next
number. What was never sent for sure is superseded by that notice, which carries its duties on. No change
closes a duty: a report that is withdrawn or looks unfounded still obliges its bodies.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifier.domain.schedule import ORDER, Urgency


class ChangeKind(StrEnum):
    """What became of it; the code stands in the notice."""

    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"
    UNFOUNDED = "unfounded"
    RERATED = "rerated"


RATERS = ("internal_affairs", "regional_child_rights_body", "contact_centre_111")
"""Bodies that may say what they learned later, beside the reporter; guardianship where it stands in."""

FINDERS = ("internal_affairs", "regional_child_rights_body")
"""Bodies that may find a report unfounded; guardianship where it stands in."""

GUARDIANSHIP = "guardianship_body"


def may(bodies: Iterable[str], named: Iterable[str], *, regional_body: bool) -> bool:
    """Whether one of ``bodies`` is among ``named``, or is guardianship in the regional body's place."""
    held = set(bodies)
    return bool(held & set(named)) or (not regional_body and GUARDIANSHIP in held)


@dataclass
class Parcel:
    """What one agency is told by one notice of a change.

    Attributes:
        obligations: duties that the notice carries; ``also``: those that it only names.
        supersedes: deliveries whose place it takes.
    """

    agency: UUID
    bodies: dict[str, None] = field(default_factory=dict)
    urgency: Urgency = Urgency.ROUTINE
    deadlines: list[datetime] = field(default_factory=list)
    obligations: list[UUID] = field(default_factory=list)
    also: list[UUID] = field(default_factory=list)
    supersedes: list[UUID] = field(default_factory=list)

    def hurry(self, urgency: Urgency, due_at: datetime | None = None) -> None:
        """At least as urgent as this; never less."""
        self.urgency = min(self.urgency, urgency, key=ORDER.__getitem__)
        if due_at is not None:
            self.deadlines.append(due_at)


def parcel_of(parcels: dict[UUID, Parcel], agency: UUID, bodies: Iterable[str]) -> Parcel:
    """The one parcel of an agency; it is addressed under every role of its."""
    parcel = parcels.setdefault(agency, Parcel(agency))
    parcel.bodies |= dict.fromkeys(bodies)
    return parcel


def with_known(facts: Mapping[str, object], learned: Mapping[str, object]) -> dict[str, object]:
    """Facts after something was learned: what is not said stays; concerns are only ever added."""
    after = {**facts, **{name: value for name, value in learned.items() if name != "concerns"}}
    concerns = learned.get("concerns")
    if isinstance(concerns, Iterable):
        known = facts["concerns"]
        assert isinstance(known, Iterable)  # noqa: S101  # stored by ourselves
        after["concerns"] = sorted({*known, *concerns})
    return after
