"""Silence climbs the ladder of its agency; each rung is a delivery of its own (architecture §2.8).

An alarm is raised in the transaction that finds the silence, with the rung that it climbs. It is found
by its wake-up time alone: whoever is killed in between leaves the row, and the next look climbs it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from common.db import Session
from common.ids import new_id
from notifier.domain.delivery import OPEN, Fact, Reason, State, step
from notifier.domain.escalation import OWN, Rung, climb
from notifier.domain.planning import PlannedDelivery
from notifier.domain.roster import is_on_duty
from notifier.repository import alerts as alert_rows
from notifier.repository import breaches as breach_rows
from notifier.repository import deliveries as delivery_rows
from notifier.repository import ladders as ladder_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository import overdue as overdue_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.among import ALL, Among
from notifier.repository.claims import Moved
from notifier.repository.directory import (
    Route,
    Superior,
    find_further_routes,
    find_routes,
    find_superiors,
)
from notifier.repository.ladders import Climb
from notifier.repository.overdue import Overdue
from notifier.repository.records import act, add_acts
from notifier.service.calling import call_operator, raise_alarms
from notifier.service.desk import Desk
from notifier.service.exclusions import Pair, shut_out
from notifier.service.notices import write
from notifier.service.planning import store
from notifier.service.routing import add_handles, find_ways, notice_duty

ROWS = 25
"""Looked at in one transaction, as in ``service.overdue``."""
SILENCE = "silence"
"""Reason of an alarm: nobody answered, fetched or could be reached in time."""
NO_ROUTE = "no_route"
"""Reason of an alarm: nobody holds the role."""
DEAD = "dead"
"""Reason of an alarm: the agency says that this way will not come back."""
REJECTED = "rejected"
"""Reason of an alarm: a named person of the agency refused; somebody must decide who helps instead."""
REVOKED = "endpoint_revoked"
"""Reason of an alarm: the agency lost its only way."""
SUPERIOR_BODY = "superior_body"
"""Role of a superior body that holds none of its own."""


async def find_silent(session: Session, *, now: datetime, among: Among = ALL, limit: int = 1) -> list[UUID]:
    """First ways whose silence is to be looked at."""
    return await overdue_rows.find_silent(session, now=now, among=among, limit=limit)


async def climb_silent(session: Session, desk: Desk, *, now: datetime, among: Among = ALL) -> int:
    """Climb every ladder whose time has come.

    Returns:
        How many were looked at; as many as ``ROWS`` means that more may wait.
    """
    rows = await overdue_rows.lock_silent(session, now=now, limit=ROWS, among=among)
    await escalate(session, desk, await find_ways(session, desk, rows, now=now), SILENCE, now=now)
    return len(rows)


async def climb_dead(session: Session, desk: Desk, died: Sequence[Moved], *, now: datetime) -> set[UUID]:
    """A way failed: its agency's next rung is climbed at once, not at its turn; first ways must be locked.

    Returns:
        First ways for which the operator was called.
    """
    firsts = {each.carrier_id for each in died if each.alert_id is not None and not each.answers_silence}
    rows = await overdue_rows.lock_deliveries(session, firsts)
    return await escalate(session, desk, rows, DEAD, now=now, at_once=True)


async def end_dead(session: Session, desk: Desk, died: Sequence[Moved], *, now: datetime) -> None:
    """A way will not come back: besides the climb a person is told, who alone can mend an address.

    Also of a superior body's way, behind which nobody climbs; first ways must be locked.
    """
    called = await climb_dead(session, desk, died, now=now)
    for carrier_id in sorted({each.carrier_id for each in died} - called):
        await call_operator(session, carrier_id, DEAD, now=now)


async def escalate(
    session: Session,
    desk: Desk,
    rows: Sequence[Overdue],
    reason: str,
    *,
    now: datetime,
    at_once: bool = False,
) -> set[UUID]:
    """Climb what is due for each of these first ways, and say when it is looked at again.

    What is still being sent keeps its own wake-up: an alarm must not hold up an attempt. Rows that are
    answered, and further rungs, are left alone.

    Args:
        at_once: climb the next rung whatever the hour of its turn.

    Returns:
        First ways for which the operator was called.
    """
    silent = [
        row
        for row in rows
        if row.alert_id is not None
        and row.escalates_id is None
        and (row.state in OPEN or row.state is State.DEAD)
    ]
    called: set[UUID] = set()
    if not silent:
        return called
    # Under their locks: a body above that is shut out meanwhile is seen here, or sees our notice.
    alerts = await alert_rows.lock_alerts(
        session, {row.alert_id for row in silent if row.alert_id is not None}
    )
    surroundings = await look_around(
        session,
        silent,
        climbed=await ladder_rows.rungs_of(
            session, [row.delivery_id for row in silent if row.reason is not Reason.NO_ROUTE]
        ),
        now=now,
    )
    climbs: list[Climb] = []
    alarms: list[dict[str, Any]] = []
    for alert in alerts:
        for row in silent:
            if row.alert_id == alert.id:
                climb_, raised = await _climb(
                    session, desk, alert, row, surroundings, reason, now=now, at_once=at_once
                )
                climbs.append(climb_)
                alarms += raised
                # A missing holder's alarm names no rung: the operator is called all the same.
                if any(alarm["rung"] in (None, Rung.OPERATOR.value) for alarm in raised):
                    called.add(row.delivery_id)
    # Together: under a full load hundreds of agencies can be silent at the same moment.
    await ladder_rows.set_climbs(session, climbs)
    await raise_alarms(session, alarms, now=now)
    return called


class Silent(Protocol):
    """A first way whose agency does not answer."""

    @property
    def alert_id(self) -> UUID | None:
        """Of which alert."""
        ...

    @property
    def agency_id(self) -> UUID | None:
        """Whose silence it is."""
        ...


async def look_around(
    session: Session, silent: Sequence[Silent], *, climbed: Mapping[UUID, Collection[Rung]], now: datetime
) -> "Surroundings":
    """What these agencies have by which their silence can climb."""
    agencies = {row.agency_id for row in silent if row.agency_id is not None}
    superiors = await find_superiors(session, agencies, now=now)
    return Surroundings(
        climbed=climbed,
        further=await find_further_routes(session, agencies, now=now),
        superiors=superiors,
        shut_out=await shut_out(
            session,
            agencies | {each.agency_id for each in superiors.values()},
            alerts={row.alert_id for row in silent if row.alert_id is not None},
        ),
    )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the agencies of some silent deliveries have: climbed rungs, further ways, superiors, locks."""

    climbed: Mapping[UUID, Collection[Rung]]
    further: Mapping[UUID, Sequence[Route]]
    superiors: Mapping[UUID, Superior]
    shut_out: frozenset[Pair]

    def is_shut_out(self, row: Silent) -> bool:
        """Whether nothing more may go to this agency."""
        return (row.alert_id, row.agency_id) in self.shut_out

    def ways(self, row: Silent, now: datetime) -> dict[Rung, Route | Superior]:
        """The rungs that this agency has, on duty now; whoever is shut out is told nothing."""
        if row.agency_id is None or self.is_shut_out(row):
            return {}
        found: dict[Rung, Route | Superior] = {}
        for route in self.further.get(row.agency_id, ()):
            if is_on_duty(route.hours, now):
                found.setdefault(Rung(route.rung), route)
        superior = self.superiors.get(row.agency_id)
        if superior is not None and (row.alert_id, superior.agency_id) not in self.shut_out:
            found[Rung.SUPERIOR] = superior
        return found


