"""The hot path: claims and results, in bulk and fenced.

A claim writes its fence token and the attempt rows before any byte is sent. A result counts for its
delivery only while that token stands; one that comes too late is written to its attempt all the same,
and a late success wins over a repeat that has not got through yet.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import Executable, and_, bindparam, case, func, or_, select, text, update

from common.bulk import Rows, insert_rows
from common.db import Session, lock_due
from notifier.domain.delivery import Fact, Outcome, Reason, State, states_before
from notifier.domain.escalation import Rung
from notifier.domain.schedule import BY_ORDER, ORDER, Urgency
from notifier.models import attempts, deliveries, endpoint_versions, endpoints, notices
from notifier.models.deliveries import SENDABLE
from notifier.repository.signing_keys import list_keys


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours until its lease ends; ``url`` and ``body`` are empty when it cannot be sent."""

    delivery_id: UUID
    token: UUID
    attempt: int
    endpoint_id: UUID
    urgency: Urgency
    deadline: datetime | None
    leased_until: datetime
    alert_id: UUID | None
    role: str
    traceparent: str | None
    concurrency: int
    url: str | None = field(default=None, repr=False)
    kind: str = "webhook"
    body: bytes | None = field(default=None, repr=False)
    sealed_keys: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended and what that makes of its delivery, if the fence still stands."""

    delivery_id: UUID
    token: UUID
    attempt: int
    ended_at: datetime
    outcome: Outcome
    status: int | None
    state: State
    reason: Reason | None
    next_wakeup_at: datetime | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A delivery that changed, with what the ledger needs to go on."""

    delivery_id: UUID
    alert_id: UUID | None
    agency_id: UUID
    role: str
    at: datetime
    rung: int = 0
    escalates_id: UUID | None = None

    @property
    def tells_superior(self) -> bool:
        """Whether a superior body was told: that informs nobody whom the law names."""
        return self.rung == Rung.SUPERIOR

    @property
    def carrier_id(self) -> UUID:
        """The first way, which carries the duties."""
        return self.escalates_id or self.delivery_id

    @property
    def answers_silence(self) -> bool:
        """Whether it was told of a subordinate's silence; what tells of a breach is a first way itself."""
        return self.tells_superior and self.escalates_id is not None


async def claim(
    session: Session,
    ids: Collection[UUID],
    token: UUID,
    *,
    now: datetime,
    leases: Mapping[Urgency, datetime],
) -> list[Claimed]:
    """Claim those of ``ids`` that wait and are due: fence, attempt rows, then what is needed to send.

    Ids that are not due, not ours to send or held by another worker are left out: a stale or doubled
    wake-up is harmless.
    """
    due = await _IDS.execute(session, _lock_sendable, [(one,) for one in ids], now=now)
    taken = due.all()
    if not taken:
        return []
    until = {f"lease_{ORDER[urgency]}": moment for urgency, moment in leases.items()}
    leased = (await _IDS.execute(session, _lease, taken, token=token, **until)).all()
    await insert_rows(
        session,
        attempts,
        [
            {
                "delivery_id": row.id,
                "no": row.attempt_no,
                "claim_token": token,
                "endpoint_id": row.endpoint_id,
                "endpoint_version": row.endpoint_version,
                "started_at": now,
            }
            for row in leased
        ],
    )
    return await _complete(session, [row.id for row in leased], token, now=now)


_IDS = Rows("wanted", deliveries.c.id)


@cache
def _lock_sendable(dialect: str) -> Executable:
    wanted = _IDS.table(dialect)
    return lock_due(
        select(deliveries.c.id).where(
            deliveries.c.id.in_(select(wanted.c.id)),
            text(SENDABLE),
            deliveries.c.next_wakeup_at <= bindparam("now", type_=deliveries.c.next_wakeup_at.type),
        )
    )


@cache
def _lock_all(dialect: str) -> Executable:
    wanted = _IDS.table(dialect)
    query = select(deliveries.c.id).where(deliveries.c.id.in_(select(wanted.c.id)))
    return query.order_by(deliveries.c.id).with_for_update()


# What changed while its delivery was leased or planned; a revocation that came first names no version.
_ITS_OWN = and_(endpoints.c.id == deliveries.c.endpoint_id, endpoints.c.agency_id == deliveries.c.agency_id)
_IN_FORCE = select(endpoints.c.version).where(_ITS_OWN, endpoints.c.revoked_at.is_(None)).scalar_subquery()


