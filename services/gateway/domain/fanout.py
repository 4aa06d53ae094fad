"""One alert's fan-out as the console shows it: facts of deliveries, and where they lie on a time axis."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery. ``outcome`` is ``None`` while it runs; ``status`` is the HTTP status."""

    no: int
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An agency's answer; the person's name stays between agency and notifier."""

    status: str
    at: datetime
    person: dict[str, str] | None = None
    reference: str | None = None
    reason: str | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty that a notice carries; ``text`` by language (kk, ru)."""

    rule: str
    citation: dict[str, str] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    due_at: datetime | None = None
    force: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as notifier shows it (architecture §4)."""

    id: UUID
    role: str
    state: str
    agency: UUID | None = None
    reason: str | None = None
    urgency: str = "routine"
    duties: tuple[Duty, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: datetime | None = None
    transmitted_at: datetime | None = None
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    ack_due_at: datetime | None = None
    escalation_level: int = 0
    receipt: Receipt | None = None
    alert: UUID | None = None
    notice: int = 1
    generation: int = 1
    # Step of the ladder: 0 first way, 1 second endpoint, 2 duty phone, 3 superior body.
    rung: int = 0
    notice_digest: str | None = None
    created_at: datetime | None = None


class Outcome(StrEnum):
    """How an attempt is drawn: shape and word, never colour alone."""

    RUNNING = "running"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHED = "unreached"
    UNKNOWN = "unknown"


_DRAWN = {
    None: Outcome.RUNNING,
    "accepted": Outcome.ACCEPTED,
    "pulled": Outcome.ACCEPTED,
    "refused": Outcome.REFUSED,
    "redirected": Outcome.REFUSED,
    "throttled": Outcome.REFUSED,
    "failed": Outcome.REFUSED,
    "gone": Outcome.REFUSED,
    "unreachable": Outcome.UNREACHED,
    "forbidden_address": Outcome.UNREACHED,
    "unsendable": Outcome.UNREACHED,
    "no_adapter": Outcome.UNREACHED,
    "no_certificate": Outcome.UNREACHED,
    "no_key": Outcome.UNREACHED,
    "no_answer": Outcome.UNKNOWN,
    "lease_expired": Outcome.UNKNOWN,
}


def outcome_of(attempt: Attempt) -> Outcome:
    """How to draw an attempt; a word we do not know yet is drawn as unknown."""
    return _DRAWN.get(attempt.outcome, Outcome.UNKNOWN)


TERMINAL = frozenset({"acknowledged", "cancelled", "superseded"})
"""States in which nobody has to do anything more. ``dead`` and ``rejected`` wait for a person."""

NEEDS_A_PERSON = frozenset({"dead", "rejected"})
"""States that stay until somebody picks up the phone."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The one clock a lane shows: what it runs to and whether it has run out."""

    kind: str
    due_at: datetime
    overdue: bool


def clock_of(delivery: Delivery, now: datetime) -> Clock | None:
    """The clock that matters next for this lane.

    An answered delivery has none. One that reached its agency runs to the acknowledgement target; one
    that did not runs to the strictest duty it carries.
    """
    if delivery.state in TERMINAL | NEEDS_A_PERSON or delivery.acknowledged_at is not None:
        return None
    if delivery.transmitted_at is not None:
        due, kind = delivery.ack_due_at, "answer"
    else:
        due, kind = min((d.due_at for d in delivery.duties if d.due_at), default=None), "send"
    if due is None:
        due, kind = delivery.next_attempt_at, "next"
    if due is None:
        return None
    return Clock(kind, due, due <= now)


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on the axis; ``share`` runs from 0 to 1."""

    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Axis:
    """Time since receipt on a logarithmic scale: the first second and the first day both stay readable."""

    start: datetime
    span: float

    def share(self, at: datetime) -> float:
        """Place of an instant, 0 (receipt) to 1 (end of the axis)."""
        seconds = max(0.0, (at - self.start).total_seconds())
        return min(1.0, _scale(seconds) / _scale(self.span))

    def ticks(self) -> tuple[Tick, ...]:
        """Round durations that fit, with room between them."""
        steps = (0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)
        return tuple(Tick(step, _scale(step) / _scale(self.span)) for step in steps if step <= self.span)


def _scale(seconds: float) -> float:
    # 0.1 s is the finest thing worth a place of its own; below, the scale is linear.
    return math.log1p(seconds / 0.1)


_ENDS = (2, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400, 365 * 86400)
"""Seconds. An axis ends at one of these, so that marks stand still while somebody looks at them."""


def axis_for(start: datetime, instants: Iterable[datetime], now: datetime) -> Axis:
    """An axis from receipt to just after the last thing that happened, at most to the present."""
    last = max(instants, default=now)
    seconds = max(0.0, (min(last, now) - start).total_seconds())
    return Axis(start, next((end for end in _ENDS if end >= seconds), _ENDS[-1]))


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened on a lane; an attempt also has the place where it ``began``."""

    share: float
    kind: str
    at: datetime
    began: float | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One agency's row."""

    delivery: Delivery
    marks: tuple[Mark, ...]
    clock: Clock | None
    calls_for_a_person: bool