async def _climb(
    session: Session,
    desk: Desk,
    alert: AlertRow,
    row: Overdue,
    surroundings: Surroundings,
    reason: str,
    *,
    now: datetime,
    at_once: bool,
) -> tuple[Climb, list[dict[str, Any]]]:
    policy = desk.policies[row.urgency]
    since = row.silent_since or row.planned_at
    climbed = surroundings.climbed.get(row.delivery_id, ())
    ways = surroundings.ways(row, now)
    rungs: tuple[Rung, ...]
    if row.reason is Reason.NO_ROUTE:
        rungs, again_at, reason = (Rung.OPERATOR,), now + policy.repeat, NO_ROUTE
    elif surroundings.is_shut_out(row):
        # Late or not: nobody waits for its answer.
        rungs, again_at = (), now + policy.repeat
    else:
        lost = row.reason is Reason.ENDPOINT_REVOKED and not climbed
        if lost and reason == SILENCE:
            reason = REVOKED
        next_ = climb(
            policy,
            since=since,
            deadline=row.deadline,
            climbed=climbed,
            ladder=ways,
            now=now,
            at_once=at_once or lost,
        )
        rungs, again_at = next_.rungs, next_.again_at
    sleeps = step(row.state, Fact.SILENT) is not None and not row.is_being_sent
    change = Climb(
        delivery_id=row.delivery_id,
        escalation_level=row.escalation_level + len(rungs),
        silent_since=since,
        climb_at=again_at,
        next_wakeup_at=again_at if sleeps else None,
    )
    alarms = []
    for level, rung in enumerate(rungs, row.escalation_level + 1):
        way = ways.get(rung)
        climbed_id = None
        if way is not None:
            climbed_id = await _add_rung(session, desk, alert, row, rung, way, now=now)
        alarms.append(
            {
                "id": new_id(),
                "delivery_id": row.delivery_id,
                "alert_id": alert.id,
                "level": level,
                "reason": reason,
                "raised_at": now,
                # Calling the operator for a missing holder climbs nobody's ladder.
                "rung": None if reason == NO_ROUTE else rung.value,
                "climbed_id": climbed_id,
            }
        )
    return change, alarms


