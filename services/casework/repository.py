"""All SQL of casework."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Table, exists, nulls_last, or_, select, update
from sqlmodel import SQLModel, col

from casework.domain.case import Coordinator
from casework.domain.task import Copy, Facts, State
from casework.domain.task import Task as TaskRule
from casework.models import Appointment, Case, CaseAlert, DutyFact, Record, Task
from common.bulk import Rows, insert_new, insert_rows
from common.db import Session, insert_ignore
from common.ids import new_id


def _table(model: type[SQLModel]) -> Table:
    table: Table = getattr(model, "__table__")  # noqa: B009  # SQLModel does not declare it
    return table


# Cases ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class OpenCase:
    """A case that this transaction has locked; ``put_cases`` writes what was changed on it."""

    id: UUID
    territory: str | None
    opened_at: datetime | None
    coordinating_role: str | None
    coordinating_agency: UUID | None


_CASES, _LINKS, _TASKS, _FACTS = _table(Case), _table(CaseAlert), _table(Task), _table(DutyFact)
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
        }
        for link in links
        if link["alert_id"] in mine
    ]
    await insert_rows(session, _CASES, fresh)
    found = await _ALERTS.execute(session, _cases_of, [(link["alert_id"],) for link in links])
    cases: dict[UUID, OpenCase] = {}
    by_alert: dict[UUID, OpenCase] = {}
    for row in found.all():
        # A joined case is one object, however many of its alerts were asked for.
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
    """The case, if the agency coordinates it or has a task in it."""
    found = await session.scalars(select(Case).where(col(Case.id) == case_id, _concerns(agency)))
    return found.one_or_none()


async def list_cases(
    session: Session, *, agency: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[Case]:
    """The agency's cases, newest first."""
    wanted = select(Case).where(_concerns(agency))
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
    has_task = exists().where(col(Task.case_id) == col(Case.id), col(Task.assignee) == agency)
    return or_(col(Case.coordinating_agency) == agency, has_task)


async def alerts_of(session: Session, case_id: UUID) -> list[UUID]:
    """The alerts of the case, in a stable order."""
    found = await session.scalars(
        select(col(CaseAlert.alert_id))
        .where(col(CaseAlert.case_id) == case_id)
        .order_by(col(CaseAlert.alert_id))
    )
    return list(found)


def coordinator_of(case: OpenCase) -> Coordinator | None:
    """Who coordinates, as far as known."""
    if case.coordinating_role is None or case.coordinating_agency is None:
        return None
    return Coordinator(case.coordinating_role, case.coordinating_agency)


# Tasks ---------------------------------------------------------------------------------------------


_DUTIES = Rows("duties", _TASKS.c.obligation_id)


@cache
def _tasks_by_obligation(dialect: str) -> Executable:
    duties = _DUTIES.table(dialect)
    return select(_TASKS).where(_TASKS.c.obligation_id.in_(select(duties.c.obligation_id)))


async def tasks_by_obligation(session: Session, obligations: Iterable[UUID]) -> dict[UUID, TaskRule]:
    """Those that exist."""
    wanted = [(each,) for each in set(obligations)]
    if not wanted:
        return {}
    found = await _DUTIES.execute(session, _tasks_by_obligation, wanted)
    return {row.obligation_id: as_rule(row) for row in found.all()}


async def tasks_of(session: Session, case_ids: Iterable[UUID], *, agency: UUID | None) -> list[Task]:
    """Tasks of the cases, by due time; only the agency's where one is given."""
    wanted = select(Task).where(col(Task.case_id).in_(set(case_ids)))
    if agency is not None:
        wanted = wanted.where(col(Task.assignee) == agency)
    return list(await session.scalars(wanted.order_by(nulls_last(col(Task.due_at)), col(Task.id))))


