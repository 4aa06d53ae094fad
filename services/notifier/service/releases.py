"""A body lets the notices of its own duties go before their time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.telemetry import log
from notifier.domain.acting import Act
from notifier.errors import ObligationNotReleasable
from notifier.repository import obligations as obligation_rows
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.owning import choice, take_hold
from notifier.service.reading import Seen
from notifier.service.routing import dispatch_duties


async def release_obligations(
    session: Session, desk: Desk, caller: Principal, ids: Sequence[UUID], *, now: datetime
) -> Seen:
    """Send the notices of these duties of one alert now: one notice for each agency that is to be told.

    What was released before, or left by itself, stays as it is.

    Raises:
        ObligationUnknown: see ``take_hold``.
        ObligationNotReleasable: nothing of a duty waits for a release; then none of them is released.
    """
    held = await take_hold(session, caller, ids)
    going = []
    for row in held.rows:
        may = choice(
            desk, edition=row.edition, rule=row.rule, state=row.state, has_left=row.delivery_id is not None
        ).may
        if Act.RELEASE in may:
            going.append(row)
        elif not _has_gone(desk, row):
            raise ObligationNotReleasable
    if going:
        alert_id = going[0].alert_id
        for row in going:
            await obligation_rows.set_obligation(
                session, row.id, {"released_at": now, "released_by": caller.subject}
            )
        await dispatch_duties(session, desk, alert_id, going, now=now)
        await add_acts(
            session,
            [
                act(
                    "duty.released",
                    at=now,
                    actor=caller.subject,
                    alert_id=alert_id,
                    subject_id=row.id,
                    rule=row.rule,
                )
                for row in going
            ],
        )
        log.info("obligations_released", alert_id=str(alert_id), count=len(going))
    return held.seen


def _has_gone(desk: Desk, row: obligation_rows.Row) -> bool:
    """A notice that waits for a release by law, and has left, whatever became of its duty since."""
    rule = desk.lawbook.edition(row.edition).rule(row.rule)
    return rule.dispatch == "on_release" and row.delivery_id is not None
