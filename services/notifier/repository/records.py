"""What stays on record, written in the transaction of the act itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from common.bulk import insert_later, insert_rows
from common.db import Session
from common.ids import new_id
from notifier.models import audit, escalations, security_events


def act(
    action: str,
    *,
    at: datetime,
    actor: str = "notifier",
    alert_id: UUID | None = None,
    subject_id: UUID | None = None,
    **detail: str | int | None,
) -> dict[str, Any]:
    """One audit row; ``detail`` holds ids and codes, never anything from outside."""
    return {
        "id": new_id(),
        "at": at,
        "action": action,
        "actor": actor,
        "alert_id": alert_id,
        "subject_id": subject_id,
        "detail": detail,
    }


async def add_acts(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store audit rows, with the other rows of the transaction."""
    insert_later(session, audit, rows)


async def add_escalations(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store alarms; a second one on the same level of a delivery raises: none is lost unseen."""
    insert_later(session, escalations, rows)


async def add_security_event(
    session: Session,
    kind: str,
    *,
    at: datetime,
    actor: str,
    agency_id: UUID | None = None,
    delivery_id: UUID | None = None,
    endpoint_id: UUID | None = None,
) -> None:
    """Note what should not have happened."""
    row = {
        "id": new_id(),
        "at": at,
        "kind": kind,
        "actor": actor,
        "agency_id": agency_id,
        "delivery_id": delivery_id,
        "endpoint_id": endpoint_id,
    }
    await insert_rows(session, security_events, [row])