@cache
def _lease(dialect: str) -> Executable:
    wanted = _IDS.table(dialect)
    moments = {
        order: bindparam(f"lease_{order}", type_=deliveries.c.next_wakeup_at.type) for order in ORDER.values()
    }
    return (
        update(deliveries)
        .where(deliveries.c.id.in_(select(wanted.c.id)), deliveries.c.state == State.WAITING)
        .values(
            state=State.LEASED,
            reason=None,
            claim_token=bindparam("token", type_=deliveries.c.claim_token.type),
            attempt_no=deliveries.c.attempt_no + 1,
            next_wakeup_at=case(moments, value=deliveries.c.urgency),
            held_at=None,
            endpoint_version=func.coalesce(_IN_FORCE, deliveries.c.endpoint_version),
        )
        .returning(
            deliveries.c.id,
            deliveries.c.attempt_no,
            deliveries.c.endpoint_id,
            deliveries.c.endpoint_version,
        )
    )


@cache
def _ready(dialect: str) -> Executable:
    wanted = _IDS.table(dialect)
    return (
        select(
            deliveries.c.id,
            deliveries.c.attempt_no,
            deliveries.c.endpoint_id,
            deliveries.c.urgency,
            deliveries.c.deadline_at,
            deliveries.c.next_wakeup_at,
            deliveries.c.alert_id,
            deliveries.c.role,
            deliveries.c.traceparent,
            endpoint_versions.c.concurrency,
            endpoint_versions.c.url,
            endpoint_versions.c.kind,
            endpoints.c.revoked_at,
            endpoints.c.paused_at,
            notices.c.body,
        )
        .join(
            endpoint_versions,
            and_(
                endpoint_versions.c.agency_id == deliveries.c.agency_id,
                endpoint_versions.c.endpoint_id == deliveries.c.endpoint_id,
                endpoint_versions.c.version == deliveries.c.endpoint_version,
            ),
        )
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .join(notices, notices.c.delivery_id == deliveries.c.id)
        # By id: no index knows the tokens, and a table of years must not be read through for a claim.
        .where(deliveries.c.id.in_(select(wanted.c.id)))
        .order_by(deliveries.c.urgency, deliveries.c.planned_at)
    )


async def _complete(session: Session, ids: Collection[UUID], token: UUID, *, now: datetime) -> list[Claimed]:
    """What was claimed under ``token``, urgent first, with address and body as they are in force now."""
    result = await _IDS.execute(session, _ready, [(one,) for one in ids])
    rows = result.all()
    keys = await list_keys(session, {row.endpoint_id for row in rows}, now=now)
    return [
        Claimed(
            delivery_id=row.id,
            token=token,
            attempt=row.attempt_no,
            endpoint_id=row.endpoint_id,
            urgency=BY_ORDER[row.urgency],
            deadline=row.deadline_at,
            leased_until=row.next_wakeup_at,
            alert_id=row.alert_id,
            role=row.role,
            traceparent=row.traceparent,
            concurrency=row.concurrency,
            url=None if row.revoked_at or row.paused_at else row.url,
            kind=row.kind,
            body=row.body,
            sealed_keys=tuple(keys.get(row.endpoint_id, ())),
        )
        for row in rows
    ]


_FENCES = Rows("fences", deliveries.c.id, deliveries.c.claim_token)


@cache
def _held(dialect: str) -> Executable:
    fences = _FENCES.table(dialect)
    return select(deliveries.c.id).join(
        fences, and_(deliveries.c.id == fences.c.id, deliveries.c.claim_token == fences.c.claim_token)
    )


