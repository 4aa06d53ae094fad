"""Public figures."""

from datetime import datetime

from common.db import Session
from notifier.domain.statistics import RegionCount, Span, count_by_region, count_year
from notifier.domain.territory import region_of
from notifier.errors import NotPublished
from notifier.repository.statistics import list_countable


async def count_alerts(session: Session, span: Span, *, now: datetime) -> tuple[RegionCount, ...]:
    """Alerts of a closed month, or of a year after its release: as they stood when the span was closed.

    Raises:
        NotPublished: its time has not come.
    """
    if now < span.published_at:
        raise NotPublished
    found = await _list(session, span)
    if span.month is not None:
        return count_by_region(found)
    return count_year(found, [count_by_region(await _list(session, month)) for month in span.months])


async def _list(session: Session, span: Span) -> list[tuple[str, list[str]]]:
    found = await list_countable(
        session,
        since=span.starts_at,
        until=span.ends_at,
        known_until=span.closed_at,
        without_conflicts=span.month is not None,
    )
    return [(region_of(territory), concerns) for territory, concerns in found]
