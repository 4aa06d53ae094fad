"""A mail came back: its delivery was not transmitted after all, and a person has to know."""

from datetime import datetime, timedelta
from uuid import UUID

from common.db import Session
from common.telemetry import log
from notifier.domain.bounce import Bounce
from notifier.domain.delivery import Fact, Reason, State, step
from notifier.repository import deliveries as delivery_rows
from notifier.repository import ladders as ladder_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.escalation import climb_dead, end_dead
from notifier.service.proofs import take_bounce as take_bounce_of_test
from notifier.service.transmission import note_moved

RETRY_AFTER = timedelta(minutes=5)
"""A full mailbox or a relay that gave up: its next rung goes out at once, this way waits a little."""


async def take_bounce(
    session: Session, desk: Desk, delivery_id: UUID, bounce: Bounce, *, now: datetime
) -> bool:
    """Take the transmission back; ``False`` when it changes nothing: repeated, or answered meanwhile.

    Nobody at that address: the way is dead. Otherwise it is tried again. Both times the next rung of
    the agency is climbed at once. Duties that the mail had met are open again, from their old start.
    """
    fact = Fact.GONE if bounce.is_unknown else Fact.BOUNCED
    state = step(State.TRANSMITTED, fact)
    if state is None:
        raise AssertionError(f"no way out of transmitted by {fact}")
    values = {
        "state": state,
        "reason": Reason.BOUNCED if state is State.WAITING else None,
        "next_wakeup_at": now + RETRY_AFTER if state is State.WAITING else None,
        "transmitted_at": None,
        "handed_at": None,
    }
    await ladder_rows.lock_firsts(session, [delivery_id])
    taken = await delivery_rows.take_back(session, delivery_id, values, at=now)
    if taken is None:
        await take_bounce_of_test(session, delivery_id, now=now)
        return False
    moved, transmitted_at = taken
    # Only what this very mail had met: another rung may have got through.
    reopened = await obligation_rows.reopen_carried(session, moved.carrier_id, met_at=transmitted_at, now=now)
    acts = [
        act("delivery.bounced", at=now, alert_id=moved.alert_id, subject_id=delivery_id, status=bounce.status)
    ]
    acts += [act("duty.reopened", at=now, alert_id=moved.alert_id, subject_id=duty) for duty in reopened]
    await add_acts(session, acts)
    if state is State.DEAD:
        await note_moved(session, [moved], "failed", now=now)
    climb = end_dead if state is State.DEAD else climb_dead
    await climb(session, desk, [moved], now=now)
    log.warning("delivery_bounced", delivery_id=str(delivery_id), count=len(reopened))
    return True
