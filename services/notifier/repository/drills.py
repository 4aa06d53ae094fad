"""How endpoints stood when they were last tested, and what proves that they work."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, exists, func, or_, select, text, update

from common.db import Session, insert_ignore
from notifier.domain.delivery import Outcome, State
from notifier.domain.drill import TRIES, Watched
from notifier.domain.receipt import Means
from notifier.models import agencies, attempts, deliveries, drills, endpoint_versions, endpoints, receipts
from notifier.models.deliveries import SENDABLE, WATCHED

_IN_FORCE = (
    select(
        endpoints.c.id,
        endpoints.c.agency_id,
        endpoint_versions.c.kind,
        endpoint_versions.c.rung,
        endpoints.c.paused_at.is_not(None),
        drills.c.since,
        endpoint_versions.c.hours,
        drills.c.test_id,
        drills.c.tested_at,
        drills.c.judged_at,
        drills.c.cause,
        drills.c.failures,
        drills.c.failing_since,
        drills.c.proven_at,
        drills.c.proof_id,
    )
    .join(drills, drills.c.endpoint_id == endpoints.c.id)
    .join(
        endpoint_versions,
        and_(
            endpoint_versions.c.endpoint_id == endpoints.c.id,
            endpoint_versions.c.agency_id == endpoints.c.agency_id,
            endpoint_versions.c.version == endpoints.c.version,
        ),
    )
    .outerjoin(agencies, agencies.c.id == endpoints.c.agency_id)
    .where(endpoints.c.revoked_at.is_(None))
)


async def list_watched(
    session: Session, *, now: datetime, agency_id: UUID | None = None, is_failing: bool = False
) -> list[Watched]:
    """Every endpoint in force that is watched, of an agency that is not retired, in a lasting order."""
    query = _IN_FORCE.where(or_(agencies.c.retired_at.is_(None), agencies.c.retired_at > now))
    if agency_id is not None:
        query = query.where(endpoints.c.agency_id == agency_id)
    if is_failing:
        query = query.where(drills.c.failing_since.is_not(None))
    rows = await session.execute(query.order_by(drills.c.since, endpoints.c.id))
    return [Watched(*row) for row in rows.all()]


async def list_unwatched(session: Session) -> list[UUID]:
    """Endpoints in force that nobody watches yet."""
    query = (
        select(endpoints.c.id)
        .outerjoin(drills, drills.c.endpoint_id == endpoints.c.id)
        .where(endpoints.c.revoked_at.is_(None), drills.c.endpoint_id.is_(None))
    )
    return list((await session.scalars(query)).all())


async def watch(session: Session, endpoint_ids: Collection[UUID], *, now: datetime) -> None:
    """Begin to watch these; who is watched already stays as it is."""
    rows = [{"endpoint_id": one, "since": now} for one in endpoint_ids]
    await insert_ignore(session, drills, rows, ["endpoint_id"])


async def is_busy(session: Session, endpoint_id: UUID, *, now: datetime, leased_until: datetime) -> bool:
    """Whether anything is being sent there, or is due to be: a test stands back.

    Args:
        leased_until: no lease that is taken now ends later.
    """
    leased = select(deliveries.c.id).where(
        text(f"({WATCHED})"),
        deliveries.c.next_wakeup_at > now,
        deliveries.c.next_wakeup_at <= leased_until,
        deliveries.c.state == State.LEASED,
        deliveries.c.endpoint_id == endpoint_id,
    )
    due = select(deliveries.c.id).where(
        text(SENDABLE), deliveries.c.endpoint_id == endpoint_id, deliveries.c.next_wakeup_at <= now
    )
    return bool(await session.scalar(select(or_(exists(leased), exists(due)))))


@dataclass(frozen=True, slots=True)
class Proof:
    """A notice that an endpoint took and its agency answered."""

    delivery_id: UUID
    at: datetime


async def find_proof(
    session: Session, agency_id: UUID, endpoint_id: UUID, *, since: datetime, must_sign: bool
) -> Proof | None:
    """The newest notice of an alert that this endpoint took and whose receipt is as a test's must be."""
    query = (
        select(deliveries.c.id, receipts.c.received_at)
        .join(receipts, receipts.c.delivery_id == deliveries.c.id)
        .where(
            # By the index of an agency's deliveries: what was planned before does not count.
            deliveries.c.agency_id == agency_id,
            deliveries.c.planned_at >= since,
            deliveries.c.is_test.is_(False),
            receipts.c.means == Means.SYSTEM,
            exists(
                select(attempts.c.no).where(
                    attempts.c.delivery_id == deliveries.c.id,
                    attempts.c.endpoint_id == endpoint_id,
                    attempts.c.outcome == Outcome.ACCEPTED,
                )
            ),
        )
        .order_by(deliveries.c.planned_at.desc())
        .limit(1)
    )
    if must_sign:
        query = query.where(receipts.c.is_signed.is_(True))
    row = (await session.execute(query)).first()
    return None if row is None else Proof(row[0], row[1])


