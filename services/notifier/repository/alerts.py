"""Alerts, and the ids under which others know them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update

from common.bulk import insert_later, insert_new
from common.db import Session
from notifier.models import alert_handles, alerts


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert as the ledger knows it."""

    id: UUID
    number: str
    received_at: datetime
    planned_at: datetime
    territory: str
    edition: str
    urgency: str
    facts: Mapping[str, Any]
    advisories: Sequence[Mapping[str, Any]]
    withheld: Sequence[Mapping[str, Any]]
    traceparent: str | None
    needs_a_person: str | None
    hold: str | None
    held_until: datetime | None
    released_at: datetime | None
    routing: bytes = field(repr=False)


_ALERT = (
    alerts.c.id,
    alerts.c.number,
    alerts.c.received_at,
    alerts.c.planned_at,
    alerts.c.territory,
    alerts.c.edition,
    alerts.c.urgency,
    alerts.c.facts,
    alerts.c.advisories,
    alerts.c.withheld,
    alerts.c.traceparent,
    alerts.c.needs_a_person,
    alerts.c.hold,
    alerts.c.held_until,
    alerts.c.released_at,
    alerts.c.routing,
)


async def add_alerts(session: Session, rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Store alerts; returns the ids of those that were not planned before."""
    return {row.id for row in await insert_new(session, alerts, rows, ["id"])}


async def add_handles(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Let these agencies know the alert by their own ids; known ones stay."""
    insert_later(session, alert_handles, rows, new_by=["handle"])


async def find_alert(session: Session, alert_id: UUID) -> AlertRow | None:
    """An alert by its internal id."""
    row = (await session.execute(select(*_ALERT).where(alerts.c.id == alert_id))).first()
    return None if row is None else AlertRow(*tuple(row))


async def lock_alert(session: Session, alert_id: UUID) -> AlertRow | None:
    """An alert, for whoever plans further notices of it: one at a time, or two get one number."""
    query = select(*_ALERT).where(alerts.c.id == alert_id).with_for_update()
    row = (await session.execute(query)).first()
    return None if row is None else AlertRow(*tuple(row))


async def lock_alerts(session: Session, alert_ids: Collection[UUID]) -> list[AlertRow]:
    """Several as by ``lock_alert``, always in the same order: whoever locks two of them waits for no ring."""
    query = select(*_ALERT).where(alerts.c.id.in_(list(alert_ids))).order_by(alerts.c.id).with_for_update()
    return [AlertRow(*tuple(row)) for row in (await session.execute(query)).all()]


async def set_alert(session: Session, alert_id: UUID, values: Mapping[str, Any]) -> None:
    """Change one alert that this transaction has locked."""
    await session.execute(update(alerts).where(alerts.c.id == alert_id).values(**values))


async def mark_released(session: Session, alert_id: UUID, by: str, *, at: datetime) -> None:
    """The hub let a report go; nobody needs to look at it for that any more. The alert must be locked."""
    await session.execute(
        update(alerts)
        .where(alerts.c.id == alert_id)
        .values(released_at=at, released_by=by, needs_a_person=None)
    )


@dataclass(frozen=True, slots=True)
class Known:
    """Under which id, and how, an agency knows an alert."""

    alert_id: UUID
    handle: UUID
    agency_id: UUID
    is_reporter: bool


async def find_by_handle(session: Session, handle: UUID) -> Known | None:
    """Which alert and agency a handle stands for."""
    row = (
        await session.execute(
            select(
                alert_handles.c.alert_id,
                alert_handles.c.handle,
                alert_handles.c.agency_id,
                alert_handles.c.is_reporter,
            ).where(alert_handles.c.handle == handle)
        )
    ).first()
    return None if row is None else Known(row[0], row[1], row[2], row[3] == "y")


async def handle_of(session: Session, alert_id: UUID, agency_id: UUID) -> Known | None:
    """How this agency knows this alert."""
    row = (
        await session.execute(
            select(alert_handles.c.handle, alert_handles.c.is_reporter).where(
                alert_handles.c.alert_id == alert_id, alert_handles.c.agency_id == agency_id
            )
        )
    ).first()
    return None if row is None else Known(alert_id, row[0], agency_id, row[1] == "y")


async def list_alerts(
    session: Session,
    *,
    agency_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
    hidden: Collection[UUID] = (),
) -> list[tuple[AlertRow, Known | None]]:
    """Alerts newest first; with ``agency_id`` only those that this agency knows, without the hidden ones."""
    if agency_id is None:
        query = select(*_ALERT)
        key = (alerts.c.received_at, alerts.c.id)
    else:
        query = (
            select(*_ALERT, alert_handles.c.handle, alert_handles.c.is_reporter)
            .join(alert_handles, alert_handles.c.alert_id == alerts.c.id)
            .where(alert_handles.c.agency_id == agency_id)
        )
        # Ordered by the agency's own id: the order of the internal ones is not for it.
        key = (alert_handles.c.received_at, alert_handles.c.handle)
    if hidden:
        query = query.where(alerts.c.id.not_in(list(hidden)))
    query = query.order_by(key[0].desc(), key[1].desc()).limit(limit)
    if after is not None:
        moment, last = after
        query = query.where(or_(key[0] < moment, (key[0] == moment) & (key[1] < last)))
    found: list[tuple[AlertRow, Known | None]] = []
    for row in (await session.execute(query)).all():
        alert = AlertRow(*tuple(row)[: len(_ALERT)])
        known = None
        if agency_id is not None:
            known = Known(alert.id, row[len(_ALERT)], agency_id, row[len(_ALERT) + 1] == "y")
        found.append((alert, known))
    return found