async def _add_rung(
    session: Session,
    desk: Desk,
    alert: AlertRow,
    row: Overdue,
    rung: Rung,
    way: Route | Superior,
    *,
    now: datetime,
) -> UUID | None:
    """The delivery that this rung is: the same notice over another way, or a notice to the superior body."""
    if row.agency_id is None:
        return None
    duties = [
        duty
        for duty in await obligation_rows.list_named(session, row.delivery_id)
        if duty.state not in ("waived", "cancelled")
    ]
    breach = await breach_rows.find_told(session, row.delivery_id)
    common: dict[str, Any] = {
        "id": new_id(),
        "urgency": row.urgency,
        "deadline": row.deadline,
        "obligations": tuple(duty.id for duty in duties),
        "rung": rung.value,
        "escalates": row.delivery_id,
        "breached": None if breach is None else breach.role,
    }
    if isinstance(way, Route):
        planned = PlannedDelivery(
            agency=row.agency_id, role=row.role, bodies=row.bodies, number=row.notice_no, **common
        )
        routes = {row.agency_id: way}
    else:
        numbers = await delivery_rows.last_numbers(session, alert.id)
        planned = PlannedDelivery(
            agency=way.agency_id,
            role=way.role or SUPERIOR_BODY,
            # Told under no body of the law: of its subordinate's silence, and nothing of the child.
            bodies=(),
            number=numbers.get(way.agency_id, 0) + 1,
            silent=row.role,
            **common,
        )
        routes = dict(await find_routes(session, [way.agency_id], now=now))
        await add_handles(session, desk, alert, [way.agency_id])
    written = write(
        desk,
        alert.id,
        [planned],
        {duty.id: notice_duty(duty) for duty in duties},
        routes,
        traceparent=row.traceparent,
        now=now,
    )
    await store(session, desk, alert.id, written, now=now)
    return planned.id


async def end_silence(session: Session, moved: Moved, fact: Fact, *, now: datetime) -> list[Moved]:
    """A person of the agency answered one way: the others end with it, and nothing climbs any more.

    What was never sent is cancelled; what was, counts as answered. A superior body that was not told yet
    need not be; one that was keeps its notice until it answers itself, which answers for nobody else.

    Returns:
        The ways that count as answered by this.
    """
    if moved.answers_silence:
        return []
    answered = []
    for way in await ladder_rows.lock_ways(session, moved.carrier_id):
        if way.delivery_id == moved.delivery_id:
            continue
        is_first = way.delivery_id == moved.carrier_id
        if way.rung in OWN or is_first:
            is_unsent = not is_first and way.state is State.WAITING and way.attempt_no == 0
        elif way.state is State.WAITING and way.attempt_no == 0:
            is_unsent = True
        else:
            continue
        ends = State.CANCELLED if is_unsent else step(way.state, fact)
        if ends is None:
            continue
        await ladder_rows.end_way(session, way.delivery_id, ends, acknowledged_at=None if is_unsent else now)
        if is_unsent:
            await add_acts(
                session,
                [act("delivery.cancelled", at=now, alert_id=way.alert_id, subject_id=way.delivery_id)],
            )
        else:
            answered.append(Moved(way.delivery_id, way.alert_id, way.agency_id, way.role, now, way.rung))
    return answered
