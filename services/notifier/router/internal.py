"""Doors for other services: revocation, which must hold when it is answered, and the rebuild of our copy."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from common.http import Tx
from common.identity import Principal, require
from notifier.router.counter import AtCounter
from notifier.schemas import RebuiltOut
from notifier.service import directory, rebuilding
from notifier.service.dispatch import LOOK_AGAIN_AFTER

router = APIRouter(prefix="/internal", tags=["internal"], include_in_schema=False)

ServiceCaller = Annotated[Principal, Depends(require("service"))]


MARGIN_SECONDS = 0.1


async def _looked_again() -> AsyncIterator[None]:
    """Let the answer wait until every worker has looked again at what it had claimed before the commit."""
    yield
    await asyncio.sleep(LOOK_AGAIN_AFTER.total_seconds() + MARGIN_SECONDS)


# Asked for before ``Tx``, so it ends after it: when the transaction is committed.
LookedAgain = Annotated[None, Depends(_looked_again, scope="function")]


@router.post("/endpoints/{endpoint_id}/revocation", status_code=204)
async def revoke_endpoint(
    endpoint_id: UUID, _caller: ServiceCaller, _looked: LookedAgain, session: Tx, counter: AtCounter
) -> Response:
    """Once it is answered nothing more goes there: nothing is claimed for it, nothing claimed leaves."""
    now = counter.now()
    await directory.revoke_endpoint(session, counter.desk, endpoint_id, at=now, now=now)
    return Response(status_code=204)


@router.post("/directory/rebuild")
async def rebuild_directory(_caller: ServiceCaller, counter: AtCounter) -> RebuiltOut:
    """Fetch everything that the registry says now and replace our copy by it."""
    async with counter.db.reading() as session:
        known = await rebuilding.what_is_known(session)
    facts = await counter.registry()
    async with counter.db.transaction() as session:
        taken = await rebuilding.rebuild(session, counter.desk, facts, known=known, now=counter.now())
    return RebuiltOut(facts=taken)
