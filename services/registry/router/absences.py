"""Where a body of the law does not exist."""

from fastapi import APIRouter, Response

from common.http import After, Limit, Page, PartsOf, Reading, Tx, write_cursor
from common.identity import Caller
from registry import service
from registry.router.desk import DeskOf, Registrar, read_id_cursor
from registry.schemas import AbsenceIn, AbsenceOut

router = APIRouter(prefix="/v1/absences", tags=["absences"])


@router.get("", summary="Declared absences")
async def list_absences(
    session: Reading, _caller: Caller, after: After = None, limit: Limit = 50
) -> Page[AbsenceOut]:
    """Past and future ones too."""
    rows = await service.list_absences(session, after=read_id_cursor(after), limit=limit + 1)
    page = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[AbsenceOut.of(row) for row in page], next=write_cursor(str(page[-1].id)) if more else None
    )


@router.post(
    "",
    status_code=201,
    summary="Declare that a body does not exist, or declare it anew",
    responses={200: {"model": AbsenceOut, "description": "The next version, or nothing differed"}},
)
async def declare_absence(
    body: AbsenceIn, session: Tx, caller: Registrar, parts: PartsOf, desk: DeskOf, response: Response
) -> AbsenceOut:
    """201 for a new declaration; 200 for its next version, or when nothing differs."""
    absence, effect = await service.declare_absence(
        session, body.to_draft(), roles=desk.roles, by=caller.subject, now=parts.now
    )
    if effect is not service.Effect.CREATED:
        response.status_code = 200
    return AbsenceOut.of(absence)
