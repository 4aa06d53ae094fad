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
    """Nothing published changes: counted is what was known when the span was closed, as it stood then.

    A month is closed when it ends, and published an hour later. The year is released on 1 February of the
    next: a figure is the sum of those that its months show, and counts what they leave out (few alerts,
    conflicts, what was learned later) where that is no small number.
    """
    rows = await count_alerts(session, Span(year, month), now=counter.now())
    response.headers["Cache-Control"] = "public, max-age=3600"
    return AlertCountsOut(year=year, month=month, items=[RegionCountOut.model_validate(row) for row in rows])
