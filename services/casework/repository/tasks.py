"""Tasks, written many at once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, case, nulls_last, or_, select, update
from sqlmodel import col

from casework.domain.task import Copy, Facts, State
from casework.domain.task import Task as TaskRule
from casework.models import Task
from casework.repository.exclusions import is_shut_out
from casework.repository.tables import table_of
from common.bulk import Rows, insert_rows
from common.db import Session
from common.ids import new_id

_TASKS = table_of(Task)
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
    wanted = select(Task).where(col(Task.assignee) == agency, ~is_shut_out(agency, col(Task.case_id)))
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


async def find_task(session: Session, case_ids: Collection[UUID], rule: str, *, agency: UUID) -> Task | None:
    """A task of this rule in one of the cases; the agency's own before another's."""
    found = await session.scalars(
        select(Task)
        .where(col(Task.case_id).in_(case_ids), col(Task.rule) == rule)
        .order_by(
            case((col(Task.assignee) == agency, 0), else_=1), nulls_last(col(Task.due_at)), col(Task.id)
        )
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
