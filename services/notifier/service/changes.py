"""An alert changes after it was told: facts are learned, corrected, withdrawn, found to be without ground.

One way for all of them: the change is kept, duties follow, and a further numbered notice goes to every body
that was told or may have been. Each notice waits for its own acknowledgement and climbs its own ladder.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts.intake import AlertCorrected, AlertWithdrawn
from common.db import Session
from common.ids import new_id
from common.telemetry import log
from notifier.domain.change import ChangeKind, Parcel, parcel_of
from notifier.domain.delivery import State
from notifier.domain.duty import Duty
from notifier.domain.evaluation import Evaluation, follow, rerate
from notifier.domain.exclusion import implied
from notifier.domain.facts import Facts, Occurrence
from notifier.domain.later import standing
from notifier.domain.notice import NoticeDuty
from notifier.domain.planning import Plan, PlannedDelivery, PlannedDuty
from notifier.domain.schedule import BY_ORDER, ORDER, Urgency
from notifier.repository import alerts as alert_rows
from notifier.repository import changes as change_rows
from notifier.repository import deliveries as delivery_rows
from notifier.repository import facts as fact_rows
from notifier.repository import joinings as joining_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.among import ALL, Among
from notifier.repository.changes import Change, Way
from notifier.repository.obligations import UNMET, Row
from notifier.repository.records import act, add_acts
from notifier.service.conflicts import standing_of, take_effect
from notifier.service.desk import Desk
from notifier.service.escalation import SUPERIOR_BODY
from notifier.service.exclusions import name
from notifier.service.holds import release_threatened
from notifier.service.ledger import facts_of
from notifier.service.opening import Prepared, alert_facts, key_of, lay_down, prepare
from notifier.service.parents import lock_by_learning, share_with_joined
from notifier.service.planning import open_routing

ROWS = 50
"""Alerts looked at in one pass."""

_ASKS_NOTHING = Evaluation("", "", "", (), (), ())


async def correct(session: Session, desk: Desk, event: AlertCorrected, *, now: datetime) -> None:
    """The reporter corrected what it told: the facts that are known now, and who must not know."""
    facts = event.facts.model_dump(mode="json", exclude={"territory", "kato"})
    row = row_of(
        event.alert_id,
        ChangeKind.CORRECTED,
        event.version,
        at=event.corrected_at,
        facts={**facts, "concerns": sorted(facts["concerns"])},
        routing=base64.b64decode(event.routing),
        now=now,
    )
    await take_change(session, desk, row, now=now)


async def withdraw(session: Session, desk: Desk, event: AlertWithdrawn, *, now: datetime) -> None:
    """The reporter took it back: everybody hears that, and every duty stands."""
    row = row_of(event.alert_id, ChangeKind.WITHDRAWN, 1, at=event.withdrawn_at, now=now)
    await take_change(session, desk, row, now=now)


def row_of(
    alert_id: UUID, kind: ChangeKind, no: int, *, at: datetime, now: datetime, **more: Any
) -> dict[str, Any]:
    """A change as it is kept; ``more`` names further columns."""
    return {
        "id": new_id(),
        "alert_id": alert_id,
        "kind": kind.value,
        "no": no,
        "at": at,
        "recorded_at": now,
        "applied_at": None,
        "actor": "intake",
        "agency_id": None,
        "sealed": None,
        "facts": None,
        "routing": None,
        **more,
    }


async def take_change(session: Session, desk: Desk, row: Mapping[str, Any], *, now: datetime) -> None:
    """Keep a change and let it take effect if its alert is planned; told twice it has one effect."""
    # Whoever plans the alert right now sees the change, or we see the alert.
    await change_rows.take_turns(session, [row["alert_id"]])
    if await change_rows.add_change(session, row):
        await settle(session, desk, row["alert_id"], now=now)


async def find_waiting(
    session: Session,
    *,
    now: datetime,  # noqa: ARG001  # the signature of every look
    among: Among = ALL,
    limit: int = 1,
) -> list[UUID]:
    """Alerts that are there now, and that a change waited for."""
    return await change_rows.list_waiting(session, limit=limit, among=among)


async def settle_waiting(session: Session, desk: Desk, *, now: datetime, among: Among = ALL) -> int:
    """Let changes take effect that had to wait for their alert; returns how many alerts were looked at."""
    found = await change_rows.list_waiting(session, limit=ROWS, among=among)
    for alert_id in found:
        await settle(session, desk, alert_id, now=now)
    return len(found)


async def lock_whole(session: Session, alert_id: UUID) -> AlertRow | None:
    """Lock an alert with all that a change of it may touch, in the order of the whole house.

    The turn comes first, because a correction may shut somebody out, or lock; then deliveries, duties, alert.
    """
    await joining_rows.take_turn(session)
    await delivery_rows.lock_of_alert(session, alert_id)
    await obligation_rows.lock_of_alert(session, alert_id)
    return await alert_rows.lock_alert(session, alert_id)


async def settle(session: Session, desk: Desk, alert_id: UUID, *, now: datetime) -> None:
    """Let what is new of an alert's changes take effect, in order; nothing while it is not planned."""
    if await lock_whole(session, alert_id) is None:
        return
    every = await change_rows.list_changes(session, [alert_id])
    newest = max(
        (one.no for one in every if one.kind == ChangeKind.CORRECTED and one.applied_at is not None),
        default=0,
    )
    for change in every:
        if change.applied_at is not None:
            continue
        # A correction that was overtaken on its way: the later version was told already, and holds.
        if change.kind != ChangeKind.CORRECTED or change.no > newest:
            await _apply(session, desk, alert_id, change, now=now)
        await change_rows.mark_applied(session, change.id, at=now)
        await add_acts(
            session,
            [
                act(
                    f"alert.{change.kind}",
                    at=now,
                    actor=change.actor,
                    alert_id=alert_id,
                    subject_id=change.id,
                    no=change.no,
                )
            ],
        )
        log.info("alert_changed", alert_id=str(alert_id), change=change.kind)
    await release_threatened(session, desk, alert_id, now=now)
    await share_with_joined(session, desk, alert_id, now=now)


