"""Facts and an edition → who owes what to whom, by when. Pure: nothing is stored, no hour is asked.

One principle carries the whole fan-out: a duty opens when its obliged body has the information, because it
reported it, or because a notice that opens here will bring it. So no duty waits for a receipt that
nobody is bound to cause. What opens only after a later fact (a signed assessment, a formed group) is
asked for with that fact.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from notifier.domain.calendar import WorkingCalendar
from notifier.domain.duty import (
    CONCERN_NOT_NAMED,
    NO_CONCERN,
    Advisory,
    Duty,
    Evaluation,
    Urgency,
    Withheld,
)
from notifier.domain.edition import Edition, Rule
from notifier.domain.facts import Facts, Occurrence
from notifier.domain.situation import CONTACT_CENTRE, HUB_HOLDS, REPORTER_HOLDS, Situation, Standing

__all__ = [
    "CONTACT_CENTRE",
    "HUB_HOLDS",
    "REPORTER_HOLDS",
    "Advisory",
    "Duty",
    "Evaluation",
    "Rerating",
    "Urgency",
    "Withheld",
    "evaluate",
    "follow",
    "rerate",
]


def evaluate(edition: Edition, facts: Facts, calendar: WorkingCalendar) -> Evaluation:
    """What the edition says about these facts at receipt: owed, advisory, withheld.

    Total: unknown codes in ``facts`` open nothing and raise nothing; a reporter that is no body of
    ¶3 leaves the information with the hub.
    """
    situation = Situation.of(edition, facts, calendar)
    standing = _standing(situation, (rule for rule in edition.rules if rule.starts != "fact"))
    informed = _informed(situation, standing)
    return _answer(situation, standing, informed)


def follow(edition: Edition, facts: Facts, later: Occurrence, calendar: WorkingCalendar) -> Evaluation:
    """What a later fact opens under the edition of the alert; every clock starts with the fact.

    Its duties are open, not pending: whoever is named took part in the fact. Total, as ``evaluate``.
    """
    situation = Situation.of(edition, facts, calendar, later)
    opened = (replace(rule, starts="fact") for rule in edition.rules if later.fact in rule.after)
    standing = _standing(situation, opened)
    return replace(_answer(situation, standing, None), needs_a_person=None)


@dataclass(frozen=True, slots=True)
class Rerating:
    """What facts learned later change; history is kept, the ledger closes nothing by itself.

    Attributes:
        opened: new duties, with clocks from the moment of learning.
        overtaken: keys of duties that the law no longer asks for on these facts.
    """

    opened: Evaluation
    overtaken: tuple[str, ...]


def rerate(
    edition: Edition, before: Facts, after: Facts, learned_at: datetime, calendar: WorkingCalendar
) -> Rerating:
    """The stricter duties that a direct threat, or any fact learned later, opens from then on.

    ``learned_at`` starts the new clocks; duties that stand on both facts keep their own.
    """
    known = {duty.key for duty in evaluate(edition, before, calendar).obligations}
    now = evaluate(edition, replace(after, received_at=learned_at), calendar)
    opened = tuple(duty for duty in now.obligations if duty.key not in known)
    overtaken = known - {duty.key for duty in now.obligations}
    return Rerating(replace(now, obligations=opened), tuple(sorted(overtaken)))


def _standing(situation: Situation, rules: Iterable[Rule]) -> list[tuple[Rule, Standing]]:
    found = ((rule, situation.standing(rule)) for rule in rules)
    return [(rule, standing) for rule, standing in found if standing is not None]


def _answer(
    situation: Situation, rules: list[tuple[Rule, Standing]], informed: frozenset[str] | None
) -> Evaluation:
    obligations: list[Duty] = []
    advisories: list[Advisory] = []
    withheld: list[Withheld] = []
    for rule, (advice, stop) in rules:
        for side in situation.sides(rule, informed):
            duty = situation.duty(rule, *side)
            if advice:
                advisories.append(Advisory(duty, advice.reason, advice.text))
            elif stop:
                withheld.append(Withheld(duty, stop.reason, stop.text))
            else:
                obligations.append(duty)
    edition = situation.edition
    return Evaluation(
        edition=edition.id,
        first_holder=situation.first_holder,
        holder=situation.holder,
        obligations=tuple(obligations),
        advisories=tuple(advisories),
        withheld=tuple(withheld),
        not_yet_in_force=edition.not_yet_in_force,
        needs_a_person=None if obligations else _why_a_person(situation.facts),
    )


def _informed(situation: Situation, rules: list[tuple[Rule, Standing]]) -> frozenset[str]:
    """Every body that has the information or gets it by a notice owed here, however many steps away."""
    ways = [
        (situation.body_of(obliged), recipient)
        for rule, standing in rules
        if rule.dispatch != "none" and not any(standing)
        for _, obliged, recipient in situation.sides(rule, None)
    ]
    informed = {situation.first_holder}
    while True:
        reached = {recipient for body, recipient in ways if recipient and body in informed}
        if reached <= informed:
            return frozenset(informed)
        informed |= reached


def _why_a_person(facts: Facts) -> str:
    return CONCERN_NOT_NAMED if facts.concerns else NO_CONCERN
