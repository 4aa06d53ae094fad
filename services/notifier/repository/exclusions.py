"""Exclusions, and what is needed to say whom they cover."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, union_all, update

from common.db import Session, insert_ignore
from notifier.domain.delivery import Fact, Outcome, State, states_before
from notifier.domain.exclusion import Exclusion, Held
from notifier.models import (
    agencies,
    alert_groups,
    alert_handles,
    attempts,
    deliveries,
    exclusions,
    mandates,
    obligations,
)

MOST_LEVELS = 10
"""How many bodies above one another a register can sensibly name."""


async def add_exclusions(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Store exclusions; one that is there stays as it is. Returns how many are new."""
    stored = [{**row, "first_since": row["since"]} for row in rows]
    return await insert_ignore(session, exclusions, stored, ["alert_id", "mark"])


async def list_in_force(
    session: Session, agency_ids: Collection[UUID], alert_ids: Collection[UUID] | None
) -> list[Exclusion]:
    """Exclusions that may cover these agencies; of these alerts, or of every alert that one of them knows.

    What stands for one of several joined alerts stands for each of them.
    """
    standing = (
        exclusions.c.state == "in_force",
        or_(exclusions.c.agency_id.is_(None), exclusions.c.agency_id.in_(list(agency_ids))),
    )
    whom = (exclusions.c.agency_id, exclusions.c.role, exclusions.c.territory)
    asked: Any
    if alert_ids is None:
        asked = select(alert_handles.c.alert_id).where(alert_handles.c.agency_id.in_(list(agency_ids)))
    else:
        asked = list(alert_ids)
    other = alert_groups.alias("other")
    query = union_all(
        select(exclusions.c.alert_id, *whom).where(*standing, exclusions.c.alert_id.in_(asked)),
        select(alert_groups.c.alert_id, *whom).where(
            *standing,
            alert_groups.c.alert_id.in_(asked),
            other.c.head_id == alert_groups.c.head_id,
            other.c.alert_id != alert_groups.c.alert_id,
            exclusions.c.alert_id == other.c.alert_id,
        ),
    )
    return [Exclusion(*row) for row in (await session.execute(query)).all()]


async def list_held(session: Session, agency_ids: Collection[UUID]) -> dict[UUID, set[Held]]:
    """Roles and territories of these agencies, past and future ones too."""
    found = await session.execute(
        select(mandates.c.agency_id, mandates.c.role, mandates.c.territory).where(
            mandates.c.agency_id.in_(list(agency_ids))
        )
    )
    held: dict[UUID, set[Held]] = {}
    for agency_id, role, territory in found.all():
        held.setdefault(agency_id, set()).add((role, territory))
    return held


async def list_superiors(session: Session, agency_ids: Collection[UUID], *, at: datetime) -> dict[UUID, UUID]:
    """The body above each of these agencies and above those in turn; a retired one is stepped over."""
    direct: dict[UUID, tuple[UUID | None, bool]] = {}
    asked = set(agency_ids)
    for _ in range(MOST_LEVELS):
        if not asked:
            break
        found = await session.execute(
            select(agencies.c.id, agencies.c.superior_id, agencies.c.retired_at).where(
                agencies.c.id.in_(list(asked))
            )
        )
        rows = found.all()
        direct |= {row[0]: (row[1], row[2] is not None and row[2] <= at) for row in rows}
        asked = {row[1] for row in rows if row[1] is not None} - set(direct)
    above: dict[UUID, UUID] = {}
    for agency_id in direct:
        superior, seen = direct[agency_id][0], {agency_id}
        while superior is not None and superior not in seen:
            seen.add(superior)
            following, is_retired = direct.get(superior, (None, True))
            if not is_retired:
                above[agency_id] = superior
                break
            superior = following
    return above


@dataclass(frozen=True, slots=True)
class Stored:
    """An exclusion as it stands."""

    id: UUID
    alert_id: UUID
    mark: str
    agency_id: UUID | None
    role: str | None
    state: str
    since: datetime
    raised_by: str
    lifted_at: datetime | None
    known: Sequence[Mapping[str, Any]]
    is_of_report: bool = False
    """Whether the report or a correction of it said so; a person who raises one gives a reason."""


_STORED = (
    exclusions.c.id,
    exclusions.c.alert_id,
    exclusions.c.mark,
    exclusions.c.agency_id,
    exclusions.c.role,
    exclusions.c.state,
    exclusions.c.since,
    exclusions.c.raised_by,
    exclusions.c.lifted_at,
    exclusions.c.known,
    exclusions.c.reason.is_(None),
)


async def lock_exclusion(session: Session, alert_id: UUID, mark: str) -> Stored | None:
    """One exclusion, locked."""
    query = select(*_STORED).where(exclusions.c.alert_id == alert_id, exclusions.c.mark == mark)
    row = (await session.execute(query.with_for_update())).first()
    return None if row is None else Stored(*tuple(row))


async def list_exclusions(session: Session, alert_id: UUID) -> list[Stored]:
    """Every exclusion of an alert, lifted ones too, oldest first."""
    query = select(*_STORED).where(exclusions.c.alert_id == alert_id)
    rows = (await session.execute(query.order_by(exclusions.c.since, exclusions.c.mark))).all()
    return [Stored(*tuple(row)) for row in rows]


async def lock_exclusions(session: Session, alert_id: UUID) -> list[Stored]:
    """Every exclusion of an alert, locked in one order: as it is when nobody else changes it any more."""
    query = select(*_STORED).where(exclusions.c.alert_id == alert_id).order_by(exclusions.c.mark)
    return [Stored(*tuple(row)) for row in (await session.execute(query.with_for_update())).all()]


