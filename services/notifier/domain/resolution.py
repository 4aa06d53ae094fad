"""Who holds a role in a territory at a time (architecture §3, law/roles.md §6).

Nearest territory upward, one primary. That a body does not exist is a declared fact with dates, never
guessed from silence: only then the guardianship body takes its place. Nobody found is an answer too:
the delivery waits, blocked, with an alarm.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from uuid import UUID

from notifier.domain.exclusion import SCHOOLS
from notifier.domain.territory import chain

STAND_IN: dict[str, str] = {"regional_child_rights_body": "guardianship_body"}
"""Joint order ¶8, 12, 17, 21: who acts where no regional body exists."""

COORDINATING = "regional_child_rights_body"
"""The body that coordinates help; ``STAND_IN`` says who does where it does not exist."""


@dataclass(frozen=True, slots=True)
class Holding:
    """An agency holds a role in a territory from ``valid_from`` until before ``valid_until``."""

    agency_id: UUID
    role: str
    territory: str
    valid_from: datetime
    valid_until: datetime | None = None
    is_primary: bool = True

    def holds_at(self, moment: datetime) -> bool:
        """Whether the mandate is in force at ``moment``."""
        return self.valid_from <= moment and (self.valid_until is None or moment < self.valid_until)


@dataclass(frozen=True, slots=True)
class Absence:
    """No body of ``role`` exists in ``territory`` for this time."""

    role: str
    territory: str
    valid_from: datetime
    valid_until: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Whether the absence is declared for ``moment``."""
        return self.valid_from <= moment and (self.valid_until is None or moment < self.valid_until)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who answers for a role: ``role`` is the one under which it acts: the one asked for, or its stand-in."""

    agency_id: UUID
    role: str


@dataclass(frozen=True)
class Directory:
    """Holdings and absences that may matter for one territory chain.

    Attributes:
        superiors: the body above each agency; asked for only where somebody is excluded.
    """

    holdings: tuple[Holding, ...]
    absences: tuple[Absence, ...] = ()
    excluded: frozenset[UUID] = field(default_factory=frozenset)
    superiors: Mapping[UUID, UUID] = field(default_factory=dict)

    def is_absent(self, role: str, territory: str, moment: datetime) -> bool:
        """Whether ``role`` is declared not to exist in ``territory`` or in a territory above it.

        An absence declared for a region speaks for its districts; one declared for a district does
        not speak for the region.
        """
        levels = frozenset(chain(territory))
        return any(
            absence.role == role and absence.territory in levels and absence.holds_at(moment)
            for absence in self.absences
        )

    def effective_role(self, role: str, territory: str, moment: datetime) -> str:
        """The role that acts: the stand-in where the body is declared absent."""
        stand_in = STAND_IN.get(role)
        return stand_in if stand_in and self.is_absent(role, territory, moment) else role

    def holder(self, role: str, territory: str, moment: datetime) -> Holder | None:
        """The agency that answers for ``role``: nearest upward, the primary one, excluded ones never.

        One that is not marked primary is never told by its place alone: in the register every school
        and clinic holds its role so. Ties end by id, so that every worker finds the same.
        """
        acting = self.effective_role(role, territory, moment)
        for level in chain(territory):
            found = self._at(acting, level, moment)
            if found is not None:
                return Holder(found, acting)
        return None

    def answering(
        self, role: str, territory: str, moment: datetime, excluded: frozenset[UUID]
    ) -> Holder | None:
        """Who answers for ``role`` when some must not know: the holder, or whoever takes its place."""
        holder = self.holder(role, territory, moment)
        if holder is None or holder.agency_id not in excluded:
            return holder
        return self.in_place_of(holder, territory, moment, excluded)

    def in_place_of(
        self, shut_out: Holder, territory: str, moment: datetime, excluded: frozenset[UUID]
    ) -> Holder | None:
        """Who acts for a holder that is shut out.

        For a school the coordinating body; for any other body the one above it, or above that; where the
        register names none that may know, the next holder of the same role upward.
        """
        if shut_out.role in SCHOOLS:
            return self.answering(COORDINATING, territory, moment, excluded)
        seen = {shut_out.agency_id}
        above = self.superiors.get(shut_out.agency_id)
        while above is not None and above not in seen:
            if above not in excluded:
                return Holder(above, shut_out.role)
            seen.add(above)
            above = self.superiors.get(above)
        return replace(self, excluded=excluded).holder(shut_out.role, territory, moment)

    def is_only_excluded(self, role: str, territory: str, moment: datetime) -> bool:
        """Whether somebody holds the role here, but every holder is excluded: withheld, not missing."""
        unguarded = Directory(self.holdings, self.absences)
        return (
            self.holder(role, territory, moment) is None
            and unguarded.holder(role, territory, moment) is not None
        )

    def _at(self, role: str, level: str, moment: datetime) -> UUID | None:
        found: Iterable[UUID] = (
            holding.agency_id
            for holding in self._primary.get((role, level), ())
            if holding.agency_id not in self.excluded and holding.holds_at(moment)
        )
        return min(found, key=str, default=None)

    @cached_property
    def _primary(self) -> Mapping[tuple[str, str], Sequence[Holding]]:
        """By role and territory: one alert asks some sixty times, and a region has a thousand schools."""
        found: dict[tuple[str, str], list[Holding]] = {}
        for holding in self.holdings:
            if holding.is_primary:
                found.setdefault((holding.role, holding.territory), []).append(holding)
        return found
