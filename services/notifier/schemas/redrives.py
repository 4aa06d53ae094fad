"""Shapes of failures and redrives."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from common.schemas import In, Out
from notifier.domain.delivery import Outcome, Reason
from notifier.domain.redrive import Selection, Trouble
from notifier.schemas.words import Flag, Instant, Line, State


class RedriveIn(In):
    """Which generation of the delivery the caller has seen."""

    generation: int | None = Field(None, strict=True, ge=1, le=1_000_000)


class RedriveSelection(In):
    """Which deliveries are meant; what is left out does not matter."""

    state: Trouble = Field(description="`retrying`: waits after a failed attempt")
    reason: Reason | None = None
    outcome: Outcome | None = Field(None, description="how the last attempt ended")
    status_class: int | None = Field(
        None, strict=True, ge=0, le=5, description="first digit of the last HTTP status; 0: none"
    )
    agency: UUID | None = None
    planned_from: Instant | None = None
    planned_until: Instant | None = Field(None, description="this moment itself is not included")

    def to_selection(self) -> Selection:
        """As the service takes it."""
        return Selection(
            trouble=self.state,
            reason=self.reason,
            outcome=self.outcome,
            status_class=self.status_class,
            agency_id=self.agency,
            planned_from=self.planned_from,
            planned_until=self.planned_until,
        )

    @classmethod
    def of(cls, selection: Selection) -> "RedriveSelection":
        """As it is shown."""
        return cls(
            state=selection.trouble,
            reason=selection.reason,
            outcome=Outcome(selection.outcome) if selection.outcome else None,
            status_class=selection.status_class,
            agency=selection.agency_id,
            planned_from=selection.planned_from,
            planned_until=selection.planned_until,
        )


class RedrivesIn(In):
    """A dry run or a proposal (`filter`), or the second person's word (`confirms`)."""

    filter: RedriveSelection | None = None
    dry_run: Flag = False
    reason: Line | None = Field(None, description="why; the second person reads it")
    confirms: UUID | None = None


class RedrivenOut(Out):
    """The generation that stands now; `is_new` when this call began it."""

    delivery: UUID
    generation: int
    is_new: bool


class RedriveRunOut(Out):
    """How far a redrive of many has come."""

    id: UUID
    filter: RedriveSelection
    started_at: datetime
    finished_at: datetime | None
    total: int
    redriven: int
    skipped: int


class RedriveAnswerOut(Out):
    """A dry run, a proposal, or a redrive that has begun."""

    count: int | None = None
    sample: list[UUID] | None = None
    proposal: UUID | None = None
    expires_at: datetime | None = None
    redrive: RedriveRunOut | None = None


class ProposedRedriveOut(Out):
    """A redrive that waits for another operator; `count` and `sample` as things stand now."""

    proposal: UUID
    expires_at: datetime
    is_own: bool
    reason: str
    filter: RedriveSelection
    count: int
    sample: list[UUID]


class RedriveRunsOut(Out):
    """Redrives of many."""

    proposed: list[ProposedRedriveOut]
    items: list[RedriveRunOut]
    next: str | None = None


class WayOut(Out):
    """An endpoint in force; its address is nothing that an operator needs."""

    endpoint: UUID
    kind: str
    rung: int
    paused_at: datetime | None


class FailureGroupOut(Out):
    """Deliveries that fail alike."""

    state: State
    reason: str | None
    outcome: str | None
    status_class: int | None
    agency: UUID | None
    count: int
    oldest_at: datetime
    urgency: Literal["immediate", "urgent", "routine"]
    ways: list[WayOut] = Field(default=[], description="the agency's endpoints in force, by rung")


class FailuresOut(Out):
    """What fails or needs a person."""

    items: list[FailureGroupOut]
    next: str | None = None
