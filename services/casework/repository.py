"""All SQL of casework."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, exists, insert, nulls_last, or_, select, update
from sqlmodel import SQLModel, col

from casework.domain.case import Coordinator
from casework.domain.task import Copy, Facts, State
from casework.domain.task import Task as TaskRule
from casework.models import Appointment, Case, CaseAlert, DutyFact, Record, Task
from common.db import Session, insert_ignore
from common.ids import new_id


def _table(model: type[SQLModel]) -> Table:
    table: Table = getattr(model, "__table__")  # noqa: B009  # SQLModel does not declare it
    return table


# Cases ---------------------------------------------------------------------------------------------


async def open_case(session: Session, alert_id: UUID, *, now: datetime) -> Case:
    """The case of the alert, opened by whoever asks first, and locked: one writer a case at a time."""
    case_id = new_id()
    link = {"alert_id": alert_id, "case_id": case_id, "received_at": None}
    if await insert_ignore(session, _table(CaseAlert), [link], ["alert_id"]):
        session.add(Case(id=case_id, state="open", created_at=now))
        await session.flush()
    found = await session.scalars(
        select(Case)
        .join(CaseAlert, col(CaseAlert.case_id) == col(Case.id))
        .where(col(CaseAlert.alert_id) == alert_id)
        .with_for_update()
    )
    return found.one()


async def note_receipt(session: Session, alert_id: UUID, received_at: datetime) -> None:
    """Keep when the alert was received."""
    await session.execute(
        update(CaseAlert).where(col(CaseAlert.alert_id) == alert_id).values(received_at=received_at)
    )


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


def coordinator_of(case: Case) -> Coordinator | None:
    """Who coordinates, as far as known."""
    if case.coordinating_role is None or case.coordinating_agency is None:
        return None
    return Coordinator(case.coordinating_role, case.coordinating_agency)


# Tasks ---------------------------------------------------------------------------------------------


async def tasks_by_obligation(session: Session, obligations: Iterable[UUID]) -> dict[UUID, Task]:
    """Those that exist."""
    found = await session.scalars(select(Task).where(col(Task.obligation_id).in_(set(obligations))))
    return {task.obligation_id: task for task in found}


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


async def put_tasks(
    session: Session, case_id: UUID, wanted: Sequence[TaskRule], known: Mapping[UUID, Task]
) -> None:
    """Write the tasks as they are now."""
    fresh = [
        {"id": new_id(), "case_id": case_id} | _values(task)
        for task in wanted
        if task.copy.obligation_id not in known
    ]
    if fresh:
        await session.execute(insert(_table(Task)), fresh)
    for task in wanted:
        row = known.get(task.copy.obligation_id)
        if row is not None:
            for name, value in _values(task).items():
                setattr(row, name, value)


def as_rule(row: Task) -> TaskRule:
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


async def facts_of(session: Session, obligations: Iterable[UUID]) -> dict[UUID, Facts]:
    """What is known to have happened to these duties."""
    found = await session.scalars(select(DutyFact).where(col(DutyFact.obligation_id).in_(set(obligations))))
    return {fact.obligation_id: Facts(fact.met_at, fact.breached_at, fact.waived_at) for fact in found}


async def put_facts(session: Session, alert_id: UUID, facts: Mapping[UUID, Facts]) -> None:
    """Write what happened; the case of the alert must be locked."""
    known = await facts_of(session, facts)
    for obligation_id, fact in facts.items():
        values = {"met_at": fact.met_at, "breached_at": fact.breached_at, "waived_at": fact.waived_at}
        if obligation_id not in known:
            session.add(DutyFact(obligation_id=obligation_id, alert_id=alert_id, **values))
        elif known[obligation_id] != fact:
            await session.execute(
                update(DutyFact).where(col(DutyFact.obligation_id) == obligation_id).values(**values)
            )
    await session.flush()


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
