"""Tasks of the calling agency."""

from typing import Annotated

from fastapi import APIRouter, Query

from casework import service
from casework.domain.task import State
from casework.router.desk import Agency, read_id, read_moment
from casework.schemas import TaskOut
from common.http import After, Limit, Page, Reading, read_cursor, write_cursor

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])


@router.get("", summary="The agency's tasks, the most pressing first")
async def list_tasks(
    session: Reading,
    caller: Agency,
    state: Annotated[State | None, Query(description="only tasks in this state")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[TaskOut]:
    """By due time; those for which the law gives none come last."""
    key = read_cursor(after, 2)
    rows = await service.list_tasks(
        session,
        agency=caller.agency,
        state=state,
        after=(read_moment(key[0]) if key[0] else None, read_id(key[1])) if key else None,
        limit=limit + 1,
    )
    page = rows[:limit]
    last = page[-1] if len(rows) > limit else None
    return Page(
        items=[TaskOut.of(row) for row in page],
        next=write_cursor(last.due_at.isoformat() if last.due_at else "", str(last.id)) if last else None,
    )