async def _apply(session: Session, desk: Desk, alert_id: UUID, change: Change, *, now: datetime) -> None:
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None:
        return
    if change.routing is not None:
        await _shut_out_more(session, desk, alert, change, now=now)
    evaluation = replace(_ASKS_NOTHING, edition=alert.edition)
    if change.facts is not None:
        evaluation = await _learn(session, desk, alert, change, change.facts, now=now)
        alert = await alert_rows.lock_alert(session, alert_id) or alert
    prepared = await prepare(session, desk, alert, evaluation, now=now)
    author = change.agency_id if change.agency_id is not None else prepared.reporter
    duties = tuple(_with_state(each, author) for each in prepared.planned.duties)
    ways = await change_rows.list_ways(session, alert_id)
    parcels: dict[UUID, Parcel] = {}
    _add_new(parcels, duties, prepared.planned.deliveries, author)
    urgency = min((each.urgency for each in parcels.values()), key=ORDER.__getitem__, default=None)
    if change.kind == ChangeKind.RERATED:
        _add_hurried(parcels, ways, urgency, author)
    else:
        _add_told(parcels, ways, author)
    parcels = {agency: each for agency, each in parcels.items() if agency not in prepared.excluded}
    named = await _take_over(session, alert_id, parcels)
    if urgency is not None:
        await _hurry(session, alert, urgency, now=now)
    lost = [each for each in prepared.planned.deliveries if each.agency is None]
    deliveries = [
        *(replace(each, change=change.kind, change_id=change.id) for each in lost),
        *_deliveries(parcels, prepared, change),
    ]
    carrier = {duty: delivery.id for delivery in deliveries for duty in delivery.obligations}
    planned = Plan(
        tuple(replace(duty, delivery_id=carrier.get(duty.id)) for duty in duties),
        tuple(sorted(deliveries, key=lambda delivery: ORDER[delivery.urgency])),
        prepared.planned.withheld,
    )
    await lay_down(session, desk, alert, planned, prepared.reporter, named, since=change.at, now=now)
    for delivery in deliveries:
        if delivery.agency in parcels:
            await change_rows.move_duties(session, parcels[delivery.agency].supersedes, delivery.id)


