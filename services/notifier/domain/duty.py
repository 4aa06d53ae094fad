"""What an evaluation answers with: duties owed, shown, withheld."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from notifier.domain.clock import Clock
from notifier.domain.edition import Dispatch, DutyKind, Force, Phrase, Starts

Urgency = Literal["immediate", "urgent", "routine"]

NO_CONCERN = "no_concern"
"""The alert names no concern at all."""
CONCERN_NOT_NAMED = "concern_not_named"
"""No paragraph names what the alert is about (``other``): nobody is bound, so a person must look."""


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
        edition: id of the edition of its act.
        starts, evidence, lasting, calls_out: as in ``Rule``.
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
    edition: str = ""
    starts: Starts = "information"
    evidence: tuple[str, ...] = ()
    lasting: bool = False
    calls_out: bool = False

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
        needs_a_person: why somebody must look because the law lays no duty on anybody:
            ``NO_CONCERN`` or ``CONCERN_NOT_NAMED``; ``None`` when a duty is owed.
    """

    edition: str
    first_holder: str
    holder: str
    obligations: tuple[Duty, ...]
    advisories: tuple[Advisory, ...]
    withheld: tuple[Withheld, ...]
    not_yet_in_force: str | None = None
    needs_a_person: str | None = None

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The body of a preview answer: three lists of plain rows."""
        return {
            "obligations": [duty.as_row() for duty in self.obligations],
            "advisories": [advisory.as_row() for advisory in self.advisories],
            "withheld": [withheld.as_row() for withheld in self.withheld],
        }
