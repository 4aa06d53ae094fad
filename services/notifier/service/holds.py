"""The hub lets a public report go to the bodies that the law names."""

from datetime import datetime
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.telemetry import log
from notifier.errors import AlertNotHeld, AlertUnknown
from notifier.repository import alerts as alert_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
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
    waiting = [
        row for row in rows if row.is_held and row.delivery_id is None and row.state in obligation_rows.UNMET
    ]
    if alert.released_at is None and waiting:
        await alert_rows.mark_released(session, alert.id, caller.subject, at=now)
        await dispatch_duties(session, desk, alert.id, waiting, now=now)
        released = act("alert.released", at=now, actor=caller.subject, alert_id=alert.id, count=len(waiting))
        await add_acts(session, [released])
        log.info("alert_released", alert_id=str(alert.id), count=len(waiting))
    return await see_alert(session, caller, handle)
