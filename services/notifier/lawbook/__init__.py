"""Reads the law from its YAML files. The only place of the law that does I/O; called once, at the start.

A file that cannot be understood stops the load (``LawUnreadable``): a rule that is silently lost is an agency
that is silently not told. A calendar year without a file stops nothing (see ``domain.calendar``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from notifier.domain.calendar import WorkingCalendar, start_of
from notifier.domain.edition import Act, Edition, Rule
from notifier.domain.periodic import PeriodicDuty
from notifier.lawbook.document import LawUnreadable, read
from notifier.lawbook.editions import (
    HEAD,
    ActEdition,
    Practice,
    read_edition,
    read_facts,
    read_practice,
)
from notifier.lawbook.rules import Names, place_in_text
from notifier.lawbook.years import read_calendar

LAW = Path(__file__).parent.parent / "law"
_EARLY = "~"
_LONGEST_ID = 200
"""As the ledger stores it."""

__all__ = ["LAW", "ActEdition", "LawUnreadable", "Lawbook"]


@dataclass(frozen=True)
class Lawbook:
    """Every edition of every act that we hold, our practice, and the working calendar.

    Attributes:
        editions: of all acts, in the sequence in which they came into force.
        practices: our parameters, in sequence.
        calendar: working days with the moved days of every year file.
    """

    editions: tuple[ActEdition, ...]
    practices: tuple[Practice, ...]
    calendar: WorkingCalendar
    names: Names
    _composed: dict[str, Edition] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def load(cls, folder: Path = LAW) -> "Lawbook":
        """Read everything under ``folder``. Raises ``LawUnreadable``."""
        roles = read(folder / "roles.yaml").node("roles").phrases()
        names = Names(roles, read_facts(folder / "facts.yaml"))
        editions = [read_edition(path.parent, names) for path in sorted(folder.glob(f"*/{HEAD}"))]
        practices = [read_practice(path) for path in sorted(folder.glob("practice/*.yaml"))]
        if not any(edition.rules for edition in editions) or not practices:
            raise LawUnreadable(f"{folder}: no edition, or no practice")
        ids = [edition.id for edition in editions] + [practice.id for practice in practices]
        if len(ids) != len(set(ids)):
            raise LawUnreadable(f"{folder}: an edition id said twice")
        editions = _amended(sorted(editions, key=lambda edition: edition.act.effective_from))
        practices.sort(key=lambda practice: practice.effective_from)
        lawbook = cls(tuple(editions), tuple(practices), read_calendar(folder / "calendar"), names)
        for day in sorted({edition.act.effective_from for edition in editions}):
            _check(lawbook.edition_at(start_of(day)))
        return lawbook

    def edition_at(self, received_at: datetime) -> Edition:
        """The law in force at that aware instant: of every act its edition of the day, and our practice.

        Before the first edition of an act whose date is only assumed, that first one, and the answer is
        marked ``not_yet_in_force="assumed"``: an alert about a child is never left without duties because
        a date is not confirmed. An act whose date is confirmed binds nobody before it.
        """
        return self._compose(self._parts_at(received_at), self._practice_at(received_at))

    def edition(self, edition_id: str) -> Edition:
        """The law under which an obligation was born; ``KeyError`` when we do not hold it.

        Also takes the id of one act's edition: the law as it stood when that came into force.
        """
        if (known := self._composed.get(edition_id)) is not None:
            return known
        held = {edition.id: edition for edition in self.editions}
        if edition_id in held:
            return self.edition_at(start_of(held[edition_id].act.effective_from))
        *parts, practice_id = edition_id.split("+")
        practice = {practice.id: practice for practice in self.practices}[practice_id]
        chosen = [(held[part.removeprefix(_EARLY)], part.startswith(_EARLY)) for part in parts]
        if not chosen:
            raise KeyError(edition_id)
        return self._compose(chosen, practice)

    def periodic_at(self, moment: datetime) -> tuple[PeriodicDuty, ...]:
        """The duties that come with the calendar, by the editions of that aware instant."""
        latest: dict[str, ActEdition] = {}
        for edition in self.editions:
            if start_of(edition.act.effective_from) <= moment:
                latest[edition.act.id] = edition
        return tuple(duty for edition in latest.values() for duty in edition.periodic)

    def _parts_at(self, moment: datetime) -> list[tuple[ActEdition, bool]]:
        chosen: dict[str, tuple[ActEdition, bool]] = {}
        for edition in self.editions:
            if not edition.rules:
                continue
            act = edition.act
            if start_of(act.effective_from) <= moment:
                chosen[act.id] = (edition, False)
            elif act.id not in chosen and act.effective_assumed:
                chosen[act.id] = (edition, True)
        return [chosen[act] for act in sorted(chosen)]

    def _practice_at(self, moment: datetime) -> Practice:
        return next(
            (each for each in reversed(self.practices) if start_of(each.effective_from) <= moment),
            self.practices[0],
        )

    def _compose(self, parts: Sequence[tuple[ActEdition, bool]], practice: Practice) -> Edition:
        named = [(_EARLY if early else "") + part.id for part, early in parts]
        edition_id = "+".join([*named, practice.id])
        if edition_id not in self._composed:
            self._composed[edition_id] = _composed(edition_id, parts, practice, self.names)
        return self._composed[edition_id]


def _composed(
    edition_id: str, parts: Sequence[tuple[ActEdition, bool]], practice: Practice, names: Names
) -> Edition:
    acts: dict[str, Act] = {
        part.act.id: replace(part.act, early=early) if early else part.act for part, early in parts
    }
    target = practice.parameters.immediate_target
    rules = [
        replace(rule, clock=replace(rule.clock, target=target)) if rule.clock.kind == "immediately" else rule
        for part, _ in parts
        for rule in part.rules
    ]
    return Edition(
        id=edition_id,
        effective_from=max(start_of(part.act.effective_from) for part, _ in parts),
        acts=acts,
        parameters=practice.parameters,
        rules=tuple(rules),
        role_names=names.roles,
        not_yet_in_force="assumed" if any(early for _, early in parts) else None,
        facts=names.facts,
    )


def _check(edition: Edition) -> None:
    if len(edition.id) > _LONGEST_ID:
        raise LawUnreadable(f"{edition.id}: longer than the ledger stores")
    parameters = edition.parameters
    ids = [rule.id for rule in edition.rules]
    if len(ids) != len(set(ids)):
        raise LawUnreadable(f"{edition.id}: two acts name one rule id")
    for rule in edition.rules:
        if rule.dispatch != "none" and not parameters.never_contacted.isdisjoint(rule.recipients):
            raise LawUnreadable(f"{rule.id}: a message to somebody whom Dabyl never contacts")


def _amended(editions: Sequence[ActEdition]) -> list[ActEdition]:
    """Each edition complete: an amendment says only what it changes."""
    complete: dict[str, ActEdition] = {}
    for edition in editions:
        if edition.amends is None:
            if edition.repeals:
                raise LawUnreadable(f"{edition.id}: repeals rules and amends nothing")
            complete[edition.id] = edition
            continue
        former = complete.get(edition.amends)
        if former is None or former.act.id != edition.act.id:
            raise LawUnreadable(f"{edition.id}: amends no earlier edition of its act")
        if unknown := set(edition.repeals) - {rule.id for rule in former.rules}:
            raise LawUnreadable(f"{edition.id}: repeals {', '.join(sorted(unknown))}, which did not stand")
        complete[edition.id] = _with_amendment(former, edition)
    return list(complete.values())


def _with_amendment(former: ActEdition, edition: ActEdition) -> ActEdition:
    rules: dict[str, Rule] = {rule.id: replace(rule, edition=edition.id) for rule in former.rules}
    rules |= {rule.id: rule for rule in edition.rules}
    for repealed in edition.repeals:
        del rules[repealed]
    periodic = {duty.id: replace(duty, edition=edition.id) for duty in former.periodic}
    periodic |= {duty.id: duty for duty in edition.periodic}
    rows = {row.id: row for row in (*former.rows, *edition.rows)}
    ordered = sorted(rules.values(), key=lambda rule: place_in_text(rule.act, rule.paragraph, rule.id))
    return replace(
        edition, rules=tuple(ordered), periodic=tuple(periodic.values()), rows=tuple(rows.values())
    )
