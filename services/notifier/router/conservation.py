"""Whether the ledger adds up."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from common.http import Reading
from common.identity import Principal, require
from common.schemas import Out
from notifier.router.counter import AtCounter
from notifier.service.conservation import RECENT, weigh

router = APIRouter(prefix="/v1", tags=["operation"])


class ImbalanceOut(Out):
    """A law of the ledger that is broken."""

    law: str
    count: int = Field(description="rows that break it; at most 1,000 are counted")
    sample: tuple[UUID, ...] = Field(description="some of their opaque ids")


class BalanceOut(Out):
    """Planned deliveries by state, and every law that does not hold."""

    at: datetime
    since: datetime | None
    holds: bool
    planned: int
    states: dict[str, int]
    imbalances: tuple[ImbalanceOut, ...]


@router.get("/conservation", summary="Whether nothing that was planned is missing")
async def weigh_ledger(
    session: Reading,
    counter: AtCounter,
    _caller: Annotated[Principal, Depends(require("operator"))],
    scope: Annotated[Literal["recent", "whole"], Query(description="the last two days, or all")] = "recent",
) -> BalanceOut:
    """Reads only what is stored; opaque ids and codes, nothing about a child."""
    now = counter.now()
    return BalanceOut.model_validate(
        await weigh(session, now=now, since=None if scope == "whole" else now - RECENT)
    )
