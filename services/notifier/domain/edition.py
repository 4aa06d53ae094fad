"""The law as data: one edition, parsed and checked (architecture §3). Built only by ``notifier.lawbook``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from notifier.domain.clock import Clock

DutyKind = Literal["notice", "act"]
Force = Literal["law", "joint order", "internal practice"]
Dispatch = Literal["at_once", "on_release", "none"]
Starts = Literal["information", "notice", "fact"]
FactSource = Literal["notifier", "casework", "registry", "agency"]
FactValue = bool | str

FIRST_HOLDER = "first_holder"
"""Stands in a rule for the body that had the information first: the reporter, or the hub."""
COORDINATING_BODY = "coordinating_body"
"""Stands for the regional child rights body, else for the guardianship body (¶8, 12, 17, 21)."""
HUB = "hub"
"""Stands for the body that holds the public channels, and for contact centre 111 (¶14)."""
CONCERNED_BODY = "concerned_body"
"""Stands for the body that a later fact is about: the one complained of (¶32)."""
STAND_INS = frozenset({FIRST_HOLDER, COORDINATING_BODY, HUB, CONCERNED_BODY})

CONCERNS = (
    "violence",
    "cruelty",
    "bullying",
    "witness_of_violence",
    "suicidal_behaviour",
    "crisis",
    "other",
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """One text in the three languages of the platform."""

    kk: str
    ru: str
    en: str

    def bilingual(self) -> dict[str, str]:
        """The two languages of the orders, as notices and the preview carry them."""
        return {"kk": self.kk, "ru": self.ru}

    def trilingual(self) -> dict[str, str]:
        """All three, for pages."""
        return {"kk": self.kk, "ru": self.ru, "en": self.en}


@dataclass(frozen=True, slots=True)
class Act:
    """One order: what it is called, and from when it is in force.

    Attributes:
        id: code that rules refer to, e.g. ``R136``.
        short: name used in citations.
        title: official title; ``original`` says in which languages our sources hold the text.
        numbers: number and date of each issuer, as printed.
        registered_on: registration at the Ministry of Justice (adoption, where there is none);
            ``registration`` is its number.
        edition: id of its edition that is used.
        effective_from: first day of that edition; ``effective_assumed`` until counsel confirms the date.
        early: used although not yet in force (see ``Edition.not_yet_in_force``).
    """

    id: str
    short: Phrase
    title: Mapping[str, str]
    original: tuple[str, ...]
    numbers: tuple[str, ...]
    registered_on: date
    registration: str
    edition: str
    effective_from: date
    effective_assumed: bool
    early: bool = False


@dataclass(frozen=True, slots=True)
class ActsFor:
    """A person or unit that reports for a body: ``education_org_staff`` reports for ``education_org``."""

    body: str
    reported_by: str | None = None


@dataclass(frozen=True, slots=True)
class Parameters:
    """Choices that are ours and not the law's; each is dated with its edition.

    Attributes:
        immediate_target: what *immediately* means for alarms; labelled target, not law.
        auto_dispatch_before: an unreleased notice goes out by itself this long ahead of ``due_at``.
        hub: body that holds public channels.
        hub_release_after: an unreleased public report goes out by itself after this long.
        identifying_bodies: the 16 bodies of ¶3, in the order's own sequence.
        other_subjects: bodies read as ¶3(16) when they report.
        acts_for: persons and units, and the body whose knowledge theirs is.
        never_contacted: persons and services to whom Dabyl sends nothing: the obliged body tells them.
        within: role of a person → role of the body that answers for it in the registry.
    """

    immediate_target: timedelta
    auto_dispatch_before: timedelta
    hub: str
    hub_release_after: timedelta
    identifying_bodies: tuple[str, ...]
    other_subjects: frozenset[str]
    acts_for: Mapping[str, ActsFor]
    never_contacted: frozenset[str]
    within: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact and the values of it that satisfy the paragraph."""

    fact: str
    values: tuple[FactValue, ...]


@dataclass(frozen=True, slots=True)
class Withholding:
    """When a duty must not be carried out although its paragraph applies; any one suffices."""

    reason: str
    text: Phrase
    when: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """Concerns that the paragraph does not name, for which its clock is shown and binds nobody."""

    scope: frozenset[str]
    reason: str
    text: Phrase