async def begin(
    session: Session, endpoint_id: UUID, test_id: UUID, *, after: datetime | None, now: datetime
) -> bool:
    """Make this the endpoint's last test; ``False`` when another worker began one since ``after``."""
    result = await session.execute(
        update(drills)
        .where(drills.c.endpoint_id == endpoint_id, drills.c.tested_at.is_not_distinct_from(after))
        .values(test_id=test_id, tested_at=now, judged_at=None)
        .returning(drills.c.endpoint_id)
    )
    return result.first() is not None


async def supersede(session: Session, test_id: UUID) -> None:
    """A later test takes the place of one that failed: the agency need not look at it any more."""
    await session.execute(
        update(deliveries)
        .where(deliveries.c.id == test_id, deliveries.c.is_test.is_(True), deliveries.c.state == State.DEAD)
        .values(state=State.SUPERSEDED)
    )


async def end_test(session: Session, test_id: UUID, values: dict[str, Any]) -> bool:
    """End a test, or let it wait for its receipt; ``False`` when it was answered meanwhile."""
    result = await session.execute(
        update(deliveries)
        .where(
            deliveries.c.id == test_id,
            deliveries.c.is_test.is_(True),
            deliveries.c.state.in_((State.WAITING, State.LEASED, State.TRANSMITTED, State.DEAD)),
        )
        .values(reason=None, claim_token=None, **values)
        .returning(deliveries.c.id)
    )
    return result.first() is not None


async def outcomes_of(session: Session, test_id: UUID) -> set[str | None]:
    """How the attempts of a test ended; none while one is under way."""
    return set(
        (await session.scalars(select(attempts.c.outcome).where(attempts.c.delivery_id == test_id))).all()
    )


@dataclass(frozen=True, slots=True)
class Failed:
    """An endpoint whose test has failed."""

    endpoint_id: UUID
    failures: int


async def fail(
    session: Session, test_id: UUID, cause: str, *, now: datetime, is_judged: bool = False
) -> Failed | None:
    """Note that the endpoint's last test failed, once; ``None`` when it is none, or is noted already.

    Args:
        is_judged: it had passed, as it seemed.
    """
    counted = drills.c.failures + 1
    stands = drills.c.cause.is_(None) if is_judged else drills.c.judged_at.is_(None)
    result = await session.execute(
        update(drills)
        .where(drills.c.test_id == test_id, stands)
        .values(
            judged_at=now,
            cause=cause,
            failures=counted,
            failing_since=case(
                (counted >= TRIES, func.coalesce(drills.c.failing_since, now)), else_=drills.c.failing_since
            ),
        )
        .returning(drills.c.endpoint_id, drills.c.failures)
    )
    row = result.first()
    return None if row is None else Failed(row[0], row[1])


async def prove(
    session: Session, endpoint_id: UUID, proof_id: UUID, *, at: datetime, now: datetime
) -> datetime | None:
    """Note that the endpoint works; answers since when it had been failing, if it had."""
    found = await session.execute(
        select(drills.c.failing_since).where(drills.c.endpoint_id == endpoint_id).with_for_update()
    )
    failing_since: datetime | None = found.scalar_one_or_none()
    await session.execute(
        update(drills)
        .where(drills.c.endpoint_id == endpoint_id)
        .values(
            judged_at=case((drills.c.test_id == proof_id, now), else_=drills.c.judged_at),
            cause=None,
            failures=0,
            failing_since=None,
            proven_at=at,
            proof_id=proof_id,
        )
    )
    return failing_since