async def _learn(
    session: Session,
    desk: Desk,
    alert: AlertRow,
    change: Change,
    learned: Mapping[str, Any],
    *,
    now: datetime,
) -> Evaluation:
    """Store the new version of the facts; what the law asks for on them and the ledger does not hold yet."""
    edition, calendar = desk.lawbook.edition(alert.edition), desk.lawbook.calendar
    first, before, after = alert.facts, alert_facts(alert), _with(alert, learned)
    await lock_by_learning(session, desk, alert.id, before, after, actor=change.actor, now=now)
    alert = await alert_rows.lock_alert(session, alert.id) or alert
    # Said is everything but the place, for who is told goes by where the alert was received, and the lock.
    learned = {**alert.facts, **learned, "parent_lock": alert.facts.get("parent_lock")}
    before, after = alert_facts(alert), _with(alert, learned)
    rerating = rerate(edition, before, after, change.at, calendar)
    rows = {key_of(row): row for row in await obligation_rows.lock_of_alert(session, alert.id)}
    for key, row in rows.items():
        if key in rerating.overtaken and row.state in UNMET and row.overtaken_at is None:
            await obligation_rows.set_obligation(session, row.id, {"overtaken_at": now})
    wanted: dict[str, Duty] = {duty.key: duty for duty in rerating.opened.obligations}
    for each in standing(kept.fact for kept in await fact_rows.list_facts(session, alert.id)):
        later = Occurrence(each.code, max(each.at, change.at), each.body)
        for duty in follow(edition, after, later, calendar).obligations:
            wanted.setdefault(duty.key, duty)
    for key, row in rows.items():
        if key in wanted and row.overtaken_at is not None:
            await obligation_rows.set_obligation(session, row.id, {"overtaken_at": None})
    await change_rows.add_version(
        session,
        alert.id,
        first=first,
        received_at=alert.received_at,
        facts=learned,
        learned_at=change.at,
        change_id=change.id,
    )
    await alert_rows.set_alert(session, alert.id, {"facts": dict(learned)})
    fresh = tuple(duty for key, duty in wanted.items() if key not in rows)
    return replace(rerating.opened, obligations=fresh)


def _with(alert: AlertRow, learned: Mapping[str, Any]) -> Facts:
    return facts_of({"territory": alert.territory, **alert.facts, **learned}, alert.received_at)


async def _shut_out_more(
    session: Session, desk: Desk, alert: AlertRow, change: Change, *, now: datetime
) -> None:
    """A correction may name an organisation that must not know; nobody who was shut out is let in again.

    It tells the whole report anew. Whom two bodies let in although the report had named it stays let in.
    """
    _, implicated = open_routing(desk, alert.id, change.routing or b"")
    relation = str((change.facts or alert.facts).get("offender_relation", "unknown"))
    more = implied(alert.id, relation=relation, implicated=implicated, place=alert.territory)
    before = await standing_of(session, alert.id) if more else {}
    told = [(alert.id, each.mark) for each in more if await name(session, each, by="correction", now=now)]
    if told:
        await take_effect(session, desk, dict.fromkeys(before, told), before, now=now)


def _with_state(planned: PlannedDuty, author: UUID | None) -> PlannedDuty:
    """Who said it knows it; everybody else must hear it first, the reporter of the alert included."""
    knows = planned.obliged_agency is not None and planned.obliged_agency == author
    if planned.duty.starts == "fact":
        return planned
    return replace(planned, state="open" if knows and planned.duty.starts != "notice" else "pending")


