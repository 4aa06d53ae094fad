"""Everything the register says now, for services that keep a copy."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from common.contracts import REGISTRY
from common.envelope import encode
from common.http import After, CursorNotKnown, Page, Reading, read_cursor, write_cursor
from registry import service
from registry.router.desk import ServiceCaller

router = APIRouter(prefix="/internal/snapshot", tags=["internal"], include_in_schema=False)


@router.get("")
async def get_snapshot(
    session: Reading,
    _caller: ServiceCaller,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 5000,
) -> Page[dict[str, Any]]:
    """CloudEvents: agencies, absences, endpoints; within each kind by id.

    A change between two pages has a higher version; whichever comes later, the higher one holds.
    """
    facts = await service.list_facts(session, after=_key(after), limit=limit + 1)
    page = facts[:limit]
    last = page[-1] if len(facts) > limit else None
    return Page(
        items=[json.loads(encode(fact)) for fact in page],
        next=write_cursor(last.event.type, str(last.subject)) if last else None,
    )


def _key(after: str | None) -> tuple[str, UUID] | None:
    key = read_cursor(after, 2)
    if key is None:
        return None
    try:
        kind, subject = key[0], UUID(key[1])
    except ValueError as error:
        raise CursorNotKnown from error
    if kind not in REGISTRY:
        raise CursorNotKnown
    return kind, subject
