"""A task is what several copies of one duty, in any order, say together.

Events may overtake one another and come twice. Every rule here therefore takes the greater of two
values under one fixed order: whatever the order of arrival, the same task comes out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

_NEVER = datetime.min.replace(tzinfo=UTC)


class State(StrEnum):
    """Where a duty stands, as notifier says; casework never concludes it from the time."""

    PENDING = "pending"
    OPEN = "open"
    CANCELLED = "cancelled"
    WAIVED = "waived"
    MET = "met"


_RANK = {state: rank for rank, state in enumerate(State)}
"""A later state outranks an earlier one: a copy that was overtaken changes nothing."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One duty as one event tells it. Times are aware; ``None`` where the law gives none.

    Attributes:
        assignee: the agency that owes it; ``None`` while nobody holds the role.
        evidence: codes of the facts that meet it.
    """

    obligation_id: UUID
    rule: str
    obliged: str
    recipient: str | None
    force: str
    state: State
    starts_at: datetime
    due_at: datetime | None
    breach_at: datetime | None
    assignee: UUID | None
    evidence: tuple[str, ...] = ()

    def _standing(self) -> tuple[object, ...]:
        return (
            _RANK[self.state],
            self.starts_at,
            self.due_at or _NEVER,
            self.breach_at or _NEVER,
            str(self.assignee or ""),
            self.evidence,
        )

    def or_newer(self, other: "Copy") -> "Copy":
        """Whichever of the two says more: the later state, then the later clock."""
        return max(self, other, key=Copy._standing)


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened to a duty; the first telling counts. Either may come before the duty itself."""

    met_at: datetime | None = None
    breached_at: datetime | None = None
    waived_at: datetime | None = None

    def with_earlier(self, other: "Facts") -> "Facts":
        """Both tellings as one."""
        return Facts(
            _earlier(self.met_at, other.met_at),
            _earlier(self.breached_at, other.breached_at),
            _earlier(self.waived_at, other.waived_at),
        )


@dataclass(frozen=True, slots=True)
class Task:
    """A duty and what happened to it."""

    copy: Copy
    facts: Facts = Facts()

    @property
    def state(self) -> State:
        """``met`` or ``waived`` as soon as the fact is known, whatever the copies say."""
        if self.facts.met_at is not None:
            return State.MET
        return State.WAIVED if self.facts.waived_at is not None else self.copy.state

    @property
    def breached_at(self) -> datetime | None:
        """When the formal limit passed; stays so when the duty is met afterwards.

        Done before the limit and heard of after it there was no breach, in whatever order we are told.
        """
        met_at, limit = self.facts.met_at, self.copy.breach_at
        return (
            None if met_at is not None and limit is not None and met_at <= limit else self.facts.breached_at
        )

    @property
    def is_late(self) -> bool:
        """Whether the formal limit passed."""
        return self.breached_at is not None

    def with_copy(self, copy: Copy) -> "Task":
        """After one more copy."""
        return replace(self, copy=self.copy.or_newer(copy))

    def with_facts(self, facts: Facts) -> "Task":
        """After one more fact."""
        return replace(self, facts=self.facts.with_earlier(facts))


def breach_of(
    breached_at: datetime | None, *, met_at: datetime | None, limit: datetime | None
) -> datetime | None:
    """The breach that stands of one that was told: none where the duty was met by its limit."""
    return None if met_at is not None and limit is not None and met_at <= limit else breached_at


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return min(one, other)


def heir_of(heirs: Mapping[tuple[UUID, UUID, str], UUID], alert_id: UUID, agency: UUID, role: str) -> UUID:
    """Who stands for an agency under a role of an alert by now: the last of all who took its place."""
    seen = {agency}
    while (heir := heirs.get((alert_id, agency, role))) is not None and heir not in seen:
        seen.add(heir)
        agency = heir
    return agency
