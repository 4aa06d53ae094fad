"""Doors for other services: revocation, which must hold when it is answered, and the rebuild of our copy."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from common.http import Tx
from common.identity import Principal, require
from notifier.router.counter import AtCounter
from notifier.schemas import RebuiltOut
from notifier.service import directory, rebuilding

router = APIRouter(prefix="/internal", tags=["internal"], include_in_schema=False)

ServiceCaller = Annotated[Principal, Depends(require("service"))]


@router.post("/endpoints/{endpoint_id}/revocation", status_code=204)
async def revoke_endpoint(
    endpoint_id: UUID, session: Tx, _caller: ServiceCaller, counter: AtCounter
) -> Response:
    """Committed before the answer leaves: nothing is claimed for this endpoint from then on."""
    now = counter.now()
    await directory.revoke_endpoint(session, endpoint_id, at=now, now=now)
    return Response(status_code=204)


@router.post("/directory/rebuild")
async def rebuild_directory(_caller: ServiceCaller, counter: AtCounter) -> RebuiltOut:
    """Fetch everything that the registry says now and replace our copy by it."""
    facts = await counter.registry()
    async with counter.db.transaction() as session:
        taken = await rebuilding.rebuild(session, counter.desk, facts, now=counter.now())
    return RebuiltOut(facts=taken)
