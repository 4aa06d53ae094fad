"""Acts that one person alone may not do: one proposes, another person of the same body confirms.

Who a person is, an issuer or a registrar has said (``person`` of the token): two clients of one body's system
are no two persons. A proposal that nobody confirmed in time has no effect ever.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

LIFETIME = timedelta(hours=24)
"""Long enough for the next shift; a reason older than that is weighed again."""


class Kind(StrEnum):
    """What is proposed; ``subject_id`` of a proposal names the thing it is about."""

    WAIVER = "waiver"
    REDRIVE = "redrive"
    RECEIPT = "receipt"
    CONFLICT_LOWERED = "conflict_lowered"
    LOCK_LIFTED = "lock_lifted"
    UNFOUNDED = "unfounded"
    PARTING = "parting"


class State(StrEnum):
    """Where a proposal stands; having expired is no state, it is what the hour says."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    REPLACED = "replaced"


class Verdict(StrEnum):
    """What becomes of an attempt to confirm."""

    CARRIED_OUT = "carried_out"
    DONE_BEFORE = "done_before"
    UNKNOWN = "unknown"
    SAME_PERSON = "same_person"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One proposal as it stands.

    Attributes:
        agency_id: body whose act it is; ``None`` for the platform's operators.
        proposed_by, confirmed_by: persons of tokens, with their body.
    """

    id: UUID
    kind: Kind
    subject_id: UUID
    agency_id: UUID | None
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    state: State
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it still waits for its second person."""
        return self.state is State.PROPOSED and now < self.expires_at


def judge(
    proposal: Proposal | None, *, kind: Kind, subject_id: UUID, agency_id: UUID | None, by: str, now: datetime
) -> Verdict:
    """What happens when ``by`` of ``agency_id`` confirms; the same attempt twice gets ``DONE_BEFORE``.

    A proposal of another body, about another thing or of another kind is unknown: it must not show
    that it exists. The proposer never confirms, not even what somebody else has confirmed since.
    """
    if proposal is None or (proposal.kind, proposal.subject_id, proposal.agency_id) != (
        kind,
        subject_id,
        agency_id,
    ):
        return Verdict.UNKNOWN
    if proposal.proposed_by == by:
        return Verdict.SAME_PERSON
    if proposal.state is State.CONFIRMED:
        return Verdict.DONE_BEFORE
    # Whoever proposed it has put another one in its place.
    if proposal.state is State.REPLACED:
        return Verdict.UNKNOWN
    return Verdict.CARRIED_OUT if proposal.is_live(now) else Verdict.EXPIRED
