"""Weighs the ledger: for each law the rows that break it. Reads only what is stored."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    text,
    true,
    union_all,
)

from common.db import Session
from common.outbox import OUTBOX
from notifier.domain.conservation import Law
from notifier.domain.delivery import FINAL, Outcome, State
from notifier.domain.hold import Why
from notifier.domain.schedule import ORDER, Urgency
from notifier.models import alerts, attempts, audit, deliveries, notices, obligations, periods, receipts
from notifier.models.deliveries import CLIMBING, SENDABLE, WATCHED

GOT_THROUGH = (Outcome.ACCEPTED, Outcome.PULLED)
LONGEST_REST = 0.5
"""Seconds. One snapshot serves all laws, and PostgreSQL ends who keeps a transaction idle for a minute."""


async def count_states(session: Session, *, since: datetime | None) -> tuple[int, dict[str, int]]:
    """How many deliveries there are, and how many in each state; counted apart, so that they can differ.

    Tests are no deliveries of anything: ``dead`` must not rise because one of them failed.
    """
    real = and_(_recent(since), deliveries.c.is_test.is_(False))
    total = await session.scalar(select(func.count()).select_from(deliveries).where(real))
    states = await session.execute(
        select(deliveries.c.state, func.count()).where(real).group_by(deliveries.c.state)
    )
    return int(total or 0), {row[0]: row[1] for row in states.all()}


async def find_broken(
    session: Session, *, since: datetime | None, asleep_before: datetime, stuck_before: datetime, limit: int,
    rest: float = 0.0,
) -> dict[Law, list[UUID]]:  # fmt: skip
    """Ids of rows that break a law, at most ``limit`` a law; laws that hold are left out.

    Args:
        since: only deliveries planned from then on; ``None``: all. What is overdue is found whatever its age:
            a routine ladder first climbs after days.
        asleep_before: a wake-up that was due before this should have happened.
        stuck_before: an event written before this should have left.
        rest: after each law nothing is asked for so many times as long as it took, at most ``LONGEST_REST``.
    """
    broken = {}
    for law, query in _queries(since, asleep_before, stuck_before).items():
        began = time.perf_counter()
        found = list((await session.scalars(query.limit(limit))).all())
        if found:
            broken[law] = found
        if rest:
            await asyncio.sleep(min(LONGEST_REST, rest * (time.perf_counter() - began)))
    return broken


def _recent(since: datetime | None) -> ColumnElement[bool]:
    return true() if since is None else deliveries.c.planned_at >= since


def _asleep(before: datetime) -> Select[Any]:
    """By the very conditions of those who should have woken them, so that their indexes are used."""
    is_late = deliveries.c.next_wakeup_at < before
    # Whoever hangs has all of its places taken, and its backlog waits for one: that is not asleep.
    busy = deliveries.alias("busy")
    worked_on = select(busy.c.endpoint_id).where(
        busy.c.state == State.LEASED, busy.c.endpoint_id.is_not(None), busy.c.next_wakeup_at >= before
    )
    waits_for_a_place = and_(
        deliveries.c.endpoint_id.in_(worked_on),
        or_(deliveries.c.attempt_no > 0, deliveries.c.urgency != ORDER[Urgency.IMMEDIATE]),
    )
    return select(deliveries.c.id).where(
        or_(
            and_(text(f"({SENDABLE})"), is_late, ~waits_for_a_place),
            and_(text(f"({WATCHED})"), is_late),
            and_(text(f"({CLIMBING})"), deliveries.c.climb_at < before),
        )
    )


def _clocks_asleep(before: datetime) -> CompoundSelect[Any]:
    never_left = and_(
        obligations.c.next_check_at.is_not(None),
        obligations.c.dispatch_at < before,
        obligations.c.delivery_id.is_(None),
        obligations.c.state.in_(("pending", "open")),
    )
    return union_all(
        select(obligations.c.id).where(or_(obligations.c.next_check_at < before, never_left)),
        select(periods.c.id).where(periods.c.next_check_at < before),
    )


def _queries(
    since: datetime | None, asleep_before: datetime, stuck_before: datetime
) -> Mapping[Law, Select[Any] | CompoundSelect[Any]]:
    mine = attempts.c.delivery_id == deliveries.c.id
    made = select(func.count()).select_from(attempts).where(mine).scalar_subquery()
    receipt = receipts.c.delivery_id == deliveries.c.id
    proven = or_(
        exists().where(mine, attempts.c.outcome.in_(GOT_THROUGH)),
        deliveries.c.opened_at.is_not(None),
        exists().where(receipt),
        deliveries.c.acknowledged_at.is_not(None),
    )
    # An answer over one way of a ladder counts for the agency's other ways.
    beside = deliveries.alias("beside")
    same_ladder = and_(
        beside.c.alert_id == deliveries.c.alert_id,
        func.coalesce(beside.c.escalates_id, beside.c.id)
        == func.coalesce(deliveries.c.escalates_id, deliveries.c.id),
    )
    receipt_beside = exists(
        select(receipts.c.delivery_id)
        .join(beside, beside.c.id == receipts.c.delivery_id)
        .where(same_ladder, beside.c.agency_id == deliveries.c.agency_id)
    )
    got_through_beside = exists(
        select(beside.c.id).where(
            beside.c.escalates_id == deliveries.c.id,
            beside.c.agency_id == deliveries.c.agency_id,
            or_(beside.c.transmitted_at.is_not(None), beside.c.opened_at.is_not(None)),
        )
    )
    weighed = select(deliveries.c.id).where(_recent(since))
    duties = select(obligations.c.id)
    if since is not None:
        duties = duties.join(deliveries, deliveries.c.id == obligations.c.delivery_id, isouter=True).where(
            or_(deliveries.c.id.is_(None), _recent(since))
        )
    carrier = and_(deliveries.c.id == obligations.c.delivery_id)
    # What the flood guard has clustered has no time of its own, and an alarm until somebody lets it go.
    waits_for_a_person = and_(
        obligations.c.is_held.is_(True),
        exists().where(
            alerts.c.id == obligations.c.alert_id,
            alerts.c.hold == Why.CLUSTER,
            alerts.c.released_at.is_(None),
        ),
    )
    return {
        Law.NOTICE_WITHOUT_DELIVERY: duties.where(
            obligations.c.kind == "notice",
            obligations.c.state.in_(("pending", "open")),
            obligations.c.delivery_id.is_(None),
            # A time at which nobody looks is none.
            or_(obligations.c.dispatch_at.is_(None), obligations.c.next_check_at.is_(None)),
            ~waits_for_a_person,
        ),
        Law.DELIVERY_MISSING: select(obligations.c.id).where(
            obligations.c.delivery_id.is_not(None), ~exists(select(deliveries.c.id).where(carrier))
        ),
        Law.MET_WITHOUT_PROOF: select(obligations.c.id)
        .join(deliveries, carrier)
        .where(
            _recent(since),
            obligations.c.kind == "notice",
            obligations.c.state == "met",
            obligations.c.evidence_id.is_(None),
            deliveries.c.transmitted_at.is_(None),
            deliveries.c.opened_at.is_(None),
            deliveries.c.acknowledged_at.is_(None),
            ~got_through_beside,
        ),
        Law.NOTICE_MISSING: weighed.where(
            deliveries.c.agency_id.is_not(None), ~exists().where(notices.c.delivery_id == deliveries.c.id)
        ),
        Law.FORGOTTEN: weighed.where(
            deliveries.c.state.not_in([state.value for state in FINAL]), deliveries.c.next_wakeup_at.is_(None)
        ),
        Law.ASLEEP: _asleep(asleep_before),
        Law.CLOCK_ASLEEP: _clocks_asleep(asleep_before),
        Law.ATTEMPT_NOT_RECORDED: weighed.where(deliveries.c.attempt_no != made),
        Law.TRANSMITTED_WITHOUT_PROOF: weighed.where(
            or_(deliveries.c.state == State.TRANSMITTED, deliveries.c.transmitted_at.is_not(None)), ~proven
        ),
        Law.ANSWER_WITHOUT_RECEIPT: weighed.where(
            deliveries.c.state.in_((State.ACKNOWLEDGED, State.REJECTED)),
            # Whoever takes a test notice has answered it: no person does.
            deliveries.c.is_test.is_(False),
            ~exists().where(receipt),
            ~receipt_beside,
        ),
        Law.RECEIPT_OF_ANOTHER: weighed.join(receipts, receipt).where(
            receipts.c.agency_id != deliveries.c.agency_id
        ),
        Law.NOT_ON_RECORD: weighed.where(
            deliveries.c.is_test.is_(False),
            ~exists().where(audit.c.subject_id == deliveries.c.id, audit.c.action == "delivery.planned"),
        ),
        Law.EVENT_STUCK: select(OUTBOX.c.id).where(
            OUTBOX.c.published_at.is_(None), OUTBOX.c.created_at < stuck_before
        ),
    }
