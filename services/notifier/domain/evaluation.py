"""Facts and an edition → who owes what to whom, by when. Pure: nothing is stored, no hour is asked.

One principle carries the whole fan-out: a duty opens when its obliged body has the information, because it
reported it, or because a notice that opens here will bring it. So no duty waits for a receipt that
nobody is bound to cause.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from notifier.domain.calendar import WorkingCalendar
from notifier.domain.clock import Clock, Times
from notifier.domain.edition import (
    COORDINATING_BODY,
    FIRST_HOLDER,
    HUB,
    Condition,
    Dispatch,
    DutyKind,
    Edition,
    Force,
    Phrase,
    Rule,
)
from notifier.domain.facts import Facts

Urgency = Literal["immediate", "urgent", "routine"]

REPORTER_HOLDS = "reporter"
HUB_HOLDS = "hub"
CONTACT_CENTRE = "contact_centre_111"
REGIONAL_BODY = "regional_child_rights_body"
GUARDIANSHIP_BODY = "guardianship_body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One duty of one body towards at most one recipient.

    Attributes:
        rule, citation, force, kind, text, clock: as in ``Rule``.
        obliged: role code of who owes it; a person's role keeps its own code (``education_org_head``).
        obliged_body: role of the agency that answers for it (``education_org`` for its head).
        recipient: role code, or ``None``.
        dispatch: something is sent to ``recipient`` exactly when this is not ``none``; never to parents, the
            child or the ambulance. Sending meets a ``notice``; an ``act`` stays open until there is evidence.
        holder: whose receipt starts the clock: ``reporter`` or ``hub`` = receipt of the alert, else the
            role code whose delivery must be transmitted first.
        starts_at, due_at, breach_at: UTC, assuming that every body got the information at
            ``received_at``; the ledger restarts a pending duty with ``clock.times(true start, calendar)``.
        state: ``open``, or ``pending`` while ``holder`` is a role that has not been reached.
        urgency: pace of the delivery that carries it.
        provisional: counted over a year whose moved days nobody has confirmed.
        stand_in: the guardianship body has it only because there is no regional body.
        replaceable: a step configured by us in place of an act that is not in our sources.
    """

    rule: str
    citation: Phrase
    force: Force
    kind: DutyKind
    text: Phrase
    obliged: str
    obliged_body: str
    recipient: str | None
    clock: Clock
    dispatch: Dispatch
    holder: str
    starts_at: datetime
    due_at: datetime | None
    breach_at: datetime | None
    state: Literal["pending", "open"]
    urgency: Urgency
    provisional: bool
    stand_in: bool
    replaceable: bool

    @property
    def is_sent(self) -> bool:
        """True when a message to ``recipient`` belongs to it, now or after a release."""
        return self.dispatch != "none"

    @property
    def key(self) -> str:
        """Stable identity within an alert: rule, obliged, recipient."""
        return f"{self.rule}:{self.obliged}:{self.recipient or '-'}"

    def as_row(self) -> dict[str, Any]:
        """The fields of ``POST /v1/obligations/preview`` (architecture §4); times stay ``datetime``."""
        return {
            "rule": self.rule,
            "citation": self.citation.bilingual(),
            "duty": self.text.bilingual(),
            "obliged": self.obliged,
            "recipient": self.recipient,
            "force": self.force,
            "starts_at": self.starts_at,
            "due_at": self.due_at,
            "breach_at": self.breach_at,
        }