def _add_new(
    parcels: dict[UUID, Parcel],
    duties: Sequence[PlannedDuty],
    deliveries: Sequence[PlannedDelivery],
    author: UUID | None,
) -> None:
    """Who is told by law of what was learned, and who owes something new because of it."""
    for delivery in deliveries:
        if delivery.agency is not None:
            parcel = parcel_of(parcels, delivery.agency, delivery.bodies)
            parcel.obligations += delivery.obligations
            parcel.hurry(delivery.urgency, delivery.deadline)
    for each in duties:
        if each.obliged_agency is None or each.obliged_agency == author:
            continue
        parcel = parcel_of(parcels, each.obliged_agency, [each.duty.obliged_body])
        parcel.hurry(Urgency(each.duty.urgency), each.duty.due_at)
        if each.id not in parcel.obligations:
            parcel.also.append(each.id)


def _add_hurried(
    parcels: dict[UUID, Parcel], ways: Sequence[Way], urgency: Urgency | None, author: UUID | None
) -> None:
    """Whoever has a notice, has not answered it, and took it for less urgent than the alert is now."""
    if urgency is None:
        return
    for way in ways:
        has_it = way.state in (State.TRANSMITTED, State.LEASED, State.WAITING) and way.is_told
        if has_it and way.agency_id != author and way.rung == 0 and way.urgency > ORDER[urgency]:
            parcel_of(parcels, way.agency_id, way.bodies).hurry(urgency)


def _add_told(parcels: dict[UUID, Parcel], ways: Sequence[Way], author: UUID | None) -> None:
    """Everybody who was told or may have been, and whoever was about to be."""
    for way in ways:
        is_waiting = way.state is State.WAITING and not way.is_told and way.rung == 0
        if way.agency_id != author and (way.is_told or is_waiting):
            parcel = parcel_of(parcels, way.agency_id, way.bodies)
            parcel.hurry(BY_ORDER[way.urgency])
            if is_waiting:
                parcel.supersedes.append(way.id)


async def _take_over(
    session: Session, alert_id: UUID, parcels: Mapping[UUID, Parcel]
) -> dict[UUID, NoticeDuty]:
    """End what was never sent for sure; its duties go with the new notice, unless a worker was quicker."""
    wanted = [delivery for each in parcels.values() for delivery in each.supersedes]
    ended = set(await change_rows.supersede(session, wanted))
    carried = await change_rows.carried_by(session, sorted(ended, key=str))
    rows: dict[UUID, Row] = {row.id: row for row in await obligation_rows.list_of_alert(session, alert_id)}
    named: dict[UUID, NoticeDuty] = {}
    for parcel in parcels.values():
        parcel.supersedes = [delivery for delivery in parcel.supersedes if delivery in ended]
        for delivery in parcel.supersedes:
            for obligation in carried.get(delivery, ()):
                row = rows[obligation]
                named[obligation] = NoticeDuty(row.rule, row.citation["ru"], row.duty, row.due_at, row.force)
                parcel.obligations.append(obligation)
                if row.due_at is not None:
                    parcel.deadlines.append(row.due_at)
    return named


async def _hurry(session: Session, alert: AlertRow, urgency: Urgency, *, now: datetime) -> None:
    """What waits goes as urgently as the alert is now; never less."""
    await change_rows.raise_urgency(session, alert.id, ORDER[urgency], now=now)
    if ORDER[urgency] < ORDER[Urgency(alert.urgency)]:
        await alert_rows.set_alert(session, alert.id, {"urgency": urgency.value})


def _deliveries(parcels: Mapping[UUID, Parcel], prepared: Prepared, change: Change) -> list[PlannedDelivery]:
    return [
        PlannedDelivery(
            id=new_id(),
            agency=agency,
            # A superior body was told under no body of the law.
            role=next(iter(parcel.bodies), SUPERIOR_BODY),
            bodies=tuple(parcel.bodies),
            number=prepared.numbers.get(agency, 0) + 1,
            urgency=parcel.urgency,
            deadline=min(parcel.deadlines, default=None),
            obligations=tuple(parcel.obligations),
            change=change.kind,
            change_id=change.id,
            also=tuple(parcel.also),
        )
        for agency, parcel in parcels.items()
    ]
