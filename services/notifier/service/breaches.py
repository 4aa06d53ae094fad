"""An act that was not done in time alarms the body above.

The alarm commits with the breach. The notice to the body above is a first way of its own: when that body
stays silent, its own ladder is climbed, up to the operator. An answer to it answers for nobody else.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.contracts.notifier import EscalationRaised
from common.db import Session
from common.ids import new_id
from common.outbox import add as publish
from common.sealing import aead_open
from common.telemetry import log
from notifier.domain.escalation import Rung
from notifier.domain.planning import PlannedDelivery
from notifier.domain.schedule import Urgency
from notifier.repository import alerts as alert_rows
from notifier.repository import breaches as breach_rows
from notifier.repository import deliveries as delivery_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.breaches import Statement
from notifier.repository.directory import find_routes, list_first_roles
from notifier.repository.exclusions import list_superiors
from notifier.repository.obligations import Row
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.escalation import SUPERIOR_BODY
from notifier.service.exclusions import shut_out
from notifier.service.notices import write
from notifier.service.planning import store
from notifier.service.routing import add_handles, notice_duty

BREACH = "breach"
"""Reason of an alarm: an act was not done before its formal limit."""
NOT_SENT: Final = "not_sent"
NOT_DONE: Final = "not_done"


def marks(row: Row) -> dict[str, Any]:
    """Whose breach it is, and why: written as it was when the limit passed."""
    return {
        "breach_owner_id": row.obliged_agency_id,
        "breach_reason": NOT_SENT if row.kind == "notice" else NOT_DONE,
    }


async def alarm_breaches(
    session: Session, desk: Desk, alert_id: UUID, rows: Sequence[Row], *, now: datetime
) -> None:
    """Tell the body above each owner of the acts that it did not do; without one, call the operator.

    A notice that did not get through has the ladder of its delivery already.
    """
    groups: dict[tuple[UUID | None, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.kind == "act":
            role = "" if row.obliged_agency_id is not None else row.obliged
            groups[row.obliged_agency_id, role].append(row)
    if not groups:
        return
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None:
        return
    owners = {owner for owner, _ in groups if owner is not None}
    above = await list_superiors(session, owners, at=now)
    hidden = {agency for _, agency in await shut_out(session, set(above.values()), alerts=[alert_id])}
    for (owner, _), duties in sorted(groups.items(), key=str):
        told = None if owner is None else _first_above(owner, above, hidden)
        await _raise(session, desk, alert, owner, duties, told, now=now)


def _first_above(owner: UUID, above: Mapping[UUID, UUID], hidden: Collection[UUID]) -> UUID | None:
    """The nearest body above that may know."""
    seen = {owner}
    superior = above.get(owner)
    while superior is not None and superior not in seen:
        if superior not in hidden:
            return superior
        seen.add(superior)
        superior = above.get(superior)
    return None


async def _raise(
    session: Session,
    desk: Desk,
    alert: AlertRow,
    owner: UUID | None,
    duties: Sequence[Row],
    superior: UUID | None,
    *,
    now: datetime,
) -> None:
    duties = sorted(duties, key=lambda row: (row.due_at or now, row.rule, str(row.id)))
    told = None if superior is None else await _tell(session, desk, alert, superior, duties, now=now)
    breach_id = new_id()
    await breach_rows.add_breach(
        session,
        {
            "id": breach_id,
            "alert_id": alert.id,
            "owner_id": owner,
            "role": duties[0].obliged,
            "breached_at": min(row.breach_at or now for row in duties),
            "raised_at": now,
            "superior_id": superior,
            "told_id": told,
        },
        [row.id for row in duties],
    )
    await _say(session, alert.id, breach_id, told, level=1, now=now)


async def tell_instead(
    session: Session,
    desk: Desk,
    alert: AlertRow,
    stopped: Collection[UUID],
    duties: Sequence[Row],
    *,
    now: datetime,
) -> None:
    """Bodies above that were told of breaches are shut out now: the next ones hear, or the operator.

    Args:
        stopped: the notices that were taken from them.
        duties: those of the alert.
    """
    told = await breach_rows.lock_told(session, stopped)
    if not told:
        return
    above = await list_superiors(session, {each.owner_id for each in told if each.owner_id}, at=now)
    hidden = {agency for _, agency in await shut_out(session, set(above.values()), alerts=[alert.id])}
    for each in told:
        superior = None if each.owner_id is None else _first_above(each.owner_id, above, hidden)
        missed = set(await breach_rows.duties_of(session, each.id))
        rows = [row for row in duties if row.id in missed]
        new = None
        if superior is not None:
            new = await _tell(session, desk, alert, superior, rows, now=now, role=each.role)
        await breach_rows.set_told(session, each.id, superior_id=superior, told_id=new)
        await _say(session, alert.id, each.id, new, level=2, now=now)


async def _say(
    session: Session, alert_id: UUID, breach_id: UUID, told: UUID | None, *, level: int, now: datetime
) -> None:
    rung = Rung.OPERATOR if told is None else Rung.SUPERIOR
    event = EscalationRaised(
        delivery_id=told, breach_id=breach_id, alert_id=alert_id, level=level, rung=rung.value, raised_at=now
    )
    await publish(session, event, subject=alert_id, now=lambda: now)
    await add_acts(
        session,
        [
            act(
                "escalation.raised",
                at=now,
                alert_id=alert_id,
                subject_id=breach_id,
                level=level,
                rung=rung.value,
                reason=BREACH,
            )
        ],
    )
    log.warning(
        "escalation_raised", breach_id=str(breach_id), escalation_level=level, rung=rung.value, reason=BREACH
    )


async def _tell(
    session: Session,
    desk: Desk,
    alert: AlertRow,
    superior: UUID,
    duties: Sequence[Row],
    *,
    now: datetime,
    role: str | None = None,
) -> UUID:
    numbers = await delivery_rows.last_numbers(session, alert.id)
    roles = await list_first_roles(session, [superior])
    planned = PlannedDelivery(
        id=new_id(),
        agency=superior,
        role=roles.get(superior, SUPERIOR_BODY),
        # Told under no body of the law: of a duty that its subordinate missed, and nothing of the child.
        bodies=(),
        number=numbers.get(superior, 0) + 1,
        # The limit has passed: what is left is ours. A day, as for everything that is owed within one.
        urgency=Urgency.URGENT,
        deadline=None,
        obligations=(),
        also=tuple(row.id for row in duties),
        rung=Rung.SUPERIOR.value,
        breached=role or duties[0].obliged,
    )
    routes = dict(await find_routes(session, [superior], now=now))
    written = write(
        desk,
        alert.id,
        [planned],
        {row.id: notice_duty(row) for row in duties},
        routes,
        traceparent=alert.traceparent,
        now=now,
    )
    await add_handles(session, desk, alert, [superior])
    await store(session, desk, alert.id, written, now=now)
    return planned.id


async def list_shown(
    session: Session, desk: Desk, rows: Sequence[Mapping[str, Any]], viewer: UUID | None
) -> dict[UUID, dict[str, Any]]:
    """What these duties' breaches look like to a viewer, by duty; those never breached are left out.

    Args:
        rows: duties as the table has them.
        viewer: its agency; ``None`` for the operator, who sees whose and when, and no words.
    """
    broken = [row for row in rows if row["breached_at"] is not None]
    if not broken:
        return {}
    found = await breach_rows.list_by_id(session, {row["breach_id"] for row in broken if row["breach_id"]})
    said = await breach_rows.list_statements(session, [row["id"] for row in broken])
    told = {}
    for row in broken:
        breach = found.get(row["breach_id"]) if row["breach_id"] else None
        told[row["id"]] = shown(
            desk,
            owner=row["breach_owner_id"],
            above=None if breach is None else breach.superior_id,
            reason=row["breach_reason"],
            breached_at=row["breached_at"],
            said=said.get(row["id"], ()),
            viewer=viewer,
        )
    return told


def shown(
    desk: Desk,
    *,
    owner: UUID | None,
    above: UUID | None,
    reason: str | None,
    breached_at: datetime,
    said: Sequence[Statement],
    viewer: UUID | None,
) -> dict[str, Any]:
    """A breach: its words for the owner and the body above, its owner for them and the operator."""
    is_party = viewer is not None and viewer in (owner, above)
    return {
        "owner": owner if is_party or viewer is None else None,
        "reason": reason,
        "breached_at": breached_at,
        "statements": [
            {
                "by": "owner" if each.agency_id == owner else "superior",
                "at": each.stated_at,
                "reason": _open(desk, each) if is_party else None,
            }
            for each in said
        ],
    }


def _open(desk: Desk, statement: Statement) -> str:
    return aead_open(desk.keys.secret("vault"), statement.sealed, aad(statement.id)).decode()


def aad(statement_id: UUID) -> bytes:
    """Binds sealed words to their row."""
    return b"breach_statements.sealed|" + statement_id.bytes