async def list_tasks(
    session: Session,
    *,
    agency: UUID,
    state: str | None,
    after: tuple[datetime | None, UUID] | None,
    limit: int,
) -> list[Task]:
    """The agency's tasks, the most pressing first; those without a limit last."""
    wanted = select(Task).where(col(Task.assignee) == agency)
    if state is not None:
        wanted = wanted.where(col(Task.state) == state)
    if after is not None:
        due_at, task_id = after
        if due_at is None:
            wanted = wanted.where(col(Task.due_at).is_(None), col(Task.id) > task_id)
        else:
            same = (col(Task.due_at) == due_at) & (col(Task.id) > task_id)
            wanted = wanted.where(or_(col(Task.due_at) > due_at, same, col(Task.due_at).is_(None)))
    wanted = wanted.order_by(nulls_last(col(Task.due_at)), col(Task.id)).limit(limit)
    return list(await session.scalars(wanted))


async def find_task(session: Session, case_id: UUID, rule: str) -> Task | None:
    """A task of this rule in the case; the one whose duty was told first to be due."""
    found = await session.scalars(
        select(Task)
        .where(col(Task.case_id) == case_id, col(Task.rule) == rule)
        .order_by(nulls_last(col(Task.due_at)), col(Task.id))
        .limit(1)
    )
    return found.one_or_none()


_MUTABLE = tuple(
    column.name for column in _TASKS.columns if column.name not in ("id", "obligation_id", "case_id")
)
_REWRITTEN = Rows("rewritten", _TASKS.c.obligation_id, *(_TASKS.c[name] for name in _MUTABLE))


@cache
def _rewrite_tasks(dialect: str) -> Executable:
    rewritten = _REWRITTEN.table(dialect)
    return (
        update(_TASKS)
        .where(_TASKS.c.obligation_id == rewritten.c.obligation_id)
        .values(**{name: rewritten.c[name] for name in _MUTABLE})
    )


async def put_tasks(
    session: Session, wanted: Sequence[tuple[UUID, TaskRule]], known: Mapping[UUID, TaskRule]
) -> None:
    """Write the tasks as they are now, each with its case; ``known`` are those that exist, as they are."""
    fresh = [
        {"id": new_id(), "case_id": case_id} | _values(task)
        for case_id, task in wanted
        if task.copy.obligation_id not in known
    ]
    await insert_rows(session, _TASKS, fresh)
    changed = [_values(task) for _, task in wanted if known.get(task.copy.obligation_id, task) != task]
    if changed:
        rows = [(each["obligation_id"], *(each[name] for name in _MUTABLE)) for each in changed]
        await _REWRITTEN.execute(session, _rewrite_tasks, rows)


def as_rule(row: Any) -> TaskRule:
    """A row as the pure rules know it."""
    copy = Copy(
        obligation_id=row.obligation_id,
        rule=row.rule,
        obliged=row.obliged,
        recipient=row.recipient,
        force=row.force,
        state=State(row.told_state),
        starts_at=row.starts_at,
        due_at=row.due_at,
        breach_at=row.breach_at,
        assignee=row.assignee,
        evidence=tuple(row.evidence),
    )
    return TaskRule(copy, Facts(row.met_at, row.breached_at, row.waived_at))


def _values(task: TaskRule) -> dict[str, Any]:
    copy, facts = task.copy, task.facts
    return {
        "obligation_id": copy.obligation_id,
        "rule": copy.rule,
        "obliged": copy.obliged,
        "recipient": copy.recipient,
        "force": copy.force,
        "assignee": copy.assignee,
        "told_state": copy.state.value,
        "state": task.state.value,
        "starts_at": copy.starts_at,
        "due_at": copy.due_at,
        "breach_at": copy.breach_at,
        "evidence": list(copy.evidence),
        "met_at": facts.met_at,
        "breached_at": facts.breached_at,
        "waived_at": facts.waived_at,
    }


# Facts ---------------------------------------------------------------------------------------------


_TOLD = ("met_at", "breached_at", "waived_at")
_OF_DUTIES = Rows("of_duties", _FACTS.c.obligation_id)
_CORRECTED = Rows("corrected", _FACTS.c.obligation_id, *(_FACTS.c[name] for name in _TOLD))


