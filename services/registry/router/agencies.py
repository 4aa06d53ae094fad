"""Agencies: who holds which role where."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from common.http import CursorNotKnown, Page, PartsOf, Reading, Tx, read_cursor, write_cursor
from common.identity import Caller, Principal
from registry import service
from registry.router.desk import DeskOf, Registrar
from registry.schemas import (
    AgencyIn,
    AgencyOut,
    AgencyQuery,
    Code,
    EndpointOut,
    RetirementIn,
)

router = APIRouter(prefix="/v1/agencies", tags=["agencies"])

_CODE = re.compile(r"[a-z0-9-]{1,80}", re.ASCII)


@router.get("", summary="Agencies, by role, territory or code")
async def list_agencies(
    session: Reading,
    caller: Caller,
    parts: PartsOf,
    desk: DeskOf,
    asked: Annotated[AgencyQuery, Query()],
) -> Page[AgencyOut]:
    """Agencies in force, by code.

    With a role and a territory, the agency that would be told comes first, marked ``primary``: the
    nearest holder upward, or the stand-in of a body that is declared absent.
    """
    moment = asked.at or parts.now()
    if asked.role is not None:
        desk.roles.check(asked.role)
    shown = None if caller.role == "registrar" else moment
    if asked.code is not None:
        found = await service.find_agency(session, asked.code)
        listed = await service.with_mandates(session, [found] if found else [])
        return Page(items=[AgencyOut.of(one.agency, one.mandates, at=shown) for one in listed])
    key = read_cursor(asked.after, 1)
    if key is not None and not _CODE.fullmatch(key[0]):
        raise CursorNotKnown
    listing = await service.list_agencies(
        session,
        at=moment,
        role=asked.role,
        territory=asked.territory,
        after=key[0] if key else None,
        limit=asked.limit,
    )
    items = []
    for one in listing.items:
        first = listing.holder is not None and one.agency.id == listing.holder.agency_id
        marks = (
            {"primary": first, "stands_in": first and listing.holder is not None and listing.holder.stands_in}
            if listing.is_resolved
            else {}
        )
        items.append(AgencyOut.of(one.agency, one.mandates, at=shown, **marks))
    return Page(items=items, next=write_cursor(listing.next) if listing.next else None)


@router.get("/{reference}", summary="One agency")
async def get_agency(
    reference: Annotated[Code, Path(description="id or code")],
    session: Reading,
    caller: Caller,
    parts: PartsOf,
) -> AgencyOut:
    """The agency with this id or code; its endpoints too, for a registrar and for itself."""
    registered = await service.get_agency(session, reference)
    return await _whole(session, registered, caller, parts)


@router.post(
    "",
    status_code=201,
    summary="Register an agency, or its next version",
    responses={200: {"model": AgencyOut, "description": "The next version, or nothing differed"}},
)
async def register_agency(
    body: AgencyIn, session: Tx, caller: Registrar, parts: PartsOf, desk: DeskOf, response: Response
) -> AgencyOut:
    """201 for a new agency; 200 for its next version, or when nothing differs."""
    [registered] = await service.register_agencies(
        session, [body.to_draft()], roles=desk.roles, by=caller.subject, now=parts.now
    )
    if registered.effect is not service.Effect.CREATED:
        response.status_code = 200
    return AgencyOut.of(registered.agency, registered.mandates, at=None)


@router.post("/{agency_id}/retirement", summary="End every mandate of an agency")
async def retire_agency(
    agency_id: UUID, body: RetirementIn, session: Tx, caller: Registrar, parts: PartsOf
) -> AgencyOut:
    """Repeatable: an agency that is retired stays so."""
    registered = await service.retire_agency(
        session,
        agency_id,
        at=body.retired_at or parts.now(),
        successor=body.successor,
        by=caller.subject,
        now=parts.now,
    )
    return AgencyOut.of(registered.agency, registered.mandates, at=None)


async def _whole(
    session: Reading, registered: service.Registered, caller: Principal, parts: PartsOf
) -> AgencyOut:
    agency = registered.agency
    is_registrar = caller.role == "registrar"
    endpoints = None
    if is_registrar or (caller.role == "agency" and caller.agency == agency.id):
        rows = await service.list_endpoints(session, agency_id=agency.id, after=None, limit=200)
        endpoints = [EndpointOut.of(row) for row in rows]
    return AgencyOut.of(
        registered.agency, registered.mandates, at=None if is_registrar else parts.now(), endpoints=endpoints
    )
