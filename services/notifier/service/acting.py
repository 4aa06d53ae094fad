"""What a caller may do with an alert, and what of it waits for a second person.

The same questions that the doors of these acts ask, so that nobody is shown an act that would be refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from common.identity import Principal
from notifier.domain.acting import AlertAct
from notifier.domain.change import FINDERS, RATERS, ChangeKind, may
from notifier.domain.exclusion import COORDINATING
from notifier.domain.proposal import Kind
from notifier.errors import ConflictNotYours
from notifier.repository import changes as change_rows
from notifier.repository import exclusions as exclusion_rows
from notifier.service.conflicts import side_of, sides_left
from notifier.service.desk import Desk
from notifier.service.opening import alert_facts
from notifier.service.parents import is_locked
from notifier.service.proposals import Agreed, list_live
from notifier.service.reading import Seen


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proposal about an alert; ``conflict`` is the exclusion that it would lower."""

    agreed: Agreed
    is_own: bool
    may_confirm: bool
    conflict: UUID | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What one caller may do; ``parents_locked`` is ``None`` for whom it is no business."""

    may: tuple[AlertAct, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    parents_locked: bool | None = None


async def offer(session: Session, desk: Desk, caller: Principal, seen: Seen, *, now: datetime) -> Offer:
    """Everything that this caller may do with the alert now; an operator acts on no alert."""
    if seen.viewer.agency is None:
        return Offer()
    alert, facts = seen.alert, alert_facts(seen.alert)
    hub = desk.lawbook.edition(alert.edition).parameters.hub
    bodies = await exclusion_rows.bodies_of(session, alert.id, caller.agency)
    side = await _side(session, alert.id, caller)
    conflicts = await exclusion_rows.list_exclusions(session, alert.id) if side else []
    said = await _said(session, alert.id)
    locked = is_locked(facts)
    possible: Mapping[AlertAct, bool] = {
        AlertAct.RELEASE: caller.holds(hub) and _waits(seen, now),
        AlertAct.CORRECTION: seen.is_reporter,
        AlertAct.WITHDRAWAL: seen.is_reporter and ChangeKind.WITHDRAWN not in said,
        AlertAct.RATING: seen.is_reporter or may(caller.bodies, RATERS, regional_body=facts.regional_body),
        AlertAct.UNFOUNDED: ChangeKind.UNFOUNDED not in said
        and may(caller.bodies, FINDERS, regional_body=facts.regional_body),
        AlertAct.CONFLICT: True,
        AlertAct.CONFLICT_LOWERED: any(one.state == "in_force" for one in conflicts),
        AlertAct.PARENT_LOCK: not locked,
        AlertAct.LOCK_LIFTED: locked and bool(bodies & COORDINATING),
    }
    acts = tuple(act for act, is_possible in possible.items() if is_possible)
    waiting: list[Waiting] = []
    for act, kind in ((AlertAct.UNFOUNDED, Kind.UNFOUNDED), (AlertAct.LOCK_LIFTED, Kind.LOCK_LIFTED)):
        if act in acts:
            live = await list_live(session, desk, caller, kind, [alert.id], now=now)
            waiting += [_of_one_body(each, caller) for each in live]
    if AlertAct.CONFLICT_LOWERED in acts:
        by_mark = {one.mark: one.id for one in conflicts if one.state == "in_force"}
        nobodys = replace(caller, agency=None)
        is_alone = await sides_left(session, alert.id) == {side}
        live = await list_live(session, desk, nobodys, Kind.CONFLICT_LOWERED, [alert.id], now=now)
        waiting += [
            _of_two_bodies(each, caller, side, by_mark[each.payload["mark"]], is_alone=is_alone)
            for each in live
            if each.payload["mark"] in by_mark
        ]
    return Offer(acts, tuple(waiting), locked)


def _waits(seen: Seen, now: datetime) -> bool:
    alert = seen.alert
    is_over = alert.held_until is not None and alert.held_until <= now
    return alert.hold is not None and alert.released_at is None and not is_over


async def _said(session: Session, alert_id: UUID) -> set[str]:
    return {one.kind for one in await change_rows.list_changes(session, [alert_id])}


async def _side(session: Session, alert_id: UUID, caller: Principal) -> str | None:
    try:
        return await side_of(session, alert_id, caller)
    except ConflictNotYours:
        return None


def _of_one_body(agreed: Agreed, caller: Principal) -> Waiting:
    is_own = agreed.proposal.proposed_by == caller.person
    return Waiting(agreed, is_own, may_confirm=caller.person is not None and not is_own)


def _of_two_bodies(
    agreed: Agreed, caller: Principal, side: Any, conflict: UUID, *, is_alone: bool
) -> Waiting:
    is_own = agreed.proposal.proposed_by == caller.person
    is_same_side = agreed.payload["side"] == side or agreed.payload["agency"] == str(caller.agency)
    may_confirm = caller.person is not None and not is_own and (is_alone or not is_same_side)
    return Waiting(agreed, is_own, may_confirm=may_confirm, conflict=conflict)
