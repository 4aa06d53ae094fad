"""Alarms as those see them who must do something: the ladder of each, and what comes next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from common.identity import Principal
from notifier.domain.delivery import Reason
from notifier.domain.escalation import Rung, climb
from notifier.domain.schedule import Urgency
from notifier.domain.visibility import Sight, sight_of
from notifier.errors import AlertUnknown
from notifier.repository import alarms as alarm_rows
from notifier.repository.alarms import Asked, Climbed, Found, Way
from notifier.repository.views import handles_of
from notifier.service.breaches import list_shown
from notifier.service.desk import Desk
from notifier.service.escalation import Surroundings, look_around
from notifier.service.exclusions import hidden_alerts

PULL = "pull"
"""Channel of an agency that fetches its notices."""
PERSON = "person"
"""Channel of the operator's rung: a telephone in a hand."""


async def list_alarms(
    session: Session,
    desk: Desk,
    caller: Principal,
    *,
    is_open: bool,
    agency_id: UUID | None,
    urgency: Urgency | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Alarms that this caller may see, each with its ladder.

    The operator sees all; contact centre 111 those of the alerts that it knows; an agency its own: its
    silence, its breaches, and what it was told of as the body above.

    Raises:
        AlertUnknown: this caller may see none.
    """
    sight = sight_of(caller.role, caller.bodies)
    if sight is None or (sight is not Sight.EVERYTHING and caller.agency is None):
        raise AlertUnknown
    viewer = None if sight is Sight.EVERYTHING else caller.agency
    asked = Asked(
        is_open=is_open,
        agency_id=agency_id,
        urgency=urgency,
        seen_by=viewer if sight is Sight.OWN else None,
        known_to=viewer,
        hidden=frozenset() if viewer is None else await hidden_alerts(session, caller),
    )
    found = await alarm_rows.list_alarms(session, asked, after=after, limit=limit)
    view = await _gather(session, desk, found, viewer, now=now)
    return [each for each in (view.tell(one, is_open=is_open) for one in found) if each is not None]


async def _gather(
    session: Session, desk: Desk, found: Sequence[Found], viewer: UUID | None, *, now: datetime
) -> "_View":
    raised = await alarm_rows.list_raised(
        session, [each.id for each in found if each.kind == alarm_rows.BREACH]
    )
    firsts = {each.id for each in found if each.kind == alarm_rows.SILENCE}
    firsts |= {row.told_id for row in raised.values() if row.told_id is not None}
    ways = await alarm_rows.list_ways(session, firsts)
    climbed = await alarm_rows.list_climbed(session, firsts)
    named = await alarm_rows.list_named(session, carried_by=firsts, breached_in=set(raised))
    silent = [way for each in ways.values() for way in each if way.escalates_id is None]
    surroundings = await look_around(
        session,
        silent,
        climbed={
            first: frozenset(Rung(step.rung) for step in steps if step.rung is not None)
            for first, steps in climbed.items()
        },
        now=now,
    )
    alerts = {way.alert_id for way in silent} | {row.alert_id for row in raised.values()}
    broken = {row["id"]: row for rows in named.values() for row in rows}
    return _View(
        desk=desk,
        viewer=viewer,
        handles={} if viewer is None else await handles_of(session, alerts, viewer),
        # As everywhere: the number is the reporter's and the operator's.
        numbers=await alarm_rows.list_numbers(session, alerts) if viewer is None else {},
        raised=raised,
        ways=ways,
        climbed=climbed,
        named=named,
        breaches=await list_shown(session, desk, list(broken.values()), viewer),
        surroundings=surroundings,
        now=now,
    )


@dataclass(frozen=True)
class _View:
    """Everything that a page of alarms is told from."""

    desk: Desk
    viewer: UUID | None
    handles: Mapping[UUID, UUID]
    numbers: Mapping[UUID, str]
    raised: Mapping[UUID, Any]
    ways: Mapping[UUID, Sequence[Way]]
    climbed: Mapping[UUID, Sequence[Climbed]]
    named: Mapping[UUID, Sequence[Any]]
    breaches: Mapping[UUID, dict[str, Any]]
    surroundings: Surroundings
    now: datetime

    def tell(self, found: Found, *, is_open: bool) -> dict[str, Any] | None:
        """One alarm; ``None`` when its alert has no name for the viewer."""
        row = self.raised.get(found.id)
        first = self._first(found.id if row is None else row.told_id)
        alert_id = row.alert_id if row is not None else None if first is None else first.alert_id
        if alert_id is None:
            return None
        shown = alert_id if self.viewer is None else self.handles.get(alert_id)
        if shown is None:
            return None
        steps = () if first is None else self.climbed.get(first.id, ())
        following = self._next(first) if is_open and first is not None else None
        about = {
            "id": found.id,
            "kind": found.kind,
            "state": "open" if is_open else "closed",
            "alert": shown,
            "number": self.numbers.get(alert_id),
            "delivery": None if first is None else first.id,
            "duties": [self._duty(each) for each in self.named.get(found.id, ())],
            "next": following,
            "key": found.key,
        }
        if row is not None:
            return about | {
                "agency": row.owner_id,
                "role": row.role,
                "urgency": alarm_rows.OF_BREACHES.value,
                "reason": alarm_rows.BREACH,
                "since": row.breached_at,
                "deadline_at": row.breached_at,
                "ladder": self._breach_ladder(row, first, steps),
            }
        assert first is not None  # noqa: S101  # a silence is a first way
        last = max(steps, key=lambda step: step.last_at, default=None)
        return about | {
            "agency": first.agency_id,
            "role": first.role,
            "urgency": first.urgency.value,
            "reason": last.reason if last is not None else (first.reason or found.kind),
            "since": first.silent_since or first.planned_at,
            "deadline_at": first.deadline_at,
            "ladder": [_way(first, Rung.FIRST, first.planned_at), *self._rungs(first, steps)],
        }

    def _first(self, delivery_id: UUID | None) -> Way | None:
        if delivery_id is None:
            return None
        return next((way for way in self.ways.get(delivery_id, ()) if way.escalates_id is None), None)

    def _rungs(self, first: Way, steps: Sequence[Climbed]) -> list[dict[str, Any]]:
        """Each rung once, with how often it was climbed."""
        by_id = {way.id: way for way in self.ways.get(first.id, ())}
        told: dict[tuple[int, UUID | None], dict[str, Any]] = {}
        for step in steps:
            # Who is called for a missing holder is the operator, and climbs nobody's ladder.
            rung = Rung.OPERATOR if step.rung is None else Rung(step.rung)
            known = told.get((rung, step.climbed_id))
            if known is not None:
                known["last_at"] = max(known["last_at"], step.last_at)
                known["times"] += step.times
                continue
            way = by_id.get(step.climbed_id) if step.climbed_id is not None else None
            told[rung, step.climbed_id] = {
                **(_person() if way is None else _way(way, rung, step.first_at)),
                "rung": rung.value,
                "reason": step.reason,
                "at": step.first_at,
                "last_at": step.last_at,
                "times": step.times,
            }
        return list(told.values())

    def _breach_ladder(self, row: Any, first: Way | None, steps: Sequence[Climbed]) -> list[dict[str, Any]]:
        """The body above, then whatever its own silence climbed; the operator where there is none."""
        once = {"at": row.raised_at, "last_at": row.raised_at, "times": 1, "reason": alarm_rows.BREACH}
        if first is None:
            return [{**_person(), **once}]
        return [{**_way(first, Rung.SUPERIOR, row.raised_at), **once}, *self._rungs(first, steps)]

    def _next(self, first: Way) -> dict[str, Any] | None:
        """Which rung is climbed next, and when, if nobody answers; as the engine itself decides it."""
        if first.climb_at is None:
            return None
        if first.reason == Reason.NO_ROUTE.value or self.surroundings.is_shut_out(first):
            return {"rung": Rung.OPERATOR.value, "at": first.climb_at}
        at = max(first.climb_at, self.now)
        rungs = climb(
            self.desk.policies[first.urgency],
            since=first.silent_since or first.planned_at,
            deadline=first.deadline_at,
            climbed=self.surroundings.climbed.get(first.id, ()),
            ladder=self.surroundings.ways(first, at),
            now=at,
        ).rungs
        return {"rung": rungs[0].value if rungs else Rung.OPERATOR.value, "at": first.climb_at}

    def _duty(self, row: Any) -> dict[str, Any]:
        return {
            "obligation": row["id"],
            "rule": row["rule"],
            "citation": row["citation"],
            "text": row["duty"],
            "due_at": row["due_at"],
            "breach_at": row["breach_at"],
            "force": row["force"],
            "state": row["state"],
            "breach": self.breaches.get(row["id"]),
        }


def _way(way: Way, rung: Rung, at: datetime) -> dict[str, Any]:
    return {
        "rung": rung.value,
        "reason": None,
        "at": at,
        "last_at": at,
        "times": 1,
        "delivery": way.id,
        "agency": way.agency_id,
        "role": way.role,
        "channel": None if way.agency_id is None else way.channel or PULL,
        "state": way.state,
        "transmitted_at": way.transmitted_at,
        "acknowledged_at": way.acknowledged_at,
    }


def _person() -> dict[str, Any]:
    return {
        "rung": Rung.OPERATOR.value,
        "delivery": None,
        "agency": None,
        "role": "operator",
        "channel": PERSON,
        "state": None,
        "transmitted_at": None,
        "acknowledged_at": None,
    }
