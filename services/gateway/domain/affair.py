"""An alert as a body that has to act on it sees it, and what waits for a second person."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from gateway.domain.inbox import OwedDuty, Proposal


class Act(StrEnum):
    """Acts on a whole alert, as notifier names them under ``may``."""

    RELEASE = "release"
    CORRECTION = "correction"
    WITHDRAWAL = "withdrawal"
    RATING = "rating"
    UNFOUNDED = "unfounded"
    CONFLICT = "conflict"
    CONFLICT_LOWERED = "conflict_lowered"
    PARENT_LOCK = "parent_lock"
    LOCK_LIFTED = "lock_lifted"


class DutyAct(StrEnum):
    """Acts on one own duty, as notifier names them under ``may``."""

    RELEASE = "release"
    WAIVER = "waiver"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the alert, how many bodies were told of it and how many have confirmed."""

    change: str
    no: int
    at: datetime
    told: int = 0
    confirmed: int = 0


@dataclass(frozen=True, slots=True)
class Conflict:
    """Who is shut out of an alert; only those who may lower it are shown any."""

    id: UUID
    state: str
    since: datetime
    raised_by: str
    agency: UUID | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A body that was told of an alert."""

    role: str
    agency: UUID


@dataclass(frozen=True, slots=True)
class Affair:
    """An alert before one agency.

    Attributes:
        id: the agency's own id of it.
        may: what this agency may do with it now.
        parents_locked: nothing may reach the parents.
        own_open: how many duties it still owes; ``own_due_at``: when the first is due.
        held: why a public report waits for the hub; ``held_until``: when it leaves by itself.
    """

    id: UUID
    received_at: datetime
    number: str | None = None
    urgency: str = "routine"
    is_reporter: bool = False
    own_open: int | None = None
    own_due_at: datetime | None = None
    may: tuple[str, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    parents_locked: bool | None = None
    held: str | None = None
    held_until: datetime | None = None
    released_at: datetime | None = None
    needs_a_person: str | None = None
    changes: tuple[Change, ...] = ()

    def allows(self, act: Act) -> bool:
        """Whether this agency may do it now."""
        return act in self.may


@dataclass(frozen=True, slots=True)
class Pending:
    """A proposal with what it is about: a whole alert, or one duty."""

    proposal: Proposal
    duty: OwedDuty | None = None


def pending_of(affair: Affair, duties: list[OwedDuty]) -> list[Pending]:
    """Everything that waits for a second person; what lapses first stands on top."""
    found = [Pending(one) for one in affair.proposals]
    found += [Pending(one, duty) for duty in duties for one in duty.proposals]
    return sorted(found, key=lambda one: one.proposal.expires_at)


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation of the register, to be chosen from."""

    id: UUID
    code: str
    names: dict[str, str] = field(default_factory=dict)

    def name(self, language: str) -> str:
        """What the reader calls it."""
        return self.names.get(language) or self.names.get("ru") or self.names.get("kk") or self.code
