"""What may be recorded in a case, and by whom: signed facts that meet and open duties.

A body records what its own tasks ask for. Some facts open duties and meet none, so no task asks for them:
those belong to the body that decides about them, by the part that it has in the case.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

_GONE = ("cancelled", "waived")

_CENTRE = frozenset(
    {
        "psych_support_centre",
        "psc_head",
        "psc_management",
        "psc_specialist",
        "psc_mobile_response_group",
    }
)

APPOINTED = "case_manager.appointed"
"""Has a door of its own: ``POST …/case-manager``."""

CLOSED = "case.closed"

OF_THE_CASE = frozenset({"case.opened", CLOSED})
"""Speak for everybody in the case: the body that coordinates says so for all."""

OF_THE_COORDINATOR = OF_THE_CASE | {
    "case.difficult",
    "assessment.completed",
    "measure.assigned.medical",
    "measure.assigned.psychological",
    "measure.assigned.pedagogical",
    "measure.assigned.social",
    "measure.assigned.legal",
}
"""Facts that open duties, decided by the body that coordinates (joint order ¶22–25)."""

OF_THE_CENTRE = frozenset(
    {
        "case.difficult",
        "request.accepted",
        "service.planned",
        "group.announced",
        "specialists.needed",
    }
)
"""Facts that open duties, decided by the centre (Order 264)."""

REASONED = frozenset(
    {
        "parents.not_informed",
        "commission.not_told",
        "plan.consent_unobtainable",
    }
)
"""Decisions not to do something: without a reason they are none."""


@dataclass(frozen=True, slots=True)
class Part:
    """A task of the recording body: in which role it owes it, what meets it, and how it stands."""

    obliged: str
    evidence: tuple[str, ...]
    state: str


@dataclass(frozen=True, slots=True)
class Words:
    """What is kept sealed: who signed, which document, what came of it."""

    name: str = field(repr=False)
    position: str = field(repr=False)
    reference: str | None = field(default=None, repr=False)
    outcome: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a body wants to record.

    Attributes:
        kind: code of the fact.
        digest: SHA-256 (hex) of the signed document, where there is one.
        supersedes: the own record whose place it takes; that one stays as it is.
    """

    kind: str
    happened_at: datetime
    words: Words
    digest: str | None = None
    supersedes: UUID | None = None


def may_record(kind: str, parts: Iterable[Part], *, coordinates: bool, is_coordinated: bool) -> bool:
    """Whether a body with these tasks in a case may record this there.

    Args:
        coordinates: the body coordinates the case.
        is_coordinated: somebody does, or owes it. Where no concern of joint order ¶17 is named nobody does,
            and the centre closes the case; else its lasting duties (Order 264 ¶8(5), ¶18) would never end.
    """
    if kind == APPOINTED:
        return False
    if coordinates and kind in OF_THE_COORDINATOR:
        return True
    own = [part for part in parts if part.state not in _GONE]
    is_centre = any(part.obliged in _CENTRE for part in own)
    if kind in OF_THE_CASE:
        return kind == CLOSED and is_centre and not is_coordinated
    if kind in OF_THE_CENTRE and is_centre:
        return True
    return any(kind in part.evidence for part in own)
