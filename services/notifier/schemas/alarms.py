"""Alarms and breaches on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from common.schemas import In, Out
from notifier.schemas.words import State, Words


class BreachStatementOut(Out):
    """What a body says of a breach; its words are for the two bodies alone."""

    by: Literal["owner", "superior"]
    at: datetime
    reason: str | None


class BreachOut(Out):
    """A duty was not done in its time; this stays when it is done late."""

    owner: UUID | None = Field(description="shown to the owner, to the body above it, and to the operator")
    reason: Literal["not_sent", "not_done"] | None
    breached_at: datetime
    statements: list[BreachStatementOut]


class ExplainedOut(BreachOut):
    """A breach whose reason was stated."""

    obligation: UUID
    rule: str


class ExplanationIn(In):
    """Why a duty was breached."""

    reason: Words


class RungOut(Out):
    """One rung of a ladder: who was told or called, when, by which way, and what came of it."""

    rung: int = Field(
        description="0 first way, 1 second endpoint, 2 duty phone or SMS, 3 superior body, 4 operator"
    )
    reason: str | None = Field(description="why it was climbed; none for the first way")
    at: datetime
    last_at: datetime
    times: int = Field(description="an operator is called again and again")
    delivery: UUID | None = Field(description="the delivery that this rung is; an operator has none")
    agency: UUID | None
    role: str
    channel: str | None = Field(description="kind of endpoint, `pull`, or `person`")
    state: State | None
    transmitted_at: datetime | None
    acknowledged_at: datetime | None = Field(description="when a named person took it")


class NextRungOut(Out):
    """What is climbed next if nobody answers, and when."""

    rung: int
    at: datetime


class AlarmedDutyOut(Out):
    """A duty that an alarm is about."""

    obligation: UUID
    rule: str
    citation: dict[str, str]
    text: dict[str, str]
    due_at: datetime | None
    breach_at: datetime | None
    force: str
    state: Literal["pending", "open", "met", "waived", "cancelled"]
    breach: BreachOut | None


class EscalationOut(Out):
    """An alarm: a notice that nobody answers, or acts that were not done in time."""

    id: UUID
    kind: Literal["silence", "breach"]
    state: Literal["open", "closed"]
    alert: UUID
    number: str | None = Field(description="short number of the alert, for the operator")
    agency: UUID | None = Field(
        description="who is silent, or owns the breach; none while nobody holds the role"
    )
    role: str
    urgency: Literal["immediate", "urgent", "routine"]
    reason: str
    since: datetime
    deadline_at: datetime | None
    delivery: UUID | None = Field(description="the first way; of a breach, the notice to the body above")
    duties: list[AlarmedDutyOut]
    ladder: list[RungOut]
    next: NextRungOut | None
