"""Alarms as the console draws them: the ladder of each, and who does what next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

FIRST, SECOND_ENDPOINT, DUTY_PHONE, SUPERIOR, OPERATOR = range(5)
"""Rungs, as notifier numbers them."""

TAKEN = "acknowledged"


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung that was climbed."""

    rung: int
    at: datetime
    last_at: datetime
    role: str
    times: int = 1
    reason: str | None = None
    delivery: UUID | None = None
    agency: UUID | None = None
    channel: str | None = None
    state: str | None = None
    transmitted_at: datetime | None = None
    acknowledged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NextRung:
    """What is climbed next if nobody answers."""

    rung: int
    at: datetime


@dataclass(frozen=True, slots=True)
class AlarmedDuty:
    """A duty that an alarm is about; ``text`` by language (kk, ru)."""

    obligation: UUID
    rule: str
    state: str
    text: dict[str, str] = field(default_factory=dict)
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm as notifier tells it."""

    id: UUID
    kind: str
    state: str
    alert: UUID
    role: str
    urgency: str
    reason: str
    since: datetime
    ladder: tuple[Rung, ...]
    number: str | None = None
    agency: UUID | None = None
    deadline_at: datetime | None = None
    duties: tuple[AlarmedDuty, ...] = ()
    next: NextRung | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody must do something."""
        return self.state == "open"

    @property
    def calls_operator(self) -> bool:
        """Whether the reader of the page is who must act now."""
        return next_of(self).who is Who.OPERATOR


class Who(StrEnum):
    """Whose turn it is."""

    OPERATOR = "operator"
    OWNER = "owner"
    LADDER = "ladder"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Turn:
    """Who does what next; ``code`` names the text."""

    who: Who
    code: str


def next_of(alarm: Alarm) -> Turn:
    """Who does what next.

    The ladder is never waited for where a person is needed already: who refused, a way that is gone,
    and a role that nobody holds are the operator's at once.
    """
    first = alarm.ladder[0] if alarm.ladder else None
    called = any(rung.rung == OPERATOR for rung in alarm.ladder)
    if not alarm.is_open:
        turn = Turn(Who.NOBODY, "closed")
    elif alarm.kind == "breach" and first is not None and first.state == TAKEN:
        turn = Turn(Who.OWNER, "owner_does")
    elif alarm.kind == "breach":
        turn = Turn(Who.OPERATOR, "phone_breach") if called else Turn(Who.LADDER, "climbs")
    elif first is not None and first.agency is None:
        turn = Turn(Who.OPERATOR, "name_holder")
    elif first is not None and first.state == "rejected":
        turn = Turn(Who.OPERATOR, "find_other")
    elif called:
        turn = Turn(Who.OPERATOR, "phone_dead" if first and first.state == "dead" else "phone")
    else:
        turn = Turn(Who.LADDER, "climbs")
    return turn


class Step(StrEnum):
    """How a rung is drawn: shape and word, never colour alone."""

    MISSED = "missed"
    TAKEN = "taken"
    TOLD = "told"
    TRYING = "trying"
    CALLED = "called"
    FAILED = "failed"
    SKIPPED = "skipped"
    NEXT = "next"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Node:
    """One place of the drawn ladder."""

    step: Step
    rung: int | None
    at: datetime | None = None
    climbed: Rung | None = None


_DRAWN = {
    "acknowledged": Step.TAKEN,
    "transmitted": Step.TOLD,
    "waiting": Step.TRYING,
    "leased": Step.TRYING,
    "dead": Step.FAILED,
    "rejected": Step.FAILED,
    "cancelled": Step.SKIPPED,
    "superseded": Step.SKIPPED,
}


def nodes_of(alarm: Alarm) -> list[Node]:
    """The ladder from its foot to the operator: what was climbed, passed over, comes next, and lies ahead.

    A rung that the agency lacks or that was off duty is never waited for, so that it shows as passed over.
    """
    climbed = [_node(rung) for rung in alarm.ladder]
    done = {rung.rung for rung in alarm.ladder}
    if alarm.kind == "breach":
        nodes = [Node(Step.MISSED, None, alarm.since), *climbed]
        expected: Sequence[int] = (OPERATOR,)
        top = max(done - {SUPERIOR}, default=SUPERIOR)
    else:
        top = max(done, default=FIRST)
        passed = [
            Node(Step.SKIPPED, rung)
            for rung in (SECOND_ENDPOINT, DUTY_PHONE, SUPERIOR)
            if rung < top and rung not in done
        ]
        nodes = sorted([*climbed, *passed], key=lambda node: node.rung or FIRST)
        expected = [rung for rung in (SECOND_ENDPOINT, DUTY_PHONE, SUPERIOR, OPERATOR) if rung > top]
    if not alarm.is_open:
        return nodes
    if alarm.next is not None and alarm.next.rung not in done:
        following = alarm.next
        for rung in expected:
            if rung < following.rung:
                nodes.append(Node(Step.SKIPPED, rung))
        nodes.append(Node(Step.NEXT, following.rung, following.at))
        expected = [rung for rung in expected if rung > following.rung]
    elif alarm.next is None or OPERATOR in done:
        expected = ()
    nodes += [Node(Step.AHEAD, rung) for rung in expected if rung not in done]
    return nodes


def _node(rung: Rung) -> Node:
    if rung.rung == OPERATOR and rung.delivery is None:
        return Node(Step.CALLED, rung.rung, rung.last_at, rung)
    step = _DRAWN.get(rung.state or "", Step.TRYING)
    at = rung.acknowledged_at if step is Step.TAKEN else rung.at
    return Node(step, rung.rung, at or rung.at, rung)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the alarms of a page come to."""

    yours: int
    climbing: int
    breached: int


def tally(alarms: Sequence[Alarm]) -> Tally:
    """How many wait for the reader, how many climb by themselves, how many are missed duties."""
    turns = [next_of(alarm) for alarm in alarms]
    return Tally(
        yours=sum(turn.who is Who.OPERATOR for turn in turns),
        climbing=sum(turn.who is Who.LADDER for turn in turns),
        breached=sum(alarm.kind == "breach" for alarm in alarms),
    )
