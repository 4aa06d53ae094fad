"""Receipts: what they are measured against, and how they are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, insert, select, update

from common.db import Session, insert_ignore
from notifier.domain.delivery import Fact, State, states_before
from notifier.models import deliveries, endpoint_versions, endpoints, notices, read_outs, receipts


@dataclass(frozen=True, slots=True)
class Addressed:
    """What a receipt is measured against."""

    delivery_id: UUID
    alert_id: UUID | None
    agency_id: UUID | None
    role: str
    state: State
    planned_at: datetime
    transmitted_at: datetime | None
    traceparent: str | None
    digest: str | None
    receipt_key: str | None
    rung: int
    escalates_id: UUID | None
    older_receipt_key: str | None = None


_ITS_ENDPOINT = and_(
    endpoints.c.id == deliveries.c.endpoint_id, endpoints.c.agency_id == deliveries.c.agency_id
)
_IN_FORCE = and_(
    endpoint_versions.c.agency_id == endpoints.c.agency_id,
    endpoint_versions.c.endpoint_id == endpoints.c.id,
    endpoint_versions.c.version == endpoints.c.version,
)
"""Not the version that a delivery was sent under: a replaced key ends for what was sent before, too."""


async def find_addressed(session: Session, delivery_id: UUID) -> Addressed | None:
    """A delivery as a receipt sees it, with its endpoint's key as it is in force."""
    result = await session.execute(
        select(
            deliveries.c.id,
            deliveries.c.alert_id,
            deliveries.c.agency_id,
            deliveries.c.role,
            deliveries.c.state,
            deliveries.c.planned_at,
            deliveries.c.transmitted_at,
            deliveries.c.traceparent,
            notices.c.digest,
            endpoint_versions.c.receipt_key,
            deliveries.c.rung,
            deliveries.c.escalates_id,
        )
        .outerjoin(notices, notices.c.delivery_id == deliveries.c.id)
        .outerjoin(endpoints, _ITS_ENDPOINT)
        .outerjoin(endpoint_versions, _IN_FORCE)
        .where(deliveries.c.id == delivery_id)
    )
    row = result.first()
    if row is None:
        return None
    return Addressed(
        row.id,
        row.alert_id,
        row.agency_id,
        row.role,
        State(row.state),
        row.planned_at,
        row.transmitted_at,
        row.traceparent,
        row.digest,
        row.receipt_key,
        row.rung,
        row.escalates_id,
    )


async def find_older_key(session: Session, delivery_id: UUID, *, since: datetime) -> str | None:
    """The receipt key that the endpoint's present one replaced, if that was after ``since``.

    A version that changed something else does not count: the present key is as old as its first version.
    """
    query = (
        select(
            endpoint_versions.c.agency_id,
            endpoint_versions.c.endpoint_id,
            endpoint_versions.c.version,
            endpoint_versions.c.receipt_key,
        )
        .join(endpoints, _IN_FORCE)
        .join(deliveries, _ITS_ENDPOINT)
        .where(deliveries.c.id == delivery_id)
    )
    now = (await session.execute(query)).first()
    if now is None or now.receipt_key is None:
        return None
    versions = await session.execute(
        select(endpoint_versions.c.receipt_key, endpoint_versions.c.taken_at)
        .where(
            endpoint_versions.c.agency_id == now.agency_id,
            endpoint_versions.c.endpoint_id == now.endpoint_id,
            endpoint_versions.c.version <= now.version,
        )
        .order_by(endpoint_versions.c.version.desc())
    )
    changed_at: datetime | None = None
    for key, taken_at in versions.all():
        if key != now.receipt_key:
            return key if changed_at is not None and changed_at > since else None
        changed_at = taken_at
    return None


async def find_receipt(session: Session, delivery_id: UUID) -> tuple[str, bytes] | None:
    """Status and sealed answer of the stored receipt."""
    row = (
        await session.execute(
            select(receipts.c.status, receipts.c.sealed).where(receipts.c.delivery_id == delivery_id)
        )
    ).first()
    return None if row is None else (row[0], row[1])


async def add_receipt(session: Session, row: Mapping[str, Any]) -> bool:
    """Store the receipt; ``False`` when one is there already."""
    return await insert_ignore(session, receipts, [row], ["delivery_id"]) == 1


async def add_read_out(session: Session, row: Mapping[str, Any]) -> None:
    """Note that a notice's content was read out."""
    await session.execute(insert(read_outs).values(**row))


async def answer(session: Session, delivery_id: UUID, fact: Fact, state: State, *, at: datetime) -> bool:
    """Let a receipt take effect; it also proves transmission when ours was not written yet."""
    result = await session.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(states_before(fact)))
        .values(
            state=state,
            reason=None,
            claim_token=None,
            next_wakeup_at=None,
            acknowledged_at=at,
            transmitted_at=func.coalesce(deliveries.c.transmitted_at, at),
        )
        .returning(deliveries.c.id)
    )
    return result.first() is not None
