"""A notice as the agency's own page shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gateway.domain.fanout import Duty, Receipt


@dataclass(frozen=True, slots=True)
class Notice:
    """What an agency was told, without a word about the child.

    Attributes:
        delivery: the id that the answer refers to.
        alert: the agency's own pairwise id.
        number: counts the notices of one alert to this agency, so that a gap shows.
        digest: SHA-256 (hex) of the notice's bytes; the answer repeats it.
        grant: opens the content; only the agency it was made for may use it.
        duties: what this notice fulfils: mostly the sender's duties, not the reader's.
        answer_due_at: until when an answer is waited for before silence climbs.
    """

    delivery: UUID
    alert: UUID | None
    number: int
    urgency: str
    duties: tuple[Duty, ...]
    sent_at: datetime
    digest: str
    grant: str | None = None
    state: str = "transmitted"
    answer_due_at: datetime | None = None
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    receipt: Receipt | None = None
    test: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether a named person answered."""
        return self.receipt is not None or self.acknowledged_at is not None

    @property
    def is_unread(self) -> bool:
        """Whether nobody of the agency has opened or answered it."""
        return self.opened_at is None and not self.is_answered


_URGENCY = {"immediate": 0, "urgent": 1, "routine": 2}


def in_reading_order(notices: Sequence[Notice]) -> list[Notice]:
    """Unanswered first, the most urgent and the soonest due on top; answered ones newest first."""
    waiting = sorted(
        (n for n in notices if not n.is_answered),
        key=lambda n: (_URGENCY.get(n.urgency, 3), n.answer_due_at or n.sent_at, n.sent_at),
    )
    answered = sorted((n for n in notices if n.is_answered), key=lambda n: n.sent_at, reverse=True)
    return waiting + answered


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one person proposed and another must confirm.

    Attributes:
        mine: whoever looks proposed it.
        may_confirm: whoever looks may be the second person; not said: anybody but the first.
        conflict: the conflict of interest that it would lower.
    """

    proposal: UUID
    kind: str
    proposed_at: datetime
    expires_at: datetime
    reason: str = field(repr=False)
    mine: bool = False
    may_confirm: bool | None = None
    conflict: UUID | None = None

    @property
    def can_be_confirmed(self) -> bool:
        """Whether whoever looks may confirm it."""
        return not self.mine if self.may_confirm is None else self.may_confirm


@dataclass(frozen=True, slots=True)
class OwedDuty:
    """A duty of an alert in the ledger; ``explanation`` holds the reasons in words, by language.

    Attributes:
        may: what whoever looks may do with it; ``facts``: by which codes it may be stated done.
        dispatch_at: when its notice leaves by itself, ``delivery``: the notice that left.
    """

    rule: str
    citation: dict[str, str]
    duty: dict[str, str]
    state: str
    force: str = ""
    due_at: datetime | None = None
    obliged_agency: UUID | None = None
    recipient: str | None = None
    obliged: str = ""
    breach_at: datetime | None = None
    breached_at: datetime | None = None
    explanation: dict[str, list[str]] = field(default_factory=dict)
    id: UUID | None = None
    may: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    dispatch_at: datetime | None = None
    delivery: UUID | None = None
    met_at: datetime | None = None
    released_at: datetime | None = None
    waived_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        return self.state in ("pending", "open")


def in_working_order(duties: Iterable[OwedDuty]) -> list[OwedDuty]:
    """What is left to do first, the soonest due on top; without a limit last."""
    far = datetime.max.replace(tzinfo=UTC)
    return sorted(duties, key=lambda duty: (not duty.is_open, duty.due_at or far, duty.rule))


@dataclass(frozen=True, slots=True)
class Content:
    """What the notice is about: fields this agency may see, and names of those it may not."""

    fields: dict[str, Any] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
