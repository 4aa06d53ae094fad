"""The pull inbox: the other way to be told. Handing a notice to its authenticated agency transmits it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from common.db import Session
from common.identity import Principal
from common.ids import new_id
from notifier.domain.delivery import Outcome
from notifier.domain.schedule import ORDER, next_alarm
from notifier.repository import deliveries as delivery_rows
from notifier.repository import inbox as inbox_rows
from notifier.repository.inbox import InboxItem
from notifier.service.desk import Desk
from notifier.service.exclusions import hidden_alerts
from notifier.service.transmission import holders_informed, note_moved


async def hand_over(
    session: Session,
    desk: Desk,
    caller: Principal,
    *,
    after: datetime | None,
    limit: int,
    now: datetime,
    lease: timedelta | None = None,
) -> Sequence[tuple[datetime, InboxItem]]:
    """Notices that wait for this agency, each with its place.

    The answer commits as their transmission before it leaves.

    Args:
        lease: the caller alone works on what it gets for so long, if the others ask with a lease too.
            Then the place (``after``) does not count: what nobody answered comes again when it ends.
    """
    if caller.agency is None:
        return []
    last = await inbox_rows.lock_places(session, caller.agency)
    items = await (
        _list(session, caller, after=after, limit=limit)
        if lease is None
        else _lease(session, caller, limit=limit, now=now, until=now + lease)
    )
    placed = await inbox_rows.give_places(session, caller.agency, items, last=last, now=now)
    wakeups = {ORDER[urgency]: next_alarm(tier=tier, now=now) for urgency, tier in desk.tiers.items()}
    pulled = await inbox_rows.mark_pulled(
        session, [item.delivery_id for item in items], now=now, wakeups=wakeups
    )
    await delivery_rows.add_attempts(
        session,
        [
            {
                "delivery_id": moved.delivery_id,
                "no": attempt,
                "claim_token": new_id(),
                "endpoint_id": None,
                "endpoint_version": None,
                "started_at": now,
                "ended_at": now,
                "outcome": Outcome.PULLED,
            }
            for moved, attempt, _ in pulled
        ],
    )
    moved = [each for each, _, _ in pulled]
    if moved:
        await note_moved(session, moved, "transmitted", now=now)
        await holders_informed(session, desk, moved, now=now)
    # A conflict of interest may have been raised since the list was made: nothing leaves after that.
    hidden = await hidden_alerts(session, caller)
    return [(place, item) for place, item in placed if item.alert_id not in hidden]


async def anything_waits(
    session: Session,
    caller: Principal,
    *,
    after: datetime | None,
    now: datetime,
    lease: timedelta | None = None,
) -> bool:
    """Whether ``hand_over`` would find something."""
    if lease is None:
        return bool(await _list(session, caller, after=after, limit=1))
    if caller.agency is None:
        return False
    hidden = await hidden_alerts(session, caller)
    return bool(await inbox_rows.list_free(session, caller.agency, limit=1, now=now, hidden=hidden))


async def _list(
    session: Session, caller: Principal, *, after: datetime | None, limit: int
) -> list[InboxItem]:
    if caller.agency is None:
        return []
    hidden = await hidden_alerts(session, caller)
    return await inbox_rows.list_inbox(session, caller.agency, after=after, limit=limit, hidden=hidden)


async def _lease(
    session: Session, caller: Principal, *, limit: int, now: datetime, until: datetime
) -> list[InboxItem]:
    if caller.agency is None:
        return []
    hidden = await hidden_alerts(session, caller)
    return await inbox_rows.lease_inbox(
        session, caller.agency, limit=limit, now=now, until=until, hidden=hidden
    )