@cache
def _facts_of(dialect: str) -> Executable:
    duties = _OF_DUTIES.table(dialect)
    return select(_FACTS).where(_FACTS.c.obligation_id.in_(select(duties.c.obligation_id)))


@cache
def _correct_facts(dialect: str) -> Executable:
    corrected = _CORRECTED.table(dialect)
    return (
        update(_FACTS)
        .where(_FACTS.c.obligation_id == corrected.c.obligation_id)
        .values(**{name: corrected.c[name] for name in _TOLD})
    )


async def facts_of(session: Session, obligations: Iterable[UUID]) -> dict[UUID, Facts]:
    """What is known to have happened to these duties."""
    wanted = [(each,) for each in set(obligations)]
    if not wanted:
        return {}
    found = await _OF_DUTIES.execute(session, _facts_of, wanted)
    return {row.obligation_id: Facts(*(getattr(row, name) for name in _TOLD)) for row in found.all()}


async def put_facts(
    session: Session, facts: Mapping[UUID, tuple[UUID, Facts]], known: Mapping[UUID, Facts]
) -> None:
    """Write what happened, each with its alert; the cases of the alerts must be locked."""
    fresh = [
        {"obligation_id": key, "alert_id": alert_id} | {name: getattr(fact, name) for name in _TOLD}
        for key, (alert_id, fact) in facts.items()
        if key not in known
    ]
    await insert_rows(session, _FACTS, fresh)
    changed = [(key, fact) for key, (_, fact) in facts.items() if known.get(key, fact) != fact]
    if changed:
        rows = [(key, *(getattr(fact, name) for name in _TOLD)) for key, fact in changed]
        await _CORRECTED.execute(session, _correct_facts, rows)


# Appointments --------------------------------------------------------------------------------------


async def add_appointment(session: Session, appointment: Appointment) -> bool:
    """Add the appointment; ``False`` when the case has one. The unique index decides."""
    row = appointment.model_dump()
    return await insert_ignore(session, _table(Appointment), [row], ["case_id"]) == 1


async def get_appointment(session: Session, case_id: UUID) -> Appointment:
    """The appointment that the case is known to have."""
    found = await session.scalars(select(Appointment).where(col(Appointment.case_id) == case_id))
    return found.one()


async def appointments_of(session: Session, case_ids: Iterable[UUID]) -> dict[UUID, Appointment]:
    """The appointment of each case that has one."""
    found = await session.scalars(select(Appointment).where(col(Appointment.case_id).in_(set(case_ids))))
    return {appointment.case_id: appointment for appointment in found}


# Records -------------------------------------------------------------------------------------------


async def lock_case(session: Session, case_id: UUID) -> None:
    """One writer of records a case at a time."""
    await session.execute(select(col(Case.id)).where(col(Case.id) == case_id).with_for_update())


async def add_record(session: Session, record: Record) -> None:
    """Add a record; its case must be locked."""
    session.add(record)
    await session.flush()


async def find_record(session: Session, record_id: UUID) -> Record | None:
    """A record by its id."""
    return (await session.scalars(select(Record).where(col(Record.id) == record_id))).one_or_none()


async def find_record_by_token(session: Session, token: bytes) -> Record | None:
    """The record that says exactly this."""
    return (await session.scalars(select(Record).where(col(Record.token) == token))).one_or_none()


async def is_superseded(session: Session, record_id: UUID) -> bool:
    """Whether a later record has taken this one's place."""
    found = await session.scalars(select(col(Record.id)).where(col(Record.supersedes) == record_id))
    return found.first() is not None


async def records_of(session: Session, case_id: UUID, *, agency: UUID | None) -> list[Record]:
    """Records of a case in the order of what happened; only the agency's where one is given."""
    wanted = select(Record).where(col(Record.case_id) == case_id)
    if agency is not None:
        wanted = wanted.where(col(Record.agency_id) == agency)
    return list(await session.scalars(wanted.order_by(col(Record.happened_at), col(Record.id))))
