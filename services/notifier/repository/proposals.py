"""Proposals: made, replaced, confirmed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from common.db import Session, insert_ignore
from notifier.domain.proposal import Kind, Proposal, State
from notifier.models import proposals


@dataclass(frozen=True, slots=True)
class Stored:
    """A proposal with what was sealed in it."""

    proposal: Proposal
    digest: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


_STORED = (
    proposals.c.id,
    proposals.c.kind,
    proposals.c.subject_id,
    proposals.c.agency_id,
    proposals.c.proposed_by,
    proposals.c.proposed_at,
    proposals.c.expires_at,
    proposals.c.state,
    proposals.c.confirmed_by,
    proposals.c.confirmed_at,
    proposals.c.digest,
    proposals.c.sealed,
)


def _stored(row: Any) -> Stored:
    return Stored(
        Proposal(
            id=row.id,
            kind=Kind(row.kind),
            subject_id=row.subject_id,
            agency_id=row.agency_id,
            proposed_by=row.proposed_by,
            proposed_at=row.proposed_at,
            expires_at=row.expires_at,
            state=State(row.state),
            confirmed_by=row.confirmed_by,
            confirmed_at=row.confirmed_at,
        ),
        row.digest,
        row.sealed,
    )


async def add_proposal(session: Session, row: Mapping[str, Any]) -> bool:
    """Store a proposal; ``False`` when its person has one open about the same thing."""
    return await insert_ignore(session, proposals, [row], ["open_key"]) == 1


async def find_proposal(session: Session, proposal_id: UUID) -> Stored | None:
    """A proposal by its id."""
    row = (await session.execute(select(*_STORED).where(proposals.c.id == proposal_id))).first()
    return None if row is None else _stored(row)


async def lock_open(session: Session, open_key: bytes) -> Stored | None:
    """The open proposal of one person about one thing, locked; expired or not."""
    query = select(*_STORED).where(proposals.c.open_key == open_key).with_for_update()
    row = (await session.execute(query)).first()
    return None if row is None else _stored(row)


async def list_live(
    session: Session, kind: Kind, subject_ids: Sequence[UUID], agency_id: UUID | None, *, now: datetime
) -> list[Stored]:
    """What waits for a second person of this body, oldest first."""
    query = (
        select(*_STORED)
        .where(
            proposals.c.subject_id.in_(list(subject_ids)),
            proposals.c.kind == kind,
            proposals.c.agency_id.is_(None) if agency_id is None else proposals.c.agency_id == agency_id,
            proposals.c.state == State.PROPOSED,
            proposals.c.expires_at > now,
        )
        .order_by(proposals.c.proposed_at, proposals.c.id)
    )
    return [_stored(row) for row in (await session.execute(query)).all()]


async def replace(session: Session, proposal_id: UUID) -> None:
    """Take back an open proposal."""
    await session.execute(
        update(proposals)
        .where(proposals.c.id == proposal_id, proposals.c.state == State.PROPOSED)
        .values(state=State.REPLACED, open_key=None)
    )


async def confirm(session: Session, proposal_id: UUID, by: str, *, now: datetime) -> bool:
    """Confirm an open proposal; ``False`` when another attempt won, or time did."""
    result = await session.execute(
        update(proposals)
        .where(
            proposals.c.id == proposal_id,
            proposals.c.state == State.PROPOSED,
            proposals.c.expires_at > now,
            proposals.c.proposed_by != by,
        )
        .values(state=State.CONFIRMED, open_key=None, confirmed_by=by, confirmed_at=now)
        .returning(proposals.c.id)
    )
    return result.first() is not None