async def list_marks(session: Session, alert_ids: Collection[UUID]) -> list[tuple[UUID, str]]:
    """What is in force, each with the alert for which it was said."""
    found = await session.execute(
        select(exclusions.c.alert_id, exclusions.c.mark)
        .where(exclusions.c.alert_id.in_(list(alert_ids)), exclusions.c.state == "in_force")
        .order_by(exclusions.c.alert_id, exclusions.c.mark)
    )
    return [(row[0], row[1]) for row in found.all()]


async def set_exclusion(session: Session, exclusion_id: UUID, values: Mapping[str, Any]) -> None:
    """Change one exclusion that this transaction has locked."""
    await session.execute(update(exclusions).where(exclusions.c.id == exclusion_id).values(**values))


async def list_concerned(session: Session, alert_id: UUID) -> set[UUID]:
    """Every agency that has to do with an alert: knows it, was sent something, owes or is to be told."""
    found: set[UUID] = set()
    for column, table in (
        (alert_handles.c.agency_id, alert_handles),
        (deliveries.c.agency_id, deliveries),
        (obligations.c.obliged_agency_id, obligations),
        (obligations.c.recipient_agency_id, obligations),
    ):
        query = select(column).where(table.c.alert_id == alert_id, column.is_not(None)).distinct()
        found |= set((await session.scalars(query)).all())
    return found


async def list_told(session: Session, alert_id: UUID) -> dict[UUID, set[str]]:
    """Every agency that was told of an alert, or is to be, and under which roles."""
    query = select(deliveries.c.agency_id, deliveries.c.bodies).where(
        deliveries.c.alert_id == alert_id,
        deliveries.c.agency_id.is_not(None),
        deliveries.c.state != State.CANCELLED,
    )
    found: dict[UUID, set[str]] = {}
    for agency_id, bodies in (await session.execute(query)).all():
        found.setdefault(agency_id, set()).update(bodies)
    return found


async def bodies_of(session: Session, alert_id: UUID, agency_id: UUID | None) -> set[str]:
    """Under which roles an agency was told of an alert."""
    query = select(deliveries.c.bodies).where(
        deliveries.c.alert_id == alert_id, deliveries.c.agency_id == agency_id
    )
    return {body for bodies in (await session.scalars(query)).all() for body in bodies}


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery of somebody who is shut out, and how far it had come."""

    delivery_id: UUID
    alert_id: UUID
    agency_id: UUID
    role: str
    state: State
    transmitted_at: datetime | None
    opened_at: datetime | None
    acknowledged_at: datetime | None
    attempted_at: datetime | None
    """When an attempt began whose end nobody knows."""


def _sent() -> Any:
    unknown = or_(attempts.c.outcome.is_(None), attempts.c.outcome.in_(_UNKNOWN_END))
    began = (
        select(func.max(attempts.c.started_at))
        .where(attempts.c.delivery_id == deliveries.c.id, unknown)
        .correlate(deliveries)
        .scalar_subquery()
    )
    return select(
        deliveries.c.id,
        deliveries.c.alert_id,
        deliveries.c.agency_id,
        deliveries.c.role,
        deliveries.c.state,
        deliveries.c.transmitted_at,
        deliveries.c.opened_at,
        deliveries.c.acknowledged_at,
        began,
    )


_UNKNOWN_END = (Outcome.NO_ANSWER, Outcome.LEASE_EXPIRED)


async def lock_sent(session: Session, alert_id: UUID, agency_ids: Collection[UUID]) -> list[Sent]:
    """What these agencies were sent of an alert, or is on its way to them; locked."""
    query = (
        _sent()
        .where(
            deliveries.c.alert_id == alert_id,
            deliveries.c.agency_id.in_(list(agency_ids)),
            deliveries.c.state != State.SUPERSEDED,
        )
        .order_by(deliveries.c.planned_at, deliveries.c.id)
        .with_for_update(of=deliveries)
    )
    rows = (await session.execute(query)).all()
    # What a former conflict ended unsent has passed to another body already.
    return [Sent(*row) for row in rows if row[4] != State.CANCELLED]


async def shut_out_sent(session: Session, ids: Collection[UUID], *, now: datetime) -> None:
    """End these deliveries whatever they were doing; a worker that holds one loses its fence."""
    await session.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(list(ids)), deliveries.c.state.in_(states_before(Fact.SHUT_OUT)))
        .values(state=State.CANCELLED, reason=None, claim_token=None, next_wakeup_at=None)
    )
    # Whoever still holds one corrects this when it knows better.
    await session.execute(
        update(attempts)
        .where(attempts.c.delivery_id.in_(list(ids)), attempts.c.outcome.is_(None))
        .values(outcome=Outcome.LEASE_EXPIRED, ended_at=now)
    )


async def list_shut_out_sent(session: Session, ids: Collection[UUID]) -> list[Sent]:
    """Those of these deliveries that were ended."""
    query = _sent().where(
        deliveries.c.id.in_(list(ids)),
        deliveries.c.state.in_([State.CANCELLED, State.ACKNOWLEDGED, State.REJECTED]),
        deliveries.c.agency_id.is_not(None),
        deliveries.c.alert_id.is_not(None),
    )
    return [Sent(*row) for row in (await session.execute(query)).all()]


async def note_transmitted(session: Session, delivery_id: UUID, at: datetime) -> None:
    """An attempt that could not be stopped got through."""
    await session.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.transmitted_at.is_(None))
        .values(transmitted_at=at)
    )