@dataclass(frozen=True, slots=True)
class FactCode:
    """A fact that opens or meets duties: what it is called, and who signs it.

    Attributes:
        source: ``notifier`` observes it itself, ``casework`` and ``registry`` publish it, ``agency`` says
            it of its own act because no service keeps a record of it.
    """

    code: str
    text: Phrase
    source: FactSource


@dataclass(frozen=True, slots=True)
class Rule:
    """One duty of one paragraph.

    Attributes:
        id: rule id of ``law/obligations.md``, e.g. ``R136-12.1``.
        row: id of the row of that list which it executes; empty for a practice of ours.
        act: id of its act; ``paragraph`` as cited, e.g. ``12(1)``.
        edition: id of the edition of its act that says so.
        citation: act and paragraph in words.
        force: where its binding power comes from.
        kind: ``notice`` is met when it was transmitted; ``act`` is done by the obliged body, which gives
            evidence, also where a message announces it (placement ¶12(5), help cabinet ¶20).
        text: what must be done, short.
        reading: how a doubtful text was read; ``None`` where it is clear.
        doubts: ids of the doubt in the list of discrepancies, for counsel.
        scope: concerns for which it is owed, as *this* paragraph names them (matrix E).
        when: conditions, all of which must hold.
        advice: concerns for which it is only advisory.
        withheld: reasons that stop it.
        obliged: role codes or stand-ins; each owes it separately.
        recipients: role codes or stand-ins; one duty each. Empty for an act towards nobody.
        starts: ``information``: when the obliged body has it from whatever source;
            ``notice``: only when a notice to the obliged body was transmitted (a call-out);
            ``fact``: when one of ``after`` happened, later than the alert.
        after: fact codes that open it, the only way where ``starts`` is ``fact``; a duty that stands is not
            opened again.
        evidence: fact codes, any of which meets it.
        lasting: it accompanies the case and ends with it; there is nothing to tick off.
        calls_out: its message calls a body to come, and is sent also to a body that reported:
            being called is not being told.
        clock: how long.
        dispatch: when a message to the recipient leaves; ``none``: Dabyl sends nothing.
        replaceable: the step is our configuration of an act whose text is not in our sources.
    """

    id: str
    act: str
    paragraph: str
    citation: Phrase
    force: Force
    kind: DutyKind
    text: Phrase
    reading: Phrase | None
    doubts: tuple[str, ...]
    scope: frozenset[str]
    when: tuple[Condition, ...]
    advice: Advice | None
    withheld: tuple[Withholding, ...]
    obliged: tuple[str, ...]
    recipients: tuple[str, ...]
    starts: Starts
    clock: Clock
    dispatch: Dispatch
    replaceable: bool = False
    edition: str = ""
    row: str = ""
    after: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    lasting: bool = False
    calls_out: bool = False


@dataclass(frozen=True, slots=True)
class Edition:
    """The law as it stood at a moment: of every act the edition then in force, and our practice.

    Each rule cites its act, and ``acts`` says which edition of it was used. The id names all of them, so
    that an open obligation finds the very law under which it was born.

    Attributes:
        effective_from: since when all of it stands together, in UTC.
        not_yet_in_force: ``"assumed"`` when an act is used before the date that we assume for it, because
            an alert about a child is never left without duties by an unconfirmed date; everything born
            under it says so.
        facts: the codes by which later facts open and meet duties.
    """

    id: str
    effective_from: datetime
    acts: Mapping[str, Act]
    parameters: Parameters
    rules: tuple[Rule, ...]
    role_names: Mapping[str, Phrase] = field(default_factory=dict)
    not_yet_in_force: str | None = None
    facts: Mapping[str, FactCode] = field(default_factory=dict)
    _by_id: dict[str, Rule] = field(default_factory=dict, init=False, compare=False, repr=False)

    def met_by(self, fact: str) -> tuple[str, ...]:
        """Ids of the rules that a fact of this code meets, in the sequence of the text."""
        return tuple(rule.id for rule in self.rules if fact in rule.evidence)

    def rule(self, rule_id: str) -> Rule:
        """The rule with this id; ``KeyError`` when the edition has none."""
        if not self._by_id:
            self._by_id.update((rule.id, rule) for rule in reversed(self.rules))
        return self._by_id[rule_id]

    def name_of(self, role: str) -> Phrase:
        """The name of a role in words; the code itself when no name is known."""
        return self.role_names.get(role) or Phrase(role, role, role)
