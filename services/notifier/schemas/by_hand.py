"""Shapes of answers that came by phone or on paper, and of reading out."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from common.schemas import In, Out
from notifier.domain.receipt import Means, Receipt, ReceiptStatus
from notifier.schemas.alerts import PersonIn
from notifier.schemas.words import Instant, Line


class AnswerByHandIn(In):
    """What the agency said, by whom and when."""

    means: Literal["phone", "paper"]
    status: ReceiptStatus
    reason: Line | None = None
    person: PersonIn
    reference: Line | None = Field(None, description="the agency's own number")
    at: Instant = Field(description="when they said it, or the date of the paper")

    def to_receipt(self, delivery_id: UUID, digest: str) -> tuple[Receipt, Means]:
        """As the service takes it."""
        receipt = Receipt(
            delivery_id=delivery_id,
            notice_digest=digest,
            status=self.status,
            at=self.at,
            person_name=self.person.name,
            person_position=self.person.position,
            reason=self.reason,
            reference=self.reference,
        )
        return receipt, Means(self.means)


class ByHandIn(In):
    """An answer to be entered, or the second person's word (`confirms`)."""

    answer: AnswerByHandIn | None = None
    confirms: UUID | None = None


class ByHandOut(Out):
    """A proposal (`202`), or the stored receipt (`201`, `200`)."""

    proposal: UUID | None = None
    expires_at: datetime | None = None
    receipt: dict[str, object] | None = None


class ReadOutIn(In):
    """Who listened."""

    person: PersonIn


class ReadOutOut(Out):
    """The record of a reading out."""

    id: UUID
    delivery: UUID
    at: datetime
