"""What follows when an agency has a notice: the sender's duties are met, the recipient's own clocks start.

Sending, opening and answering are different facts; whichever comes first proves that the holder got the
information (architecture §2.7, §3 *A clock starts when its holder got the information*).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from common.contracts import Event
from common.contracts.notifier import (
    DeliveryAcknowledged,
    DeliveryFact,
    DeliveryFailed,
    DeliveryOpened,
    DeliveryTransmitted,
    ObligationFact,
    ObligationMet,
    ObligationOpened,
)
from common.contracts.vocabulary import DutyKind
from common.db import Session
from common.ids import new_id
from common.outbox import add as publish
from common.telemetry import log
from notifier.domain.planning import dispatch_at, next_check
from notifier.domain.territory import region_of
from notifier.repository import ladders as ladder_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.claims import Moved
from notifier.repository.obligations import Met
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.planning import seal_assignees

_EVENTS: dict[str, type[DeliveryTransmitted | DeliveryOpened | DeliveryAcknowledged | DeliveryFailed]] = {
    "transmitted": DeliveryTransmitted,
    "opened": DeliveryOpened,
    "acknowledged": DeliveryAcknowledged,
    "rejected": DeliveryAcknowledged,
    "failed": DeliveryFailed,
}


async def note_moved(session: Session, moved: Sequence[Moved], what: str, *, now: datetime) -> None:
    """Report deliveries that were transmitted, opened, acknowledged, rejected or have failed: one event."""
    facts = tuple(
        DeliveryFact(delivery_id=each.delivery_id, alert_id=each.alert_id, role=each.role, at=each.at)
        for each in moved
        if each.alert_id is not None
    )
    await add_acts(
        session,
        [
            act(f"delivery.{what}", at=each.at, alert_id=each.alert_id, subject_id=each.delivery_id)
            for each in moved
        ],
    )
    if facts:
        event: Event = _EVENTS[what](deliveries=facts)
        subject = facts[0].alert_id if len({fact.alert_id for fact in facts}) == 1 else new_id()
        await publish(session, event, subject=subject, now=lambda: now)


async def holders_informed(session: Session, desk: Desk, moved: Sequence[Moved], *, now: datetime) -> None:
    """Meet the notice duties that these deliveries carry and start what their recipients owe themselves.

    Repeating it changes nothing: a met duty stays met, an open clock keeps its start.
    """
    real = [each for each in moved if each.alert_id is not None and not each.tells_superior]
    # Further ways to a body that is told of a breach inform nobody whom the law names, either.
    further = {each.escalates_id for each in real if each.escalates_id is not None}
    if further:
        above = await ladder_rows.tell_superiors(session, further)
        real = [each for each in real if each.escalates_id not in above]
    if not real:
        return
    at: dict[UUID, datetime] = {}
    for each in real:
        # Any way to the agency carries the duties of its first one.
        at[each.carrier_id] = min(each.at, at.get(each.carrier_id, each.at))
    met = await obligation_rows.meet_carried(session, at)
    # All that is asked and changed first, then all that is only written: that goes in one statement.
    begun = await _restart_clocks(session, desk, real)
    told: dict[tuple[UUID, datetime | None], list[Met]] = defaultdict(list)
    for one in met:
        # Whoever hears it tells by the time that there was no breach: each of these has its own.
        told[one.alert_id, one.at if one.is_lifted else None].append(one)
    for (alert_id, _), duties in told.items():
        event = ObligationMet(
            alert_id=alert_id,
            obligations=tuple(one.id for one in duties),
            met_at=max(one.at for one in duties),
        )
        await publish(session, event, subject=alert_id, now=lambda: now)
    await add_acts(
        session,
        [
            *(act("duty.met", at=one.at, alert_id=one.alert_id, subject_id=one.id) for one in met),
            *(
                act("duty.breach_lifted", at=now, alert_id=one.alert_id, subject_id=one.id)
                for one in met
                if one.is_lifted
            ),
        ],
    )
    await _tell_started(session, desk, begun, now=now)


Begun = tuple[obligation_rows.Row, obligation_rows.Restart]


async def _restart_clocks(
    session: Session, desk: Desk, moved: Sequence[Moved]
) -> Mapping[UUID, Sequence[Begun]]:
    """By alert, what its recipients owe from now on."""
    at = {each.delivery_id: each.at for each in moved}
    pending = await obligation_rows.list_pending_of(session, list(at))
    earliest: dict[UUID, tuple[obligation_rows.Row, datetime]] = {}
    for row, delivery_id in pending:
        known = earliest.get(row.id)
        if known is None or at[delivery_id] < known[1]:
            earliest[row.id] = (row, at[delivery_id])
    restarts = [_restarted(desk, row, start) for row, start in earliest.values()]
    await obligation_rows.restart(session, restarts)
    by_alert: dict[UUID, list[Begun]] = defaultdict(list)
    for restart in restarts:
        row = earliest[restart.id][0]
        by_alert[row.alert_id].append((row, restart))
    return by_alert


async def _tell_started(
    session: Session, desk: Desk, by_alert: Mapping[UUID, Sequence[Begun]], *, now: datetime
) -> None:
    for alert_id, begun in by_alert.items():
        event = ObligationOpened(
            alert_id=alert_id,
            territory=region_of(begun[0][0].territory),
            obligations=tuple(_fact(desk, row, restart) for row, restart in begun),
            assignees=seal_assignees(desk, alert_id, {row.id: row.obliged_agency_id for row, _ in begun}),
        )
        await publish(session, event, subject=alert_id, now=lambda: now)
        log.info("clocks_started", alert_id=str(alert_id), count=len(begun))


def _restarted(desk: Desk, row: obligation_rows.Row, start: datetime) -> obligation_rows.Restart:
    """Limits from the true start, by the edition under which the duty was born."""
    edition = desk.lawbook.edition(row.edition)
    rule = edition.rule(row.rule)
    due_at, breach_at = rule.clock.times(start, desk.lawbook.calendar)
    dispatch = None
    if row.is_held:
        # Its clock runs from now on; until when it waits for the hub is another matter.
        dispatch = row.dispatch_at
    elif row.delivery_id is None:
        dispatch = dispatch_at(rule.dispatch, due_at, edition.parameters.auto_dispatch_before)
    return obligation_rows.Restart(
        id=row.id,
        starts_at=start,
        due_at=due_at,
        breach_at=breach_at,
        dispatch_at=dispatch,
        next_check_at=next_check(
            state="open",
            dispatch=dispatch,
            due_at=due_at,
            breach_at=breach_at,
            alarmed=False,
            breached=row.breached_at is not None,
        ),
    )


def _fact(desk: Desk, row: obligation_rows.Row, restart: obligation_rows.Restart) -> ObligationFact:
    return ObligationFact(
        obligation_id=row.id,
        rule=row.rule,
        kind=DutyKind(row.kind),
        obliged=row.obliged,
        recipient=row.recipient,
        force=row.force,
        state="open",
        starts_at=restart.starts_at,
        due_at=restart.due_at,
        breach_at=restart.breach_at,
        evidence=desk.lawbook.edition(row.edition).rule(row.rule).evidence,
    )
