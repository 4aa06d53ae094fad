"""Receipts: what they are measured against, and how they are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update

from common.db import Session, insert_ignore
from notifier.domain.delivery import Fact, State, states_before
from notifier.models import attempts, deliveries, endpoint_versions, endpoints, notices, read_outs, receipts


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
    rung: int
    escalates_id: UUID | None
    endpoint_id: UUID | None
    receipt_keys: tuple[str, ...] = ()


async def find_addressed(session: Session, delivery_id: UUID) -> Addressed | None:
    """A delivery as a receipt sees it, without keys."""
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
            deliveries.c.rung,
            deliveries.c.escalates_id,
            deliveries.c.endpoint_id,
        )
        .outerjoin(notices, notices.c.delivery_id == deliveries.c.id)
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
        row.rung,
        row.escalates_id,
        row.endpoint_id,
    )


async def list_receipt_keys(session: Session, addressed: Addressed, *, since: datetime) -> tuple[str, ...]:
    """The keys of which one must have signed this delivery's receipt; none: it needs no signature.

    They are its endpoint's. A delivery that waits without an endpoint, or was fetched, takes those of its
    agency's endpoints, paused ones too; where none of these has any, that of the endpoint that was tried
    last, in force or not: its answer may be under way.

    Args:
        since: a key that was replaced after this moment is good beside its successor.
    """
    of_agency = endpoints.c.agency_id == addressed.agency_id
    if addressed.endpoint_id is not None:
        return await _keys(session, and_(of_agency, endpoints.c.id == addressed.endpoint_id), since=since)
    in_force = await _keys(session, and_(of_agency, endpoints.c.revoked_at.is_(None)), since=since)
    if in_force:
        return in_force
    tried = (
        select(attempts.c.endpoint_id)
        .where(attempts.c.delivery_id == addressed.delivery_id, attempts.c.endpoint_id.is_not(None))
        .order_by(attempts.c.no.desc())
        .limit(1)
        .scalar_subquery()
    )
    return await _keys(session, and_(of_agency, endpoints.c.id == tried), since=since)


async def _keys(session: Session, which: ColumnElement[bool], *, since: datetime) -> tuple[str, ...]:
    """Of each endpoint the key in force, and the one that it replaced if that was after ``since``.

    In force is the newest version's, not that of the version that a delivery was sent under: a replaced key
    ends for what was sent before, too. A version that changed something else does not count: the present
    key is as old as its first version.
    """
    versions = await session.execute(
        select(endpoint_versions.c.endpoint_id, endpoint_versions.c.receipt_key, endpoint_versions.c.taken_at)
        .join(
            endpoints,
            and_(
                endpoint_versions.c.agency_id == endpoints.c.agency_id,
                endpoint_versions.c.endpoint_id == endpoints.c.id,
                endpoint_versions.c.version <= endpoints.c.version,
            ),
        )
        .where(which)
        .order_by(endpoint_versions.c.endpoint_id, endpoint_versions.c.version.desc())
    )
    found: list[str] = []
    for _, each in groupby(versions.all(), key=lambda row: row[0]):
        (_, present, changed_at), *older = each
        if present is None:
            continue
        found.append(present)
        for _, key, taken_at in older:
            if key != present:
                if key is not None and changed_at is not None and changed_at > since:
                    found.append(key)
                break
            changed_at = taken_at
    return tuple(found)


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


async def drop_receipt(session: Session, delivery_id: UUID) -> None:
    """Take back the receipt that this transaction has just stored."""
    await session.execute(delete(receipts).where(receipts.c.delivery_id == delivery_id))


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
