"""What somebody who is shut out of an alert got hold of all the same stays on record."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from common.db import Session
from notifier.domain.notice import instant
from notifier.repository import exclusions as exclusion_rows
from notifier.repository.records import act, add_acts
from notifier.service.exclusions import shut_out


async def note_known(session: Session, times: Mapping[UUID, datetime], what: str, *, now: datetime) -> None:
    """It turns out that somebody who is shut out got hold of a notice all the same: that stays on record.

    Args:
        times: by delivery; others than those of somebody shut out are passed over.
        what: ``transmitted_at`` or ``opened_at``.
    """
    for sent in await exclusion_rows.list_shut_out_sent(session, times):
        if not await shut_out(session, [sent.agency_id], alerts=[sent.alert_id]):
            continue
        at = times[sent.delivery_id]
        if what == "transmitted_at":
            await exclusion_rows.note_transmitted(session, sent.delivery_id, at)
        for stored in await exclusion_rows.lock_exclusions(session, sent.alert_id):
            if stored.state != "in_force":
                continue
            others = [each for each in stored.known if each.get("delivery") != str(sent.delivery_id)]
            own = next((each for each in stored.known if each.get("delivery") == str(sent.delivery_id)), {})
            told = {**own, "delivery": str(sent.delivery_id), "role": sent.role, what: instant(at)}
            await exclusion_rows.set_exclusion(session, stored.id, {"known": [*others, told]})
        await add_acts(
            session, [act("conflict.known", at=now, alert_id=sent.alert_id, subject_id=sent.delivery_id)]
        )
