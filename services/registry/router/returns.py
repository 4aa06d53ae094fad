"""What agencies hand in for duties that return."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from common.http import After, Limit, Page, PartsOf, Reading, Tx, write_cursor
from common.identity import Principal, require
from registry import service
from registry.errors import AgencyNotNamed
from registry.router.desk import RegistrarOrAgency, read_id_cursor
from registry.schemas import ReturnBodyIn, ReturnOut

router = APIRouter(prefix="/v1/returns", tags=["returns"])

OwnAgency = Annotated[Principal, Depends(require("agency"))]


@router.post(
    "",
    status_code=201,
    summary="Hand in what a duty asks for at intervals",
    responses={200: {"model": ReturnOut, "description": "It was handed in before; this is it."}},
)
async def submit_return(
    body: ReturnBodyIn, session: Tx, caller: OwnAgency, parts: PartsOf, response: Response
) -> ReturnOut:
    """The agency of the token hands it in for itself. What was handed in is never altered."""
    if caller.agency is None:
        raise AgencyNotNamed
    row, is_new = await service.submit_return(
        session, caller.agency, **body.model_dump(), by=caller.subject, now=parts.now
    )
    if not is_new:
        response.status_code = 200
    return ReturnOut.of(row)


@router.get("", summary="What was handed in")
async def list_returns(
    session: Reading, caller: RegistrarOrAgency, after: After = None, limit: Limit = 50
) -> Page[ReturnOut]:
    """An agency sees its own, a registrar all."""
    if caller.role == "agency" and caller.agency is None:
        raise AgencyNotNamed
    rows = await service.list_returns(
        session,
        agency_id=caller.agency if caller.role == "agency" else None,
        after=read_id_cursor(after),
        limit=limit + 1,
    )
    page = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[ReturnOut.of(row) for row in page], next=write_cursor(str(page[-1].id)) if more else None
    )
