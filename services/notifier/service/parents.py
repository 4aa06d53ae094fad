"""The do-not-notify-parent lock: on by what the alert says, lifted by two persons, put on by anybody told.

Under the lock no duty has a parent as recipient: it lies beside the duties, withheld, with its reason.
Lifting opens it from that moment; a lock that comes late withholds what is open (trust §4.6).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.ids import new_id
from common.sealing import aead_seal
from common.telemetry import log
from notifier.domain.edition import Edition
from notifier.domain.evaluation import Evaluation, evaluate, follow
from notifier.domain.exclusion import COORDINATING
from notifier.domain.facts import Facts, Occurrence
from notifier.domain.later import standing
from notifier.domain.planning import next_check
from notifier.domain.proposal import Kind, Proposal
from notifier.domain.situation import PARENTS
from notifier.errors import AlertUnknown, LockNotYours
from notifier.repository import alerts as alert_rows
from notifier.repository import exclusions as exclusion_rows
from notifier.repository import facts as fact_rows
from notifier.repository import joinings as joining_rows
from notifier.repository import locks as lock_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.obligations import UNMET, Row
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.ledger import facts_row, plain
from notifier.service.opening import alert_facts, key_of, open_duties
from notifier.service.proposals import confirm, propose
from notifier.service.reading import Seen
from notifier.service.routing import tell_assignees, withhold_duties

FAMILY = frozenset({"parent", "guardian", "relative", "household_member"})
"""Relations of an alleged offender that lock by themselves."""
LOCKED = "do_not_notify_parents"
SHARED = "joined"
"""The reason of a lock that came from another alert about the same child."""
LEARNED = "learned"
"""The reason of a lock that a rating or a correction brought, or would have lifted by itself."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Whether parents may be told of an alert, and since when that was said."""

    locked: bool
    since: datetime


def is_locked(facts: Facts) -> bool:
    """Whether no message may reach the parents."""
    return _locks(facts) if facts.parent_lock is None else facts.parent_lock


def _locks(facts: Facts) -> bool:
    return facts.offender_relation in FAMILY or facts.parents_may_be_informed is False


async def lock_by_learning(
    session: Session, desk: Desk, alert_id: UUID, before: Facts, after: Facts, *, actor: str, now: datetime
) -> None:
    """Lock by hand what a new version of the facts locks anew, or would unlock.

    An empty field, or one person's better knowledge, opens no way to the parents: that takes two persons of
    the body that coordinates. What they lifted is locked again by what they could not know.
    """
    if (is_locked(before) and not is_locked(after)) or (_locks(after) and not _locks(before)):
        await _lock(session, desk, alert_id, LEARNED, actor=actor, now=now)


async def lock_parents(
    session: Session, desk: Desk, caller: Principal, seen: Seen, reason: str, *, now: datetime
) -> Lock:
    """Withhold every duty towards the parents from now on; a lock that stands stays as it is.

    Anybody who was told may do it: it only ever keeps something back. It holds for every joined alert.
    """
    for alert_id in await _together(session, seen.alert.id):
        await _lock(session, desk, alert_id, reason, actor=caller.subject, now=now)
    alert = await alert_rows.find_alert(session, seen.alert.id) or seen.alert
    return Lock(locked=True, since=await _since(session, alert))


async def share_lock(
    session: Session, desk: Desk, alert_ids: Collection[UUID], *, actor: str, now: datetime
) -> None:
    """One of several joined alerts is locked: so are all. The turn must be held, what they have locked."""
    alerts = [await alert_rows.find_alert(session, alert_id) for alert_id in sorted(alert_ids)]
    free = [alert for alert in alerts if alert is not None and not is_locked(alert_facts(alert))]
    if len(free) < len(alerts):
        for alert in free:
            await _lock(session, desk, alert.id, SHARED, actor=actor, now=now)


