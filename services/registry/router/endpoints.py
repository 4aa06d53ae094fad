"""Endpoints: how agencies' systems are reached. Addresses are shown to a registrar and to the agency."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from common.http import After, Limit, Page, PartsOf, Reading, Tx, write_cursor
from registry import service
from registry.errors import AgencyNotNamed, AgencyUnknown
from registry.router.desk import DeskOf, Registrar, RegistrarOrAgency, read_id_cursor
from registry.schemas import Code, EndpointIn, EndpointOut

router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])


@router.get("", summary="Endpoints, revoked ones too")
async def list_endpoints(
    session: Reading,
    caller: RegistrarOrAgency,
    agency: Annotated[Code | None, Query(description="id or code; an agency sees its own only")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[EndpointOut]:
    """A registrar sees all, an agency its own."""
    owner: UUID | None = None
    if agency is not None:
        found = await service.find_agency(session, agency)
        if found is None:
            raise AgencyUnknown
        owner = found.id
    if caller.role == "agency":
        if caller.agency is None:
            raise AgencyNotNamed
        if owner not in (None, caller.agency):
            raise AgencyUnknown
        owner = caller.agency
    rows = await service.list_endpoints(
        session, agency_id=owner, after=read_id_cursor(after), limit=limit + 1
    )
    page = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[EndpointOut.of(row) for row in page], next=write_cursor(str(page[-1].id)) if more else None
    )


@router.post(
    "",
    status_code=201,
    summary="Register an endpoint, or its next version",
    responses={200: {"model": EndpointOut, "description": "The next version, or nothing differed"}},
)
async def register_endpoint(
    body: EndpointIn, session: Tx, caller: Registrar, parts: PartsOf, desk: DeskOf, response: Response
) -> EndpointOut:
    """201 for a new endpoint; 200 for its next version, or when nothing differs."""
    endpoint, effect = await service.register_endpoint(
        session, body.to_draft(), keys=parts.keys, loopback=desk.loopback, by=caller.subject, now=parts.now
    )
    if effect is not service.Effect.CREATED:
        response.status_code = 200
    return EndpointOut.of(endpoint)


@router.delete("/{endpoint_id}", status_code=204, summary="Revoke an endpoint, at once")
async def revoke_endpoint(endpoint_id: UUID, caller: Registrar, parts: PartsOf, desk: DeskOf) -> None:
    """204 once nothing more goes there; 503, and nothing changed, when that cannot be assured."""
    async with parts.db.reading() as session:
        endpoint = await service.get_endpoint(session, endpoint_id)
    if endpoint.revoked_at is not None:
        return
    # Between two transactions: a call to a neighbour must not hold the writers' lock. Notifier stops
    # first; should we die before storing it, nothing is sent and the repeat stores it.
    await desk.stop_sending(endpoint_id)
    async with parts.db.transaction() as session:
        await service.revoke_endpoint(session, endpoint_id, by=caller.subject, now=parts.now)
