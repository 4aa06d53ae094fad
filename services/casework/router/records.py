"""Signed records of a case."""

from uuid import UUID

from fastapi import APIRouter, Response

from casework import service
from casework.router.desk import Agency, DeskOf
from casework.schemas import CaseRecordIn, RecordOut
from common.http import Page, PartsOf, Reading, Tx

router = APIRouter(prefix="/v1/cases", tags=["records"])


@router.post(
    "/{case_id}/records",
    status_code=201,
    summary="Record what was done, signed by a person",
    responses={200: {"model": RecordOut, "description": "It was stored before"}},
)
async def add_record(
    case_id: UUID,
    body: CaseRecordIn,
    session: Tx,
    caller: Agency,
    parts: PartsOf,
    desk: DeskOf,
    response: Response,
) -> RecordOut:
    """The fact that meets a task, with its evidence; what follows from it by law opens by itself.

    A record is never edited: a correction is a further record that ``supersedes`` it. Each task says
    under ``evidence`` which kinds meet it. The two forms of the joint order are not filled in here: the
    record refers to the signed document. ``case.closed`` is recorded by the body that coordinates the case;
    where the law names none (no violence, cruelty, bullying or witness of violence), by the centre.
    """
    recorded, is_new = await service.add_record(
        session,
        case_id,
        body.to_entry(),
        agency=caller.agency,
        by=caller.subject,
        seals=desk.seals,
        now=parts.now,
    )
    if not is_new:
        response.status_code = 200
    response.headers["Cache-Control"] = "no-store"
    return RecordOut.of(recorded.row, recorded.words)


@router.get("/{case_id}/records", summary="What was recorded, as it happened")
async def list_records(
    case_id: UUID, session: Reading, caller: Agency, desk: DeskOf, response: Response
) -> Page[RecordOut]:
    """Own records in full; the body that coordinates sees that others recorded, not what they wrote."""
    rows = await service.list_records(session, case_id, agency=caller.agency, seals=desk.seals)
    response.headers["Cache-Control"] = "no-store"
    return Page(items=[RecordOut.of(each.row, each.words) for each in rows])
