"""A later fact meets, opens and changes duties: one way in, whoever signed it.

Every fact is kept first. One that comes before its alert was planned waits for it, and is looked at again
by time; one that is told twice, late or out of order leaves the same ledger.
"""

import base64
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts.notifier import ObligationBreached, ObligationMet
from common.db import Session
from common.outbox import add as publish
from common.sealing import unseal
from common.telemetry import log
from notifier.domain.edition import Edition
from notifier.domain.evaluation import follow
from notifier.domain.facts import Occurrence
from notifier.domain.later import LaterFact, evidence_for, standing
from notifier.domain.planning import dispatch_at, next_check
from notifier.repository import alerts as alert_rows
from notifier.repository import facts as fact_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.among import ALL, Among
from notifier.repository.facts import Kept
from notifier.repository.obligations import UNMET, Row
from notifier.repository.records import act, add_acts
from notifier.service.breaches import marks
from notifier.service.desk import Desk
from notifier.service.opening import alert_facts, key_of, open_duties
from notifier.service.routing import tell_assignees

ROWS = 50
"""Alerts looked at in one pass."""


@dataclass(frozen=True, slots=True)
class _Meeting:
    row: Row
    by: LaterFact
    is_breach: bool
    is_lifted: bool


async def take_fact(
    session: Session,
    desk: Desk,
    fact: LaterFact,
    alert_ids: Collection[UUID],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Keep a fact and let it take effect on every alert that is planned already.

    Args:
        actor: who told it: a service, or the subject of a token.
    """
    alerts = sorted(set(alert_ids))
    rows = [
        {
            "alert_id": alert_id,
            "evidence_id": fact.id,
            "code": fact.code,
            "happened_at": fact.at,
            "body": fact.body,
            "agency_id": fact.agency,
            "replaces": fact.replaces,
            "actor": actor,
            "recorded_at": now,
            "applied_at": None,
        }
        for alert_id in alerts
    ]
    if not await fact_rows.add_facts(session, rows):
        return
    # In one order, so that two facts of a joined case never wait for each other.
    for alert_id in alerts:
        await settle(session, desk, alert_id, now=now)


def open_body(desk: Desk, evidence_id: UUID, sealed: str) -> UUID:
    """Which body recorded a fact: sealed by casework for us alone.

    Raises:
        SealBroken: altered, or for another record.
    """
    opened = unseal(desk.keys.opening("routing"), base64.b64decode(sealed), str(evidence_id).encode())
    return UUID(json.loads(opened)["agency"])


async def find_waiting(
    session: Session,
    *,
    now: datetime,  # noqa: ARG001  # the signature of every look
    among: Among = ALL,
    limit: int = 1,
) -> list[UUID]:
    """Alerts that are there now, and that a fact waited for."""
    return await fact_rows.list_waiting(session, limit=limit, among=among)


async def settle_waiting(session: Session, desk: Desk, *, now: datetime, among: Among = ALL) -> int:
    """Let facts take effect that had to wait for their alert; returns how many alerts were looked at."""
    found = await fact_rows.list_waiting(session, limit=ROWS, among=among)
    for alert_id in found:
        await settle(session, desk, alert_id, now=now)
    return len(found)


async def settle(session: Session, desk: Desk, alert_id: UUID, *, now: datetime) -> None:
    """Make of an alert's facts what the law makes of them; nothing while the alert is not planned.

    Duties are locked before their alert, as everybody does who sends a notice of theirs.
    """
    await obligation_rows.lock_of_alert(session, alert_id)
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None:
        return
    kept = await fact_rows.list_facts(session, alert_id)
    await _open(session, desk, alert, kept, now=now)
    await _meet(session, desk, alert, kept, now=now)
    await fact_rows.mark_applied(session, alert_id, kept, at=now)


async def _open(
    session: Session, desk: Desk, alert: AlertRow, kept: Sequence[Kept], *, now: datetime
) -> None:
    """Open what the new facts open; where an earlier one of the same kind comes late, its clock holds."""
    edition = desk.lawbook.edition(alert.edition)
    facts = alert_facts(alert)
    new = standing(each.fact for each in kept if each.is_new)
    rows = {key_of(row): row for row in await obligation_rows.lock_of_alert(session, alert.id)}
    earlier: list[Row] = []
    for fact in new:
        later = Occurrence(fact.code, fact.at, fact.body)
        evaluation = follow(edition, facts, later, desk.lawbook.calendar)
        for duty in evaluation.obligations:
            row = rows.get(duty.key)
            if row is not None and row.since is not None and fact.at < row.since:
                await _bring_forward(session, desk, edition, row, fact.at)
                earlier.append(row)
        fresh = tuple(duty for duty in evaluation.obligations if duty.key not in rows)
        if fresh or evaluation.advisories or evaluation.withheld:
            await open_duties(
                session, desk, alert, replace(evaluation, obligations=fresh), since=fact.at, now=now
            )
            alert = await alert_rows.lock_alert(session, alert.id) or alert
            rows = {key_of(row): row for row in await obligation_rows.lock_of_alert(session, alert.id)}
    if earlier:
        await tell_assignees(session, desk, alert, now=now)


async def _bring_forward(session: Session, desk: Desk, edition: Edition, row: Row, start: datetime) -> None:
    values: dict[str, Any] = {"since": start}
    if row.state in UNMET:
        rule = edition.rule(row.rule)
        due_at, breach_at = rule.clock.times(start, desk.lawbook.calendar)
        dispatch = None
        if row.delivery_id is None:
            dispatch = dispatch_at(rule.dispatch, due_at, edition.parameters.auto_dispatch_before)
        values |= {
            "starts_at": start,
            "due_at": due_at,
            "breach_at": breach_at,
            "dispatch_at": dispatch,
            "next_check_at": next_check(
                state=row.state,
                dispatch=dispatch,
                due_at=due_at,
                breach_at=breach_at,
                alarmed=row.alarmed_at is not None,
                breached=row.breached_at is not None,
            ),
        }
    await obligation_rows.set_obligation(session, row.id, values)


async def _meet(
    session: Session, desk: Desk, alert: AlertRow, kept: Sequence[Kept], *, now: datetime
) -> None:
    """Meet what the facts meet, as of when they happened; a duty met late is breached, and stays so.

    What was taken for breached because we heard late of an act done in time is not.
    """
    facts = standing(each.fact for each in kept)
    actors = {each.fact.id: each.actor for each in kept}
    superseded = {each.fact.id for each in kept} - {fact.id for fact in facts}
    found: list[_Meeting] = []
    for row in await obligation_rows.lock_of_alert(session, alert.id):
        rule = desk.lawbook.edition(row.edition).rule(row.rule)
        by = evidence_for(rule.evidence, facts, obliged=row.obliged_agency_id, since=row.since)
        if by is not None and _counts(row, by, superseded):
            late = row.breach_at is not None and by.at > row.breach_at
            # Whoever never got the information is not in breach: its clock has not begun.
            is_breach = late and row.breached_at is None and row.state != "pending"
            found.append(_Meeting(row, by, is_breach, is_lifted=not late and row.breached_at is not None))
    for each in found:
        values: dict[str, Any] = {
            "state": "met",
            "met_at": each.by.at,
            "evidence_id": each.by.id,
            "next_check_at": None,
            "dispatch_at": None,
        }
        if each.is_breach:
            values |= {"breached_at": each.row.breach_at, **marks(each.row)}
        if each.is_lifted:  # done before the limit and heard of after it: then there was no breach
            values |= dict.fromkeys(("breached_at", *marks(each.row)))
        await obligation_rows.set_obligation(session, each.row.id, values)
    await _tell(session, alert, found, actors, now=now)


def _counts(row: Row, by: LaterFact, superseded: Collection[UUID]) -> bool:
    """Whether a fact changes a duty: it is unmet, or was met by something later or superseded."""
    if row.state in UNMET:
        return True
    if row.state != "met" or row.evidence_id is None or row.evidence_id == by.id:
        return False
    return row.evidence_id in superseded or (row.met_at is not None and by.at < row.met_at)


async def _tell(
    session: Session,
    alert: AlertRow,
    found: Sequence[_Meeting],
    actors: dict[UUID, str],
    *,
    now: datetime,
) -> None:
    breached = [each.row for each in found if each.is_breach]
    if breached:
        event = ObligationBreached(
            alert_id=alert.id,
            obligations=tuple(row.id for row in breached),
            breached_at=max(row.breach_at for row in breached if row.breach_at is not None),
        )
        await publish(session, event, subject=alert.id, now=lambda: now)
    met: dict[datetime, list[UUID]] = defaultdict(list)
    for each in found:
        met[each.by.at].append(each.row.id)
    for at, duties in sorted(met.items()):
        told = ObligationMet(alert_id=alert.id, obligations=tuple(duties), met_at=at)
        await publish(session, told, subject=alert.id, now=lambda: now)
    await add_acts(
        session,
        [
            *(
                act("duty.breached", at=now, alert_id=alert.id, subject_id=row.id, rule=row.rule)
                for row in breached
            ),
            *(
                act(
                    "duty.breach_lifted",
                    at=now,
                    alert_id=alert.id,
                    subject_id=each.row.id,
                    rule=each.row.rule,
                )
                for each in found
                if each.is_lifted
            ),
            *(
                act(
                    "duty.met",
                    at=now,
                    actor=actors[each.by.id],
                    alert_id=alert.id,
                    subject_id=each.row.id,
                    rule=each.row.rule,
                    fact=each.by.code,
                    evidence=str(each.by.id),
                )
                for each in found
            ),
        ],
    )
    if found:
        log.info("duties_met", alert_id=str(alert.id), count=len(found))
