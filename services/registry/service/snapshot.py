"""Everything the register says now, as the events that said it, so that a reader can rebuild its copy."""

from uuid import UUID

from common.contracts import REGISTRY
from common.db import Session
from common.envelope import Envelope
from common.ids import new_id
from registry import repository


async def list_facts(session: Session, *, after: tuple[str, UUID] | None, limit: int) -> list[Envelope]:
    """The latest event of each kind about each thing, agencies before endpoints.

    Each has a new id: an inbox that took the original long ago must not take this for a repeat.
    """
    changes = await repository.list_current_changes(session, after=after, limit=limit)
    return [
        Envelope(
            id=new_id(),
            event=REGISTRY[change.type].model_validate(change.facts, strict=False),
            time=change.recorded_at,
            subject=change.subject,
            traceparent=None,
        )
        for change in changes
    ]
