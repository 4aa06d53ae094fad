"""Public figures; the gateway lets everybody ask."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from common.http import Reading
from common.identity import Caller
from common.schemas import Out
from notifier.domain.statistics import SMALLEST, Span
from notifier.router.counter import AtCounter
from notifier.service.statistics import count_alerts

router = APIRouter(prefix="/v1/statistics", tags=["statistics"])


class RegionCountOut(Out):
    """Alerts of one region; `null` is a count that is not published."""

    region: str = Field(description="ISO 3166-2")
    total: int | None
    concerns: dict[str, int | None] = Field(description="an alert counts once for each of its concerns")


class AlertCountsOut(Out):
    """Alerts by region and concern."""

    year: int
    month: int | None
    smallest: int = Field(SMALLEST, description="counts below it are not published")
    items: list[RegionCountOut]


@router.get("/alerts", summary="Alerts of a closed month, or of a released year, by region and concern")
async def count_alerts_of(
    response: Response,
    session: Reading,
    counter: AtCounter,
    _caller: Caller,
    year: Annotated[int, Query(ge=2025, le=2100)],
    month: Annotated[int | None, Query(ge=1, le=12, description="without it: the whole year")] = None,
) -> AlertCountsOut:
    """A published month never changes; the year is released on 1 February of the next."""
    rows = await count_alerts(session, Span(year, month), now=counter.now())
    response.headers["Cache-Control"] = "public, max-age=3600"
    return AlertCountsOut(year=year, month=month, items=[RegionCountOut.model_validate(row) for row in rows])
