"""Alerts of a time as statistics count them: territory and concerns, no id."""

from datetime import datetime

from sqlalchemy import exists, func, or_, select

from common.db import Session
from notifier.models import alerts, changes, exclusions, fact_versions


async def list_countable(
    session: Session, *, since: datetime, until: datetime, known_until: datetime, without_conflicts: bool
) -> list[tuple[str, list[str]]]:
    """Territory and concerns of alerts received from ``since`` until before ``until``.

    Args:
        known_until: what the ledger learned from then on is not counted: neither an alert nor a newer
            version of its facts.
        without_conflicts: leave out those in conflict before ``known_until``, also where it was lifted later.
    """
    counted = [
        alerts.c.received_at >= since,
        alerts.c.received_at < until,
        alerts.c.planned_at < known_until,
    ]
    if without_conflicts:
        first = func.coalesce(exclusions.c.first_since, exclusions.c.since)
        counted.append(~exists().where(exclusions.c.alert_id == alerts.c.id, first < known_until))
    # The first version is written with the first change; a change counts from when it took effect here.
    versions = (
        select(fact_versions.c.alert_id, fact_versions.c.facts)
        .join(alerts, alerts.c.id == fact_versions.c.alert_id)
        .join(changes, changes.c.id == fact_versions.c.change_id, isouter=True)
        .where(*counted, or_(fact_versions.c.change_id.is_(None), changes.c.applied_at < known_until))
        .order_by(fact_versions.c.alert_id, fact_versions.c.no)
    )
    stood = {row[0]: row[1] for row in (await session.execute(versions)).all()}
    found = await session.execute(select(alerts.c.id, alerts.c.territory, alerts.c.facts).where(*counted))
    return [(row[1], list(stood.get(row[0], row[2])["concerns"])) for row in found.all()]
