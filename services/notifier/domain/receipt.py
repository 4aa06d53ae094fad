"""What an agency answers, and what makes an answer count (architecture §2.7).

A receipt that is wrong, foreign or unsigned changes nothing and is a security event.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from notifier.domain.delivery import Fact


class ReceiptStatus(StrEnum):
    """What the agency says."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Means(StrEnum):
    """How an answer came to us."""

    SYSTEM = "system"
    """Over the agency's own authenticated session."""
    PHONE = "phone"
    PAPER = "paper"


class Flaw(StrEnum):
    """Why a receipt does not count; also the kind of the security event."""

    FOREIGN = "receipt_foreign"
    WRONG_DELIVERY = "receipt_wrong_delivery"
    WRONG_DIGEST = "receipt_wrong_digest"
    UNSIGNED = "receipt_unsigned"
    WRONG_SIGNATURE = "receipt_wrong_signature"
    FROM_THE_FUTURE = "receipt_from_the_future"
    BEFORE_THE_NOTICE = "receipt_before_the_notice"


CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far an agency's clock may be from ours."""

FACT: dict[ReceiptStatus, Fact] = {
    ReceiptStatus.RECEIVED: Fact.RECEIPT,
    ReceiptStatus.ACCEPTED: Fact.RECEIPT,
    ReceiptStatus.REJECTED: Fact.REJECTION,
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it was read; ``person`` is a name and never leaves the sealed column."""

    delivery_id: UUID
    notice_digest: str
    status: ReceiptStatus
    at: datetime
    person_name: str = field(repr=False)
    person_position: str = field(repr=False)
    reason: str | None = field(default=None, repr=False)
    reference: str | None = field(default=None, repr=False)


def find_flaw(
    receipt: Receipt, *, delivery_id: UUID, notice_digest: str, planned_at: datetime, now: datetime
) -> Flaw | None:
    """The first thing wrong with a receipt that came for ``delivery_id``; ``None`` when it counts."""
    if receipt.delivery_id != delivery_id:
        return Flaw.WRONG_DELIVERY
    if receipt.notice_digest.lower() != notice_digest:
        return Flaw.WRONG_DIGEST
    if receipt.at > now + CLOCK_TOLERANCE:
        return Flaw.FROM_THE_FUTURE
    if receipt.at < planned_at - CLOCK_TOLERANCE:
        return Flaw.BEFORE_THE_NOTICE
    return None
