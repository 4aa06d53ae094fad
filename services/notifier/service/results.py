"""What a finished attempt means, and writing many of them at once."""

import random
import time
from collections.abc import Sequence
from datetime import datetime

from common.db import Session
from common.telemetry import Telemetry
from notifier.domain.channel import Answer
from notifier.domain.delivery import RESULT, Outcome, Reason, State, step
from notifier.domain.schedule import next_alarm, next_attempt
from notifier.repository import claims
from notifier.repository import ladders as ladder_rows
from notifier.repository.claims import Claimed, Result
from notifier.service.desk import Desk
from notifier.service.escalation import end_dead
from notifier.service.known import note_known
from notifier.service.transmission import holders_informed, note_moved

_CHANCE = random.Random()  # noqa: S311  # spreads retries; nothing secret hangs on it


def judge(desk: Desk, claimed: Claimed, answer: Answer, *, ended_at: datetime) -> Result:
    """The delivery's next state after this attempt, and when it wakes up again."""
    fact, reason = RESULT[answer.outcome]
    state = step(State.LEASED, fact)
    if state is None:
        raise AssertionError(f"no way out of leased by {fact}")
    tier = desk.tiers[claimed.urgency]
    wakeup: datetime | None = None
    if state is State.WAITING:
        wakeup = next_attempt(
            tier=tier,
            attempt=claimed.attempt,
            now=ended_at,
            deadline=claimed.deadline,
            chance=_CHANCE.random(),
            retry_after=answer.retry_after,
        )
    elif state is State.TRANSMITTED:
        wakeup = next_alarm(tier=tier, now=ended_at)
    return Result(
        delivery_id=claimed.delivery_id,
        token=claimed.token,
        attempt=claimed.attempt,
        ended_at=ended_at,
        outcome=answer.outcome,
        status=answer.status,
        state=state,
        reason=Reason(reason) if state is State.WAITING and reason else None,
        next_wakeup_at=wakeup,
    )


async def write_results(session: Session, desk: Desk, results: Sequence[Result], *, now: datetime) -> None:
    """Write how attempts ended, and everything that follows from it, in one transaction."""
    gone = [result.delivery_id for result in results if result.state is State.DEAD]
    if gone:
        await ladder_rows.lock_firsts(session, gone)
    transmitted, died = await claims.write_results(session, results)
    if transmitted:
        # In this order: what is only written waits for the next statement, and there is none any more.
        await holders_informed(session, desk, transmitted, now=now)
        await note_moved(session, transmitted, "transmitted", now=now)
    moved = {each.delivery_id for each in transmitted}
    late = {
        result.delivery_id: result.ended_at
        for result in results
        if result.outcome is Outcome.ACCEPTED and result.delivery_id not in moved
    }
    if late:
        await note_known(session, late, "transmitted_at", now=now)
    if died:
        await note_moved(session, died, "failed", now=now)
        await end_dead(session, desk, died, now=now)


def record(telemetry: Telemetry, one: Claimed, answer: Answer, began_ns: int) -> None:
    """The span of an attempt that has just ended."""
    telemetry.record(
        "notifier.attempt_delivery",
        parent=one.traceparent,
        start_ns=began_ns,
        end_ns=time.time_ns(),
        attributes={
            "dabyl.delivery_id": str(one.delivery_id),
            "dabyl.attempt": one.attempt,
            "dabyl.outcome": answer.outcome.value,
            "dabyl.role": one.role,
            **({"dabyl.alert_id": str(one.alert_id)} if one.alert_id else {}),
        },
    )
