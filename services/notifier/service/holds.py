"""The hub lets a public report go to the bodies that the law names."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.telemetry import log
from notifier.errors import AlertNotHeld, AlertUnknown
from notifier.repository import alerts as alert_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.obligations import Row
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.opening import alert_facts
from notifier.service.reading import Seen, see_alert
from notifier.service.routing import dispatch_duties


async def release_alert(
    session: Session, desk: Desk, caller: Principal, handle: UUID, *, now: datetime
) -> Seen:
    """Send every notice of a report that waits for the hub; once more changes nothing.

    Raises:
        AlertUnknown: there is none for this caller, or the caller is not its hub.
        AlertNotHeld: it never waited for anybody.
    """
    seen = await see_alert(session, caller, handle)
    hub = desk.lawbook.edition(seen.alert.edition).parameters.hub
    if seen.viewer.agency is None or not caller.holds(hub):
        raise AlertUnknown
    # Duties before their alert, as everybody does who sends a notice of theirs.
    rows = await obligation_rows.lock_of_alert(session, seen.alert.id)
    alert = await alert_rows.lock_alert(session, seen.alert.id)
    if alert is None or alert.hold is None:
        raise AlertNotHeld
    await _let_go(session, desk, alert, rows, by=caller.subject, now=now)
    return await see_alert(session, caller, handle)


async def release_threatened(session: Session, desk: Desk, alert_id: UUID, *, now: datetime) -> None:
    """Under a direct threat nothing waits, also when that is learned while the report does.

    Deliveries, duties and alert must be locked.
    """
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None or alert.hold is None or not alert_facts(alert).direct_threat:
        return
    rows = await obligation_rows.lock_of_alert(session, alert_id)
    await _let_go(session, desk, alert, rows, by="dabyl", now=now)


async def _let_go(
    session: Session, desk: Desk, alert: AlertRow, rows: Sequence[Row], *, by: str, now: datetime
) -> None:
    waiting = [
        row for row in rows if row.is_held and row.delivery_id is None and row.state in obligation_rows.UNMET
    ]
    if alert.released_at is not None or not waiting:
        return
    await alert_rows.mark_released(session, alert.id, by, at=now)
    await dispatch_duties(session, desk, alert.id, waiting, now=now)
    released = act("alert.released", at=now, actor=by, alert_id=alert.id, count=len(waiting))
    await add_acts(session, [released])
    log.info("alert_released", alert_id=str(alert.id), count=len(waiting))
