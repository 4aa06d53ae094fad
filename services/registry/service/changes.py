"""Every change is kept and told: both or neither."""

from datetime import datetime
from functools import partial
from uuid import UUID

from common import outbox
from common.contracts import Event
from common.db import Session, after_commit
from common.telemetry import log
from common.timing import Now
from registry import repository
from registry.models import Change

SEED = "seed"
"""Who registered what came from the files."""


async def record_changes(
    session: Session, changes: list[tuple[UUID, int, Event]], *, by: str, now: Now
) -> None:
    """Keep each version of each thing and tell the others.

    Each change names what changed, which version it has now, and the event that says so; ``by`` is
    the subject of the token.
    """
    at: datetime = now()
    rows = [
        Change(
            subject=subject,
            version=version,
            type=event.type,
            facts=event.model_dump(mode="json"),
            recorded_at=at,
            recorded_by=by,
        )
        for subject, version, event in changes
    ]
    await repository.add_all(session, rows)
    for subject, version, event in changes:
        await outbox.add(session, event, subject=subject, now=now)
        if by != SEED:
            after_commit(session, partial(log.info, _log_name(event), version=version, **_ids(event)))


def _log_name(event: Event) -> str:
    return "_".join(event.type.split(".")[2:4])


def _ids(event: Event) -> dict[str, str]:
    told = event.model_dump(include={"agency_id", "endpoint_id", "role"})
    return {key: str(value) for key, value in told.items()}