@dataclass(frozen=True, slots=True)
class Advisory:
    """A duty shown with its clock that binds nobody; ``reason`` is a code, ``text`` the same in words."""

    duty: Duty
    reason: str
    text: Phrase

    def as_row(self) -> dict[str, Any]:
        """The duty's row and why it is only advisory."""
        return {**self.duty.as_row(), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Withheld:
    """A duty whose paragraph applies and which must not be carried out."""

    duty: Duty
    reason: str
    text: Phrase

    def as_row(self) -> dict[str, Any]:
        """The duty's row and why it is withheld."""
        return {**self.duty.as_row(), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that an edition says about one alert.

    Attributes:
        first_holder: role of the body that had the information first; ``holder`` is ``reporter`` or ``hub``.
        obligations: owed; in the sequence of the edition.
        advisories: shown, not owed.
        withheld: owed in principle, not to be done.
        not_yet_in_force: as in ``Edition``.
    """

    edition: str
    first_holder: str
    holder: str
    obligations: tuple[Duty, ...]
    advisories: tuple[Advisory, ...]
    withheld: tuple[Withheld, ...]
    not_yet_in_force: str | None = None

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The body of a preview answer: three lists of plain rows."""
        return {
            "obligations": [duty.as_row() for duty in self.obligations],
            "advisories": [advisory.as_row() for advisory in self.advisories],
            "withheld": [withheld.as_row() for withheld in self.withheld],
        }


@dataclass(frozen=True, slots=True)
class _Situation:
    """Facts, with the questions settled that every rule asks: who held it first, who coordinates."""

    edition: Edition
    facts: Facts
    calendar: WorkingCalendar
    first_holder: str
    holder: str
    reported_by: str
    counted: dict[Clock, tuple[Times, bool]] = field(default_factory=dict)

    @classmethod
    def of(cls, edition: Edition, facts: Facts, calendar: WorkingCalendar) -> "_Situation":
        parameters = edition.parameters
        acting = parameters.acts_for.get(facts.reporter)
        body = acting.body if acting else facts.reporter
        if body == COORDINATING_BODY:
            body = _coordinating_body(facts)
        reported_by = facts.reported_by or (acting.reported_by if acting else None) or "head"
        if body in parameters.identifying_bodies or body in parameters.other_subjects:
            return cls(edition, facts, calendar, body, REPORTER_HOLDS, reported_by)
        return cls(edition, facts, calendar, parameters.hub, HUB_HOLDS, reported_by)

    def resolve(self, role: str) -> str:
        if role == FIRST_HOLDER:
            return self.first_holder
        if role == COORDINATING_BODY:
            return _coordinating_body(self.facts)
        if role == HUB:
            return self.first_holder if self.holder == HUB_HOLDS else CONTACT_CENTRE
        return role

    def satisfies(self, conditions: tuple[Condition, ...]) -> bool:
        return all(self._value(condition.fact) in condition.values for condition in conditions)

    def _value(self, fact: str) -> object:
        return self.reported_by if fact == "reported_by" else getattr(self.facts, fact)

    def body_of(self, role: str) -> str:
        return self.edition.parameters.within.get(role, role)

    def sides(self, rule: Rule, informed: frozenset[str]) -> Iterator[tuple[str, str, str | None]]:
        """Who owes the rule to whom: (role as written, obliged, recipient) of every informed body.

        Nobody notifies itself.
        """
        for written in rule.obliged:
            obliged = self.resolve(written)
            if self.body_of(obliged) not in informed:
                continue
            for recipient_role in rule.recipients or (None,):
                recipient = None if recipient_role is None else self.resolve(recipient_role)
                if recipient != obliged:
                    yield written, obliged, recipient

    def limits(self, clock: Clock) -> tuple[Times, bool]:
        """Limits from ``received_at`` and whether they are provisional; counted once a clock."""
        if clock not in self.counted:
            start = self.facts.received_at
            self.counted[clock] = (
                clock.times(start, self.calendar),
                clock.is_provisional(start, self.calendar),
            )
        return self.counted[clock]

    def duty(self, rule: Rule, written: str, obliged: str, recipient: str | None) -> Duty:
        body = self.body_of(obliged)
        reported = body == self.first_holder and rule.starts == "information"
        (due_at, breach_at), provisional = self.limits(rule.clock)
        return Duty(
            rule=rule.id,
            citation=rule.citation,
            force=rule.force,
            kind=rule.kind,
            text=rule.text,
            obliged=obliged,
            obliged_body=body,
            recipient=recipient,
            clock=rule.clock,
            dispatch=rule.dispatch,
            holder=self.holder if reported else body,
            starts_at=self.facts.received_at,
            due_at=due_at,
            breach_at=breach_at,
            state="open" if reported else "pending",
            urgency=_urgency(rule.clock),
            provisional=provisional,
            stand_in=not self.facts.regional_body and written == COORDINATING_BODY,
            replaceable=rule.replaceable,
        )


def evaluate(edition: Edition, facts: Facts, calendar: WorkingCalendar) -> Evaluation:
    """What the edition says about these facts: owed, advisory, withheld.

    Total: unknown codes in ``facts`` open nothing and raise nothing; a reporter that is no body of
    ¶3 leaves the information with the hub.
    """
    situation = _Situation.of(edition, facts, calendar)
    informed = _informed(situation)
    obligations: list[Duty] = []
    advisories: list[Advisory] = []
    withheld: list[Withheld] = []
    for rule in edition.rules:
        named = not rule.scope.isdisjoint(facts.concerns)
        advice = None if named else rule.advice
        if advice and advice.scope.isdisjoint(facts.concerns):
            advice = None
        if not (named or advice) or not situation.satisfies(rule.when):
            continue
        stop = next((w for w in rule.withheld if situation.satisfies(w.when)), None)
        for side in situation.sides(rule, informed):
            duty = situation.duty(rule, *side)
            if advice:
                advisories.append(Advisory(duty, advice.reason, advice.text))
            elif stop:
                withheld.append(Withheld(duty, stop.reason, stop.text))
            else:
                obligations.append(duty)
    return Evaluation(
        edition=edition.id,
        first_holder=situation.first_holder,
        holder=situation.holder,
        obligations=tuple(obligations),
        advisories=tuple(advisories),
        withheld=tuple(withheld),
        not_yet_in_force=edition.not_yet_in_force,
    )


def _informed(situation: _Situation) -> frozenset[str]:
    """Every body that has the information or gets it by a notice owed here, however many steps away."""
    informed = frozenset({situation.first_holder})
    while True:
        reached = informed | {
            recipient
            for rule in situation.edition.rules
            if rule.dispatch != "none"
            and not rule.scope.isdisjoint(situation.facts.concerns)
            and situation.satisfies(rule.when)
            and not any(situation.satisfies(w.when) for w in rule.withheld)
            for _, _, recipient in situation.sides(rule, informed)
            if recipient
        }
        if reached == informed:
            return informed
        informed = reached


def _coordinating_body(facts: Facts) -> str:
    return REGIONAL_BODY if facts.regional_body else GUARDIANSHIP_BODY


def _urgency(clock: Clock) -> Urgency:
    if clock.kind == "immediately":
        return "immediate"
    return "urgent" if clock.kind in {"hours", "same_day"} else "routine"
