"""The facts of one alert, with the questions settled that every rule asks of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from notifier.domain.calendar import WorkingCalendar
from notifier.domain.clock import Clock, Times
from notifier.domain.duty import Duty, Urgency
from notifier.domain.edition import (
    CONCERNED_BODY,
    COORDINATING_BODY,
    FIRST_HOLDER,
    HUB,
    STAND_INS,
    Advice,
    Condition,
    Edition,
    Rule,
    Withholding,
)
from notifier.domain.facts import Facts, Occurrence

REPORTER_HOLDS = "reporter"
HUB_HOLDS = "hub"
CONTACT_CENTRE = "contact_centre_111"
REGIONAL_BODY = "regional_child_rights_body"
GUARDIANSHIP_BODY = "guardianship_body"
PARENTS = "legal_rep"


class Standing(NamedTuple):
    """How a rule applies: owed when both are ``None``, else only advised, or withheld."""

    advice: Advice | None
    stop: Withholding | None


@dataclass(frozen=True, slots=True)
class Situation:
    """Facts, with the questions settled that every rule asks: who held it first, who coordinates.

    Attributes:
        since: when the clocks of this evaluation start: receipt, or a later fact.
        concerned: the body that a later fact is about.
    """

    edition: Edition
    facts: Facts
    calendar: WorkingCalendar
    first_holder: str
    holder: str
    reported_by: str
    since: datetime
    concerned: str | None = None
    counted: dict[Clock, tuple[Times, bool]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, edition: Edition, facts: Facts, calendar: WorkingCalendar, later: Occurrence | None = None
    ) -> "Situation":
        """Who had it first, by the parameters of the edition; ``later`` restarts every clock."""
        parameters = edition.parameters
        acting = parameters.acts_for.get(facts.reporter)
        body = acting.body if acting else facts.reporter
        if body == COORDINATING_BODY:
            body = _coordinating_body(facts)
        reported_by = facts.reported_by or (acting.reported_by if acting else None) or "head"
        reported = body in parameters.identifying_bodies or body in parameters.other_subjects
        holder, first = (REPORTER_HOLDS, body) if reported else (HUB_HOLDS, parameters.hub)
        since, concerned = (later.at, later.body) if later else (facts.received_at, None)
        return cls(edition, facts, calendar, first, holder, reported_by, since, concerned)

    def resolve(self, role: str) -> str:
        """The role behind a stand-in; any other role is itself."""
        if role == FIRST_HOLDER:
            return self.first_holder
        if role == COORDINATING_BODY:
            return _coordinating_body(self.facts)
        if role == HUB:
            return self.first_holder if self.holder == HUB_HOLDS else CONTACT_CENTRE
        if role == CONCERNED_BODY:
            return self.concerned or _coordinating_body(self.facts)
        return role

    def satisfies(self, conditions: tuple[Condition, ...]) -> bool:
        """Whether all conditions hold."""
        return all(self._value(condition.fact) in condition.values for condition in conditions)

    def _value(self, fact: str) -> object:
        return self.reported_by if fact == "reported_by" else getattr(self.facts, fact)

    def body_of(self, role: str) -> str:
        """The body that answers for a person or unit."""
        within = self.edition.parameters.within.get(role)
        return role if within is None else self.resolve(within)

    def standing(self, rule: Rule) -> Standing | None:
        """Whether the facts bring a rule, whatever bodies know of them; ``None`` when they do not."""
        advice = None
        if rule.scope.isdisjoint(self.facts.concerns):
            advice = rule.advice
            if advice is None or advice.scope.isdisjoint(self.facts.concerns):
                return None
        if not self.satisfies(rule.when):
            return None
        return Standing(advice, self._stop(rule))

    def _stop(self, rule: Rule) -> Withholding | None:
        """Why the rule must not be carried out; of the parents, what a person has decided beats the alert."""
        if PARENTS in rule.recipients and self.facts.parent_lock is not None:
            return next(iter(rule.withheld), None) if self.facts.parent_lock else None
        return next((each for each in rule.withheld if self.satisfies(each.when)), None)

    def sides(self, rule: Rule, informed: frozenset[str] | None) -> Iterator[tuple[str, str, str | None]]:
        """Who owes the rule to whom: (role as written, obliged, recipient) of every informed body.

        ``informed=None``: whoever is named knows, because a later fact is its own. Nobody notifies itself,
        nor its own house.
        """
        for written in rule.obliged:
            obliged = self.resolve(written) if written in STAND_INS else written
            body = self.body_of(obliged)
            if informed is not None and body not in informed:
                continue
            for recipient_role in rule.recipients or (None,):
                recipient = self.resolve(recipient_role) if recipient_role in STAND_INS else recipient_role
                if recipient != obliged and not (rule.dispatch != "none" and recipient == body):
                    yield written, obliged, recipient

    def limits(self, clock: Clock) -> tuple[Times, bool]:
        """Limits from ``since`` and whether they are provisional; counted once a clock."""
        if clock not in self.counted:
            self.counted[clock] = (
                clock.times(self.since, self.calendar),
                clock.is_provisional(self.since, self.calendar),
            )
        return self.counted[clock]

    def duty(self, rule: Rule, written: str, obliged: str, recipient: str | None) -> Duty:
        """The duty of one side, its clock counted from ``since``."""
        body = self.body_of(obliged)
        knows = rule.starts == "fact" or (body == self.first_holder and rule.starts == "information")
        holder = self.holder if knows and body == self.first_holder else body
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
            holder=holder,
            starts_at=self.since,
            due_at=due_at,
            breach_at=breach_at,
            state="open" if knows else "pending",
            urgency=_urgency(rule.clock),
            provisional=provisional,
            stand_in=not self.facts.regional_body
            and COORDINATING_BODY in (written, self.edition.parameters.within.get(written)),
            replaceable=rule.replaceable,
            edition=rule.edition,
            starts=rule.starts,
            evidence=rule.evidence,
            lasting=rule.lasting,
            calls_out=rule.calls_out,
        )


def _coordinating_body(facts: Facts) -> str:
    return REGIONAL_BODY if facts.regional_body else GUARDIANSHIP_BODY


def _urgency(clock: Clock) -> Urgency:
    if clock.kind == "immediately":
        return "immediate"
    return "urgent" if clock.kind in {"hours", "same_day"} else "routine"