async def share_with_joined(session: Session, desk: Desk, alert_id: UUID, *, now: datetime) -> None:
    """What was learned of an alert may have locked it: then every alert joined with it is."""
    alert = await alert_rows.find_alert(session, alert_id)
    if alert is None or not is_locked(alert_facts(alert)):
        return
    members = await joining_rows.members_of(session, [alert_id])
    if len(members) > 1:
        await share_lock(session, desk, members, actor="dabyl", now=now)


async def _lock(
    session: Session, desk: Desk, alert_id: UUID, reason: str, *, actor: str, now: datetime
) -> None:
    duties, alert = await _take(session, alert_id)
    facts = alert_facts(alert)
    if facts.parent_lock:
        return
    after = replace(facts, parent_lock=True)
    await _note(session, desk, actor, alert, after, reason, now=now)
    open_now = [row for row in duties if row.recipient == PARENTS and row.state in UNMET]
    await withhold_duties(session, alert.id, [(row, LOCKED) for row in open_now], now=now)
    known = {(row["rule"], row["obliged"]) for row in alert.withheld if row["recipient"] == PARENTS}
    more = [_withheld(row) for row in open_now if (row.rule, row.obliged) not in known]
    if more:
        await alert_rows.set_alert(session, alert.id, {"withheld": [*alert.withheld, *more]})
    log.info("parents_locked", alert_id=str(alert.id), count=len(open_now))


async def propose_lifting(
    session: Session, desk: Desk, caller: Principal, seen: Seen, reason: str, *, now: datetime
) -> Proposal | Lock:
    """The coordinating body asks to tell the parents after all; a second person of it confirms.

    Raises:
        LockNotYours: another body asks.
    """
    await _require_coordinating(session, seen, caller)
    facts = alert_facts(seen.alert)
    if not is_locked(facts):
        return Lock(locked=False, since=await _since(session, seen.alert))
    return await propose(
        session, desk, caller, Kind.LOCK_LIFTED, seen.alert.id, reason=reason, alert_id=seen.alert.id, now=now
    )


async def lift_lock(
    session: Session, desk: Desk, caller: Principal, seen: Seen, proposal_id: Any, *, now: datetime
) -> Lock:
    """Confirm: what was withheld from the parents opens now, and its clocks start now.

    Raises:
        LockNotYours: another body asks.
        ProposalUnknown, SecondPersonNeeded, ProposalExpired: see ``proposals.confirm``.
    """
    together = await _together(session, seen.alert.id)
    await _require_coordinating(session, seen, caller)
    for alert_id in together:
        await _take(session, alert_id)
    alert_id = seen.alert.id
    agreed = await confirm(
        session, desk, caller, Kind.LOCK_LIFTED, alert_id, proposal_id, alert_id=alert_id, now=now
    )
    if agreed.is_new:
        for each in together:
            await _lift(session, desk, each, agreed.reason, actor=caller.subject, now=now)
    alert = await alert_rows.find_alert(session, alert_id) or seen.alert
    return Lock(locked=is_locked(alert_facts(alert)), since=await _since(session, alert))


async def _lift(
    session: Session, desk: Desk, alert_id: UUID, reason: str, *, actor: str, now: datetime
) -> None:
    duties, alert = await _take(session, alert_id)
    facts = alert_facts(alert)
    if not is_locked(facts):
        return
    after = replace(facts, parent_lock=False)
    await _note(session, desk, actor, alert, after, reason, now=now)
    kept = [row for row in alert.withheld if row["recipient"] != PARENTS]
    await alert_rows.set_alert(session, alert.id, {"withheld": kept})
    alert = await alert_rows.lock_alert(session, alert.id) or alert
    edition = desk.lawbook.edition(alert.edition)
    await _reopen(session, desk, edition, duties, now=now)
    known = {key_of(row) for row in duties}
    for evaluation in await _towards_parents(session, desk, edition, alert, after, now=now):
        fresh = tuple(duty for duty in evaluation.obligations if duty.key not in known)
        known |= {duty.key for duty in fresh}
        if fresh:
            told = replace(evaluation, obligations=fresh, advisories=(), withheld=())
            await open_duties(session, desk, alert, told, since=now, now=now)
    await tell_assignees(session, desk, alert, now=now)
    log.info("parents_lock_lifted", alert_id=str(alert.id))


