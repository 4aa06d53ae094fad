"""Who is shut out of an alert: the one question that every way of sending and of reading asks."""

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts.notifier import ConflictRaised
from common.db import Session
from common.identity import Principal
from common.ids import new_id
from common.outbox import add as publish
from common.sealing import seal
from notifier.domain.exclusion import Exclusion, Held
from notifier.domain.resolution import Directory
from notifier.repository import exclusions as exclusion_rows
from notifier.service.desk import Desk

Pair = tuple[UUID, UUID]
"""An alert and an agency."""


async def shut_out(
    session: Session,
    agencies: Collection[UUID],
    *,
    alerts: Collection[UUID] | None = None,
    caller: Principal | None = None,
) -> frozenset[Pair]:
    """Which of these agencies are shut out of which alert: nothing may be sent or shown to them.

    Args:
        alerts: ``None`` for every alert that one of the agencies knows.
        caller: for an agency that asks itself: what its token says it holds counts as well.
    """
    if not agencies:
        return frozenset()
    found = await exclusion_rows.list_in_force(session, agencies, alerts)
    held = await _held(session, agencies, found)
    if caller is not None and caller.agency is not None and caller.territory is not None:
        own = {(body, caller.territory) for body in caller.bodies}
        held = {**held, caller.agency: held.get(caller.agency, set()) | own}
    return frozenset(
        (each.alert_id, agency)
        for each in found
        for agency in agencies
        if each.covers(agency, held.get(agency, ()))
    )


async def is_shut_out(session: Session, alert_id: UUID, caller: Principal) -> bool:
    """Whether the calling agency may not know of this alert."""
    if caller.agency is None:
        return False
    return bool(await shut_out(session, [caller.agency], alerts=[alert_id], caller=caller))


async def hidden_alerts(session: Session, caller: Principal) -> frozenset[UUID]:
    """Alerts that the calling agency knew once and may not see: what its lists leave out."""
    if caller.agency is None:
        return frozenset()
    return frozenset(alert for alert, _ in await shut_out(session, [caller.agency], caller=caller))


@dataclass(frozen=True, slots=True)
class Guarded:
    """A directory that knows who is above whom, and who of its agencies is shut out."""

    directory: Directory
    excluded: frozenset[UUID]


async def guard(
    session: Session,
    alert_id: UUID,
    directory: Directory,
    others: Iterable[UUID | None] = (),
    *,
    at: datetime,
    implied: Sequence[Exclusion] | None = None,
) -> Guarded:
    """Who of a directory, or of ``others``, is shut out of an alert, and who could take their place.

    Args:
        implied: the exclusions of an alert that is not stored yet; none means no look at the store.
    """
    known = {holding.agency_id for holding in directory.holdings}
    known |= {each for each in others if each is not None}
    if implied is None:
        excluded = frozenset(agency for _, agency in await shut_out(session, known, alerts=[alert_id]))
    else:
        held = await _held(session, known, implied)
        excluded = frozenset(
            agency for agency in known if any(each.covers(agency, held.get(agency, ())) for each in implied)
        )
    if not excluded:
        return Guarded(directory, excluded)
    above = await exclusion_rows.list_superiors(session, excluded, at=at)
    # A body above may itself be shut out: by name, or because it holds the same role in the district.
    more = set(above.values()) - known
    if implied is None:
        excluded |= {agency for _, agency in await shut_out(session, more, alerts=[alert_id])}
    else:
        held = await _held(session, more, implied)
        excluded |= {
            agency for agency in more if any(each.covers(agency, held.get(agency, ())) for each in implied)
        }
    return Guarded(replace(directory, superiors=above), excluded)


async def store_implied(
    session: Session, implied: Sequence[Exclusion], *, raised_by: str, since: datetime
) -> None:
    """Store what an alert brings with it."""
    await exclusion_rows.add_exclusions(
        session, [row_of(each, raised_by=raised_by, since=since) for each in implied]
    )


async def name(session: Session, exclusion: Exclusion, *, by: str, now: datetime) -> bool:
    """Shut out whom a report names; whether that is new. What it had named and was lowered stays lowered."""
    row = row_of(exclusion, raised_by=by, since=now)
    if await exclusion_rows.add_exclusions(session, [row]):
        return True
    known = await exclusion_rows.lock_exclusion(session, exclusion.alert_id, exclusion.mark)
    if known is None or known.state == "in_force" or known.is_of_report:
        return False
    since = max(now, (known.lifted_at or now) + timedelta(microseconds=1))
    values = {"since": since, "raised_by": by, "reason": None, "state": "in_force", "lifted_at": None}
    await exclusion_rows.set_exclusion(session, known.id, values)
    return True


def row_of(
    each: Exclusion, *, raised_by: str, since: datetime, reason: bytes | None = None
) -> dict[str, object]:
    """An exclusion as it is stored, in force from ``since``."""
    return {
        "id": new_id(),
        "alert_id": each.alert_id,
        "mark": each.mark,
        "agency_id": each.agency_id,
        "role": each.role,
        "territory": each.territory,
        "state": "in_force",
        "since": since,
        "raised_by": raised_by,
        "lifted_at": None,
        "reason": reason,
        "known": [],
    }


async def _held(
    session: Session, agencies: Collection[UUID], found: Iterable[Exclusion]
) -> Mapping[UUID, set[Held]]:
    if not agencies or all(each.role is None for each in found):
        return {}
    return await exclusion_rows.list_held(session, agencies)


async def tell_raised(
    session: Session,
    desk: Desk,
    alert_id: UUID,
    marks: Sequence[str],
    agencies: Collection[UUID],
    assignees: Mapping[UUID, UUID],
    *,
    at: datetime,
) -> None:
    """Tell intake and casework whom they must not answer any more."""
    denied, closed = seal_conflict(desk, alert_id, marks, agencies, assignees)
    event = ConflictRaised(alert_id=alert_id, raised_at=at, denied=denied, shut_out=closed)
    await publish(session, event, subject=alert_id, now=lambda: at)


def seal_conflict(
    desk: Desk,
    alert_id: UUID,
    marks: Sequence[str],
    agencies: Collection[UUID],
    assignees: Mapping[UUID, UUID],
) -> tuple[str, str]:
    """The same for intake and for casework, each readable by itself alone."""
    aad = str(alert_id).encode()
    for_casework = {
        "agencies": sorted(str(agency) for agency in agencies),
        "assignees": {str(duty): str(agency) for duty, agency in assignees.items()},
    }
    return (
        base64.b64encode(
            seal(desk.keys.sealing_public("denial"), json.dumps(list(marks)).encode(), aad)
        ).decode(),
        base64.b64encode(
            seal(desk.keys.sealing_public("assignee"), json.dumps(for_casework).encode(), aad)
        ).decode(),
    )
