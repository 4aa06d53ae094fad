"""Duties that are opened later than the alert: by a fact, or because more is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from common.ids import new_id
from common.outbox import add as publish
from common.telemetry import log
from notifier.domain.evaluation import Evaluation
from notifier.domain.facts import Facts
from notifier.domain.notice import NoticeDuty
from notifier.domain.planning import Case, Plan, plan
from notifier.domain.territory import region_of
from notifier.repository import alerts as alert_rows
from notifier.repository import deliveries as delivery_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.directory import find_directory, find_routes
from notifier.repository.obligations import Row
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.exclusions import guard
from notifier.service.ledger import facts_of, notice_duty, obligation_row, plain, withheld_row
from notifier.service.notices import write
from notifier.service.planning import add_handles, duties_opened, open_routing, store


def key_of(row: Row) -> str:
    """The identity of a duty within its alert, as ``Duty.key`` reckons it."""
    return f"{row.rule}:{row.obliged}:{row.recipient or '-'}"


def alert_facts(alert: AlertRow) -> Facts:
    """What is known of an alert now."""
    return facts_of({"territory": alert.territory, **alert.facts}, alert.received_at)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan of further duties that is not stored yet, and what it was made with."""

    planned: Plan
    reporter: UUID | None
    excluded: frozenset[UUID]
    numbers: Mapping[UUID, int]


async def open_duties(
    session: Session, desk: Desk, alert: AlertRow, evaluation: Evaluation, *, since: datetime, now: datetime
) -> None:
    """Lay down the duties of an evaluation that the ledger does not hold yet, and send what leaves at once.

    Duties and alert must be locked. Holders are those of now; exclusions are asked anew.

    Args:
        since: when they were opened; what happened before does not meet them.
    """
    prepared = await prepare(session, desk, alert, evaluation, now=now)
    if prepared.planned.duties:
        await lay_down(session, desk, alert, prepared.planned, prepared.reporter, since=since, now=now)


async def prepare(
    session: Session, desk: Desk, alert: AlertRow, evaluation: Evaluation, *, now: datetime
) -> Prepared:
    """Plan further duties; what is only advised or withheld is noted on the alert at once."""
    edition = desk.lawbook.edition(alert.edition)
    directory = await find_directory(session, alert.territory)
    reporter, _ = open_routing(desk, alert.id, alert.routing)
    guarded = await guard(session, alert.id, directory, [reporter], at=now)
    case = Case(
        territory=alert.territory,
        received_at=now,
        reporter_agency=reporter,
        excluded=guarded.excluded,
        auto_dispatch_before=edition.parameters.auto_dispatch_before,
    )
    numbers = await delivery_rows.last_numbers(session, alert.id)
    planned = plan(evaluation, guarded.directory, case, new_id, numbers)
    await _note_beside(session, alert, evaluation, planned)
    return Prepared(planned, reporter, guarded.excluded, numbers)


async def lay_down(
    session: Session,
    desk: Desk,
    alert: AlertRow,
    planned: Plan,
    reporter: UUID | None,
    named: Mapping[UUID, NoticeDuty] | None = None,
    *,
    since: datetime,
    now: datetime,
) -> None:
    """Store a plan and send what leaves at once.

    Args:
        named: duties that stand already and that a notice of the plan names as well.
    """
    routes = await find_routes(
        session, {d.agency for d in planned.deliveries if d.agency is not None}, now=now
    )
    duties = {**(named or {}), **{duty.id: notice_duty(duty) for duty in planned.duties}}
    written = write(
        desk, alert.id, planned.deliveries, duties, routes, traceparent=alert.traceparent, now=now
    )
    rows = [obligation_row(duty, alert.id, alert.edition, since=since) for duty in planned.duties]
    await obligation_rows.add_obligations(session, rows)
    await store(session, desk, alert.id, written, now=now)
    await add_handles(session, desk, alert.id, alert.received_at, reporter, planned)
    await add_acts(
        session,
        [
            *(
                act("duty.opened", at=now, alert_id=alert.id, subject_id=each.id, rule=each.duty.rule)
                for each in planned.duties
            ),
            *(
                act("duty.withheld", at=now, alert_id=alert.id, rule=each.duty.rule, reason=each.reason)
                for each in planned.withheld
            ),
        ],
    )
    if planned.duties:
        told = duties_opened(desk, alert.id, region_of(alert.territory), planned)
        await publish(session, told, subject=alert.id, now=lambda: now)
    log.info("duties_opened", alert_id=str(alert.id), count=len(planned.duties))


async def _note_beside(session: Session, alert: AlertRow, evaluation: Evaluation, planned: Plan) -> None:
    """Advisories and withheld duties lie beside the duties; each once."""
    advisories = _with(alert.advisories, [plain(each.as_row()) for each in evaluation.advisories])
    withheld = _with(
        alert.withheld,
        [plain(each.as_row()) for each in evaluation.withheld]
        + [withheld_row(each) for each in planned.withheld],
    )
    if len(advisories) > len(alert.advisories) or len(withheld) > len(alert.withheld):
        await alert_rows.set_alert(session, alert.id, {"advisories": advisories, "withheld": withheld})


def _with(known: Any, more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = {_place(row): row for row in known}
    for row in more:
        rows.setdefault(_place(row), row)
    return list(rows.values())


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["rule"], row["obliged"], row["recipient"], row["reason"]
