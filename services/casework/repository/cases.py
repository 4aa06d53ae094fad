"""Cases and the alerts they belong to."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, and_, exists, or_, select, update
from sqlmodel import col

from casework.domain.case import Coordinator
from casework.models import Case, CaseAlert, Task
from casework.repository.exclusions import is_shut_out
from casework.repository.joined import is_under
from casework.repository.tables import table_of
from common.bulk import Rows, insert_new, insert_rows
from common.db import Session
from common.ids import new_id


@dataclass(slots=True)
class OpenCase:
    """A case that this transaction has locked; ``put_cases`` writes what was changed on it."""

    id: UUID
    territory: str | None
    opened_at: datetime | None
    coordinating_role: str | None
    coordinating_agency: UUID | None


_CASES, _LINKS, _TASKS = table_of(Case), table_of(CaseAlert), table_of(Task)
_ALERTS = Rows("told", _LINKS.c.alert_id)
_RECEIVED = Rows("received", _LINKS.c.alert_id, _LINKS.c.received_at)
_CHANGED = Rows(
    "changed", _CASES.c.id, _CASES.c.territory, _CASES.c.opened_at, _CASES.c.coordinating_role,
    _CASES.c.coordinating_agency,
)  # fmt: skip


@cache
def _cases_of(dialect: str) -> Executable:
    told = _ALERTS.table(dialect)
    return (
        select(
            _LINKS.c.alert_id,
            _CASES.c.id,
            _CASES.c.territory,
            _CASES.c.opened_at,
            _CASES.c.coordinating_role,
            _CASES.c.coordinating_agency,
        )
        .join(_LINKS, _LINKS.c.case_id == _CASES.c.id)
        .where(_LINKS.c.alert_id.in_(select(told.c.alert_id)))
        .order_by(_CASES.c.id)  # one order for all: whoever else locks them waits, and never in a ring
        .with_for_update(of=_CASES)
    )


@cache
def _change_cases(dialect: str) -> Executable:
    changed = _CHANGED.table(dialect)
    names = ("territory", "opened_at", "coordinating_role", "coordinating_agency")
    return (
        update(_CASES).where(_CASES.c.id == changed.c.id).values(**{name: changed.c[name] for name in names})
    )


@cache
def _note_receipts(dialect: str) -> Executable:
    received = _RECEIVED.table(dialect)
    return (
        update(_LINKS)
        .where(_LINKS.c.alert_id == received.c.alert_id)
        .values(received_at=received.c.received_at)
    )


async def open_cases(session: Session, alert_ids: Iterable[UUID], *, now: datetime) -> dict[UUID, OpenCase]:
    """The case of each alert, opened by whoever asks first, and locked: one writer a case at a time."""
    links = [{"alert_id": each, "case_id": new_id(), "received_at": None} for each in sorted(set(alert_ids))]
    mine = {row.alert_id for row in await insert_new(session, _LINKS, links, ["alert_id"])}
    fresh = [
        {
            "id": link["case_id"],
            "state": "open",
            "territory": None,
            "opened_at": None,
            "coordinating_role": None,
            "coordinating_agency": None,
            "created_at": now,
            "joined_into": None,
            "joined_no": 0,
        }
        for link in links
        if link["alert_id"] in mine
    ]
    await insert_rows(session, _CASES, fresh)
    found = await _ALERTS.execute(session, _cases_of, [(link["alert_id"],) for link in links])
    cases: dict[UUID, OpenCase] = {}
    by_alert: dict[UUID, OpenCase] = {}
    for row in found.all():
        by_alert[row.alert_id] = cases.setdefault(row.id, OpenCase(*row[1:]))
    return by_alert


async def put_cases(session: Session, cases: Iterable[OpenCase]) -> None:
    """Write locked cases as they are now."""
    rows = {
        case.id: (case.id, case.territory, case.opened_at, case.coordinating_role, case.coordinating_agency)
        for case in cases
    }
    if rows:
        await _CHANGED.execute(session, _change_cases, list(rows.values()))


async def note_receipts(session: Session, received: Mapping[UUID, datetime]) -> None:
    """Keep when each alert was received."""
    await _RECEIVED.execute(session, _note_receipts, list(received.items()))


async def find_case(session: Session, case_id: UUID, *, agency: UUID) -> Case | None:
    """The case, if the agency coordinates it or has a task there itself; being joined gives nobody a part."""
    found = await session.scalars(select(Case).where(col(Case.id) == case_id, _concerns(agency)))
    return found.one_or_none()


async def list_cases(
    session: Session, *, agency: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[Case]:
    """The agency's cases, newest first; of joined ones the first it knows, if it coordinates one of them."""
    wanted = select(Case).where(_concerns(agency), ~_has_its_place_taken(agency))
    if after is not None:
        created_at, case_id = after
        wanted = wanted.where(
            or_(
                col(Case.created_at) < created_at,
                (col(Case.created_at) == created_at) & (col(Case.id) < case_id),
            )
        )
    wanted = wanted.order_by(col(Case.created_at).desc(), col(Case.id).desc()).limit(limit)
    return list(await session.scalars(wanted))


def _concerns(agency: UUID) -> Any:
    return _has_part(_CASES, agency) & ~is_shut_out(agency, _CASES.c.id)


def _has_part(cases: Any, agency: UUID) -> Any:
    has_task = exists().where(_TASKS.c.case_id == cases.c.id, _TASKS.c.assignee == agency)
    return or_(cases.c.coordinating_agency == agency, has_task)


def _has_its_place_taken(agency: UUID) -> Any:
    """Whether the agency sees the case under another one that it is joined with.

    Only who coordinates one of them is told that they are joined, and of the others those it has a part in.
    """
    one, other = _CASES.alias(), _CASES.alias()
    head = _CASES.c.joined_into
    coordinates = exists().where(is_under(one, head), one.c.coordinating_agency == agency)
    comes_before = or_(
        other.c.id == head,
        other.c.created_at < _CASES.c.created_at,
        and_(other.c.created_at == _CASES.c.created_at, other.c.id < _CASES.c.id),
    )
    taken = exists().where(is_under(other, head), comes_before, _has_part(other, agency))
    return head.is_not(None) & coordinates & taken


async def alerts_of(session: Session, case_ids: Collection[UUID]) -> list[UUID]:
    """The alerts of these cases, in a stable order."""
    found = await session.scalars(
        select(col(CaseAlert.alert_id))
        .where(col(CaseAlert.case_id).in_(case_ids))
        .order_by(col(CaseAlert.alert_id))
    )
    return list(found)


def coordinator_of(case: OpenCase) -> Coordinator | None:
    """Who coordinates, as far as known."""
    if case.coordinating_role is None or case.coordinating_agency is None:
        return None
    return Coordinator(case.coordinating_role, case.coordinating_agency)
