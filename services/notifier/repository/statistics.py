"""Alerts of a time as statistics count them: territory and concerns, no id."""

from datetime import datetime

from sqlalchemy import exists, select

from common.db import Session
from notifier.models import alerts, exclusions


async def list_countable(
    session: Session, *, since: datetime, until: datetime, without_conflicts: bool
) -> list[tuple[str, list[str]]]:
    """Territory and concerns of alerts received from ``since`` until before ``until``.

    Args:
        without_conflicts: leave out those in conflict before ``until``, also where it was lifted later.
    """
    query = select(alerts.c.territory, alerts.c.facts).where(
        alerts.c.received_at >= since, alerts.c.received_at < until
    )
    if without_conflicts:
        raised = exists().where(exclusions.c.alert_id == alerts.c.id, exclusions.c.since < until)
        query = query.where(~raised)
    return [(row[0], list(row[1]["concerns"])) for row in (await session.execute(query)).all()]
