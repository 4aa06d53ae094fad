"""What a test says about its endpoint: when a person is told that it fails, and when that is over."""

from datetime import datetime
from uuid import UUID

from common.db import Session
from common.telemetry import log
from notifier.domain.delivery import Outcome
from notifier.domain.drill import BOUNCED, TRIES
from notifier.repository import drills as drill_rows
from notifier.repository.receipts import Addressed
from notifier.repository.records import act, add_acts

_UNKNOWN = frozenset({Outcome.LEASE_EXPIRED, None})
"""How an attempt may stand whose bytes were taken: our own record may lag behind the agency's answer."""


async def prove(session: Session, endpoint_id: UUID, proof_id: UUID, *, at: datetime, now: datetime) -> None:
    """The endpoint took a notice and it was answered as it must be: what was wrong is over."""
    failing_since = await drill_rows.prove(session, endpoint_id, proof_id, at=at, now=now)
    if failing_since is None:
        return
    await add_acts(session, [act("endpoint.works_again", at=now, subject_id=endpoint_id)])
    log.info("endpoint_works_again", endpoint_id=str(endpoint_id))


async def fail(
    session: Session, test_id: UUID, cause: str, *, now: datetime, is_judged: bool = False
) -> None:
    """A test failed. The second in a row calls a person, and so does each one after it: once a day."""
    failed = await drill_rows.fail(session, test_id, cause, now=now, is_judged=is_judged)
    if failed is None:
        return
    endpoint_id, count = failed.endpoint_id, failed.failures
    if count < TRIES:
        log.warning("endpoint_test_failed", endpoint_id=str(endpoint_id), reason=cause)
        return
    await add_acts(
        session, [act("endpoint.failing", at=now, subject_id=endpoint_id, reason=cause, count=count)]
    )
    log.error("endpoint_failing", endpoint_id=str(endpoint_id), reason=cause, count=count)


async def take_answer(session: Session, addressed: Addressed, *, now: datetime) -> None:
    """The agency's own system answered a test with a receipt that counts."""
    if addressed.alert_id is not None or addressed.endpoint_id is None:
        return
    outcomes = await drill_rows.outcomes_of(session, addressed.delivery_id)
    # Whoever only fetched it has not shown that anything can be sent there.
    if Outcome.ACCEPTED in outcomes or (outcomes and outcomes <= _UNKNOWN):
        await prove(session, addressed.endpoint_id, addressed.delivery_id, at=now, now=now)


async def take_bounce(session: Session, test_id: UUID, *, now: datetime) -> None:
    """A relay took a test and could not bring it."""
    await fail(session, test_id, BOUNCED, now=now, is_judged=True)
