"""Why duties were breached, as their owners and the bodies above say it."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from casework import repository
from common.db import Session


class Explaining(Protocol):
    """Seals what was said of a breach, for the row with this id."""

    def seal_reason(self, reason: str, place: UUID) -> bytes:
        """Seal it."""
        ...


async def take_explanation(
    session: Session,
    statement_id: UUID,
    obligation_id: UUID,
    *,
    by: str,
    reason: str,
    at: datetime,
    seals: Explaining,
) -> None:
    """Keep what was said, whether its task is known yet or not; a repeat changes nothing."""
    await repository.add_explanation(
        session,
        {
            "id": statement_id,
            "obligation_id": obligation_id,
            "by": by,
            "explained_at": at,
            "sealed": seals.seal_reason(reason, statement_id),
        },
    )
