"""Alerts arrive, and with them what had overtaken them on its way."""

from collections.abc import Sequence
from datetime import datetime

from common.db import Session
from common.inbox import Received
from notifier.repository import changes as change_rows
from notifier.service.changes import settle
from notifier.service.desk import Desk
from notifier.service.planning import plan_alerts


async def take_alerts(session: Session, desk: Desk, received: Sequence[Received], *, now: datetime) -> None:
    """Plan alerts; a change that came before its alert takes effect before anything of it is sent.

    A correction may name a body that must not know: told first and shut out a moment later it would know.
    """
    ids = {one.event.alert_id for one in received}
    await change_rows.take_turns(session, ids)
    # A statement of its own: it must see what was committed while we waited for the turns.
    overtaking = await change_rows.list_overtaking(session, ids)
    planned = await plan_alerts(session, desk, received, unsettled=overtaking, now=now)
    for alert_id in sorted(planned & overtaking):
        await settle(session, desk, alert_id, now=now)