_ORDER = {"dead": 0, "rejected": 0, "waiting": 1, "leased": 1, "transmitted": 2, "acknowledged": 3}
_URGENCY = {"immediate": 0, "urgent": 1, "routine": 2}


def instants_of(delivery: Delivery) -> list[datetime]:
    """Everything of a delivery that has a place on the axis."""
    instants = [attempt.ended_at or attempt.started_at for attempt in delivery.attempts]
    return instants + [
        at for at in (delivery.transmitted_at, delivery.opened_at, delivery.acknowledged_at) if at is not None
    ]


def lanes_of(deliveries: Sequence[Delivery], axis: Axis, now: datetime) -> list[Lane]:
    """Lanes that still wait for something on top, then by urgency and role: a steady order to read in."""
    ordered = sorted(
        deliveries,
        key=lambda d: (d.state in TERMINAL, _URGENCY.get(d.urgency, 3), d.role, d.notice, str(d.id)),
    )
    return [_lane(delivery, axis, now) for delivery in ordered]


def _lane(delivery: Delivery, axis: Axis, now: datetime) -> Lane:
    marks = [
        Mark(
            share=axis.share(a.ended_at or a.started_at),
            kind=outcome_of(a),
            at=a.ended_at or a.started_at,
            began=axis.share(a.started_at),
            status=a.status,
        )
        for a in delivery.attempts
    ]
    # An accepted attempt is the transmission; the mark stands for it only where no attempt is known.
    told = None if any(mark.kind is Outcome.ACCEPTED for mark in marks) else delivery.transmitted_at
    for kind, at in (
        ("transmitted", told),
        ("opened", delivery.opened_at),
        ("acknowledged", delivery.acknowledged_at),
    ):
        if at is not None:
            marks.append(Mark(axis.share(at), kind, at))
    clock = clock_of(delivery, now)
    calls = (
        delivery.state in NEEDS_A_PERSON
        or delivery.escalation_level > 0
        or (delivery.reason or "").startswith("blocked")
    ) and delivery.state not in {"acknowledged", "cancelled", "superseded"}
    return Lane(delivery, tuple(sorted(marks, key=lambda mark: mark.at)), clock, calls)


def count_states(deliveries: Iterable[Delivery]) -> dict[str, int]:
    """How many lanes are in which state, most urgent state first."""
    counts: dict[str, int] = {}
    for delivery in deliveries:
        counts[delivery.state] = counts.get(delivery.state, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (_ORDER.get(item[0], 4), item[0])))


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert in the live list: opaque id, number, times and counts."""

    id: UUID
    received_at: datetime
    number: str | None = None
    urgency: str = "routine"
    territory: str | None = None
    trace_id: str | None = None
    states: dict[str, int] = field(default_factory=dict)
    oldest_unanswered_at: datetime | None = None
    escalation_level: int = 0
    needs_a_person: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        """Deliveries that a named person answered."""
        return self.states.get("acknowledged", 0) + self.states.get("rejected", 0)

    @property
    def total(self) -> int:
        """Deliveries that count: without cancelled and superseded ones."""
        return sum(n for state, n in self.states.items() if state not in {"cancelled", "superseded"})

    @property
    def stuck(self) -> int:
        """What will not move by itself: deliveries, or an alert for which the law names nobody."""
        return self.states.get("dead", 0) + self.states.get("rejected", 0) + bool(self.needs_a_person)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the alerts of a page come to, in deliveries."""

    waiting: int
    unanswered: int
    stuck: int
    answered: int


def tally(rows: Iterable[AlertRow]) -> Tally:
    """Counts over all deliveries of these alerts; each counts once."""
    sums: dict[str, int] = {}
    stuck = 0
    for row in rows:
        stuck += row.stuck
        for state, number in row.states.items():
            sums[state] = sums.get(state, 0) + number
    return Tally(
        waiting=sums.get("waiting", 0) + sums.get("leased", 0),
        unanswered=sums.get("transmitted", 0),
        stuck=stuck,
        answered=sums.get("acknowledged", 0),
    )