async def _towards_parents(
    session: Session, desk: Desk, edition: Edition, alert: AlertRow, facts: Facts, *, now: datetime
) -> list[Evaluation]:
    """Everything that the law asks to tell the parents, by the alert and by every fact since."""
    calendar = desk.lawbook.calendar
    found = [evaluate(edition, replace(facts, received_at=now), calendar)]
    kept = await fact_rows.list_facts(session, alert.id)
    found += [
        follow(edition, facts, Occurrence(fact.code, now, fact.body), calendar)
        for fact in standing(each.fact for each in kept)
    ]
    return [
        replace(each, obligations=tuple(duty for duty in each.obligations if duty.recipient == PARENTS))
        for each in found
    ]


async def _reopen(
    session: Session, desk: Desk, edition: Edition, duties: Sequence[Row], *, now: datetime
) -> None:
    """A duty that a late lock had ended stands again."""
    for row in duties:
        if row.recipient != PARENTS or row.state != "cancelled":
            continue
        due_at, breach_at = edition.rule(row.rule).clock.times(now, desk.lawbook.calendar)
        await obligation_rows.set_obligation(
            session,
            row.id,
            {
                "state": "open",
                "starts_at": now,
                "since": now,
                "due_at": due_at,
                "breach_at": breach_at,
                "alarmed_at": None,
                "next_check_at": next_check(state="open", dispatch=None, due_at=due_at, breach_at=breach_at),
            },
        )


async def _together(session: Session, alert_id: UUID) -> list[UUID]:
    """An alert and all that are joined with it, while nobody else joins or parts."""
    await joining_rows.take_turn(session)
    return sorted(await joining_rows.members_of(session, [alert_id]))


async def _take(session: Session, alert_id: UUID) -> tuple[list[Row], AlertRow]:
    duties = await obligation_rows.lock_of_alert(session, alert_id)
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None:
        raise AlertUnknown
    return duties, alert


async def _note(
    session: Session,
    desk: Desk,
    actor: str,
    alert: AlertRow,
    facts: Facts,
    reason: str,
    *,
    now: datetime,
) -> None:
    lock_id = new_id()
    sealed = aead_seal(desk.keys.secret("vault"), reason.encode(), b"parent_locks.reason|" + lock_id.bytes)
    locked = bool(facts.parent_lock)
    await lock_rows.add_lock(
        session,
        {"id": lock_id, "alert_id": alert.id, "locked": locked, "at": now, "reason": sealed},
    )
    await alert_rows.set_alert(session, alert.id, {"facts": facts_row(facts)})
    what = "parents.locked" if locked else "parents.lock_lifted"
    await add_acts(session, [act(what, at=now, actor=actor, alert_id=alert.id, subject_id=lock_id)])


async def _since(session: Session, alert: AlertRow) -> datetime:
    return await lock_rows.last_change(session, alert.id) or alert.received_at


async def _require_coordinating(session: Session, seen: Seen, caller: Principal) -> None:
    if not await exclusion_rows.bodies_of(session, seen.alert.id, caller.agency) & COORDINATING:
        raise LockNotYours


def _withheld(row: Row) -> dict[str, Any]:
    return plain(
        {
            "rule": row.rule,
            "citation": row.citation,
            "duty": row.duty,
            "obliged": row.obliged,
            "recipient": row.recipient,
            "force": row.force,
            "starts_at": row.starts_at,
            "due_at": row.due_at,
            "breach_at": row.breach_at,
            "reason": LOCKED,
        }
    )