async def list_held(session: Session, fences: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """Deliveries whose fence still stands: nobody else claimed, answered or rerouted them since."""
    return {row.id for row in (await _FENCES.execute(session, _held, fences)).all()}


async def write_results(session: Session, results: Sequence[Result]) -> tuple[list[Moved], list[Moved]]:
    """Write how attempts ended.

    Returns:
        Deliveries that are transmitted now (late successes included), and those that died.
    """
    transmitted: list[Moved] = []
    died: list[Moved] = []
    if not results:
        return transmitted, died
    # First the deliveries, then their attempts, as whoever reaps a lease does: the other way round the two
    # wait for each other whenever a result comes late (measured: each undid the other's work for minutes).
    await _IDS.execute(session, _lock_all, [(result.delivery_id,) for result in results])
    await _write_attempts(session, results)
    fenced = await _write_fenced(session, results)
    transmitted += [moved for moved, state in fenced if state == State.TRANSMITTED]
    died += [moved for moved, state in fenced if state == State.DEAD]
    held = {moved.delivery_id for moved, _ in fenced}
    late = [
        result for result in results if result.outcome is Outcome.ACCEPTED and result.delivery_id not in held
    ]
    transmitted += await _write_late(session, late)
    return transmitted, died


_ENDED = Rows(
    "ended", attempts.c.delivery_id, attempts.c.no, attempts.c.claim_token, attempts.c.ended_at,
    attempts.c.outcome, attempts.c.status,
)  # fmt: skip


async def _write_attempts(session: Session, results: Sequence[Result]) -> None:
    rows = [(r.delivery_id, r.attempt, r.token, r.ended_at, r.outcome, r.status) for r in results]
    await _ENDED.execute(session, _end_attempts, rows)


@cache
def _end_attempts(dialect: str) -> Executable:
    ended = _ENDED.table(dialect)
    return (
        update(attempts)
        .where(
            attempts.c.delivery_id == ended.c.delivery_id,
            attempts.c.no == ended.c.no,
            attempts.c.claim_token == ended.c.claim_token,
            # What we closed as unknown is corrected by whoever knows.
            or_(attempts.c.outcome.is_(None), attempts.c.outcome == Outcome.LEASE_EXPIRED),
        )
        .values(ended_at=ended.c.ended_at, outcome=ended.c.outcome, status=ended.c.status)
    )


_MOVED = (
    deliveries.c.id,
    deliveries.c.alert_id,
    deliveries.c.agency_id,
    deliveries.c.role,
    deliveries.c.rung,
    deliveries.c.escalates_id,
)


_MADE = Rows(
    "made", deliveries.c.id, deliveries.c.claim_token, deliveries.c.state, deliveries.c.reason,
    deliveries.c.next_wakeup_at, deliveries.c.transmitted_at,
)  # fmt: skip


async def _write_fenced(session: Session, results: Sequence[Result]) -> list[tuple[Moved, str]]:
    rows = [(r.delivery_id, r.token, r.state, r.reason, r.next_wakeup_at, r.ended_at) for r in results]
    result = await _MADE.execute(session, _end_leases, rows)
    ended = {r.delivery_id: r.ended_at for r in results}
    return [
        (Moved(row[0], row[1], row[2], row[3], ended[row[0]], row[4], row[5]), row[6]) for row in result.all()
    ]


@cache
def _end_leases(dialect: str) -> Executable:
    made = _MADE.table(dialect)
    return (
        update(deliveries)
        .where(
            deliveries.c.id == made.c.id,
            deliveries.c.state == State.LEASED,
            deliveries.c.claim_token == made.c.claim_token,
        )
        .values(
            state=made.c.state,
            reason=made.c.reason,
            claim_token=None,
            next_wakeup_at=made.c.next_wakeup_at,
            transmitted_at=case(
                (made.c.state == State.TRANSMITTED, made.c.transmitted_at), else_=deliveries.c.transmitted_at
            ),
        )
        .returning(*_MOVED, deliveries.c.state)
    )


async def _write_late(session: Session, results: Sequence[Result]) -> list[Moved]:
    """Apply successes whose lease was lost; whoever holds the row now is fenced out by it."""
    moved = []
    for result in results:
        rows = await session.execute(
            update(deliveries)
            .where(
                deliveries.c.id == result.delivery_id,
                deliveries.c.state.in_(states_before(Fact.ACCEPTED)),
            )
            .values(
                state=State.TRANSMITTED,
                reason=None,
                claim_token=None,
                next_wakeup_at=result.next_wakeup_at,
                transmitted_at=result.ended_at,
            )
            .returning(*_MOVED)
        )
        moved += [
            Moved(row[0], row[1], row[2], row[3], result.ended_at, row[4], row[5]) for row in rows.all()
        ]
    return moved
