"""Duties that come with the calendar, in the ledger: opened, met by returns, breached, passed on.

A duty's periods are opened from a stored watermark to now, under the watermark's lock: none is missed
however long the house was down or the clock jumped, and none is owed twice however many look.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts.notifier import PeriodBreached, PeriodFact, PeriodMet, PeriodOpened, PeriodPassed
from common.contracts.registry import ReturnSubmitted
from common.db import Session
from common.identity import Principal
from common.ids import new_id
from common.outbox import add as publish
from common.telemetry import log
from notifier.domain.periodic import Period, PeriodicDuty, periods
from notifier.domain.resolution import Holding
from notifier.errors import PeriodUnknown
from notifier.lawbook import Lawbook
from notifier.repository import periods as period_rows
from notifier.repository.among import ALL, Among
from notifier.repository.periods import Handed, PeriodRow
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk

ROWS = 200
AN_EVENT = 200
"""Agencies that one event names at most."""
LOOK_BACK = timedelta(days=400)
"""How far back a duty that was never looked at may have opened: the longest period and its report."""
LOOK_FOR_SUCCESSOR = timedelta(days=1)


async def anything_opens(session: Session, desk: Desk, *, now: datetime) -> bool:
    """Whether any period is to be opened."""
    watermarks = await period_rows.list_watermarks(session)
    for rule, duties in _duties(desk.lawbook).items():
        until = watermarks.get(rule)
        if until is None or any(_opened(desk.lawbook, duties, until, now)):
            return True
    return False


async def open_periods(session: Session, desk: Desk, *, now: datetime) -> int:
    """Open every period that began since the last look, for every agency that then held the body.

    A duty that was never looked at begins with the periods that can still be met in time.

    Returns:
        How many were opened.
    """
    count = 0
    within = desk.lawbook.edition_at(now).parameters.within
    for rule, duties in _duties(desk.lawbook).items():
        until = await period_rows.lock_watermark(session, rule)
        begun = [
            (duty, period)
            for duty, period in _opened(desk.lawbook, duties, until or now - LOOK_BACK, now)
            if until is not None or (period.breach_at or period.due_at) > now
        ]
        for duty, period in begun:
            for role in dict.fromkeys(within.get(each, each) for each in duty.obliged):
                count += await _open(session, duty, period, role, now=now)
        if begun or until is None:
            await period_rows.move_watermark(session, rule, now)
    return count


def _duties(lawbook: Lawbook) -> dict[str, list[PeriodicDuty]]:
    """Every duty by its id, as each edition has it."""
    found: dict[str, list[PeriodicDuty]] = defaultdict(list)
    for edition in lawbook.editions:
        for duty in edition.periodic:
            found[duty.id].append(duty)
    return found


def _opened(
    lawbook: Lawbook, duties: Iterable[PeriodicDuty], until: datetime, now: datetime
) -> Iterator[tuple[PeriodicDuty, Period]]:
    """What opened since, as the edition says that was in force then."""
    for duty in duties:
        for period in periods(duty, until, now, lawbook.calendar):
            if duty in lawbook.periodic_at(period.opens_at):
                yield duty, period


async def _open(session: Session, duty: PeriodicDuty, period: Period, role: str, *, now: datetime) -> int:
    holders: dict[UUID, Holding] = {}
    for holding in await period_rows.list_holdings(session, role):
        if holding.holds_at(period.opens_at):
            holders.setdefault(holding.agency_id, holding)
    rows: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "rule": duty.id,
            "key": period.key,
            "edition": duty.edition,
            "agency_id": agency_id,
            "role": role,
            "territory": holding.territory,
            "first_day": period.first_day,
            "last_day": period.last_day,
            "opens_at": period.opens_at,
            "due_at": period.due_at,
            "breach_at": period.breach_at,
            "is_provisional": period.provisional,
            "state": "open",
            "passed_from": None,
            # Whoever held it then may have lost it since: looked at once, then at its limits.
            "next_check_at": now if holding.valid_until is not None else period.due_at,
        }
        for agency_id, holding in holders.items()
    ]
    if not rows:
        log.warning("period_without_holder", rule=duty.id, key=period.key, role=role)
        return 0
    await period_rows.add_periods(session, rows)
    for start in range(0, len(rows), AN_EVENT):
        part = rows[start : start + AN_EVENT]
        event = PeriodOpened(
            rule=duty.id,
            key=period.key,
            due_at=period.due_at,
            breach_at=period.breach_at,
            periods=tuple(PeriodFact(period_id=row["id"], agency_id=row["agency_id"]) for row in part),
        )
        await publish(session, event, subject=part[0]["id"], now=lambda: now)
    await add_acts(
        session,
        [act("period.opened", at=now, subject_id=row["id"], rule=duty.id, key=period.key) for row in rows],
    )
    await _meet(session, await period_rows.lock_handed(session, duty.id, period.key, holders), now=now)
    log.info("period_opened", rule=duty.id, key=period.key, count=len(rows))
    return len(rows)


async def take_return(session: Session, desk: Desk, event: ReturnSubmitted, *, now: datetime) -> None:
    """An agency handed something in: its period is met, now or as soon as it opens.

    A repeat changes nothing; what the law does not ask for meets nothing.
    """
    if event.duty not in _duties(desk.lawbook):
        log.warning("return_meets_nothing", return_id=str(event.return_id))
        return
    row = {
        "id": event.return_id,
        "rule": event.duty,
        "key": event.period,
        "agency_id": event.agency_id,
        "submitted_at": event.submitted_at,
    }
    await period_rows.lock_watermark(session, event.duty)
    if await period_rows.add_return(session, row):
        await _meet(
            session,
            await period_rows.lock_handed(session, event.duty, event.period, [event.agency_id]),
            now=now,
        )


async def _meet(session: Session, handed: Sequence[Handed], *, now: datetime) -> None:
    for each in handed:
        period = each.period
        is_late = period.breach_at is not None and each.submitted_at > period.breach_at
        values: dict[str, Any] = {
            "state": "met",
            "met_at": each.submitted_at,
            "return_id": each.return_id,
            "next_check_at": None,
            # Handed in before the limit and heard of after it: then there was no breach.
            "breached_at": period.breach_at if is_late else None,
        }
        await period_rows.set_periods(session, [period.id], values)
        if is_late and period.breached_at is None:
            await _tell_breaches(session, [period], now=now)
        if not is_late and period.breached_at is not None:
            await add_acts(session, [act("period.breach_lifted", at=now, subject_id=period.id)])
        event = PeriodMet(
            rule=period.rule,
            key=period.key,
            period=PeriodFact(period_id=period.id, agency_id=period.agency_id),
            return_id=each.return_id,
            met_at=each.submitted_at,
        )
        await publish(session, event, subject=period.id, now=lambda: now)
        await add_acts(session, [act("period.met", at=each.submitted_at, subject_id=period.id)])


async def find_due(session: Session, *, now: datetime, among: Among = ALL, limit: int = 1) -> list[UUID]:
    """Periods of which a moment passed."""
    return await period_rows.find_due_periods(session, now=now, among=among, limit=limit)


async def turn_periods(
    session: Session,
    desk: Desk,  # noqa: ARG001  # the signature of every pass
    *,
    now: datetime,
    among: Among = ALL,
) -> int:
    """Alarm at the limit, breach at the later reading, pass on what its agency no longer holds.

    Returns:
        How many were looked at; as many as ``ROWS`` means that more may wait.
    """
    rows = await period_rows.lock_due_periods(session, now=now, limit=ROWS, among=among)
    held: dict[str, list[Holding]] = {
        role: await period_rows.list_holdings(session, role)
        for role in dict.fromkeys(row.role for row in rows)
    }
    again: dict[datetime | None, list[UUID]] = defaultdict(list)
    for row in rows:
        holdings = held[row.role]
        until = _held_until(holdings, row.agency_id, now)
        if until == now:
            successor = _successor(holdings, row, now)
            # A limit that passed before the mandate ended was missed by whom it bound then.
            if successor is not None:
                await _turn(session, [row], now=now)
                await _pass_on(session, row, successor, now=now)
                continue
            log.warning("period_without_holder", rule=row.rule, key=row.key, period_id=str(row.id))
            until = now + LOOK_FOR_SUCCESSOR
        moments = [
            None if row.due_at <= now else row.due_at,
            None if row.breach_at is None or row.breach_at <= now else row.breach_at,
            until,
        ]
        again[min((moment for moment in moments if moment is not None), default=None)].append(row.id)
    kept = {each for ids in again.values() for each in ids}
    await _turn(session, [row for row in rows if row.id in kept], now=now)
    for moment, ids in again.items():
        await period_rows.set_periods(session, ids, {"next_check_at": moment})
    return len(rows)


async def _turn(session: Session, rows: Sequence[PeriodRow], *, now: datetime) -> None:
    late = [row for row in rows if row.alarmed_at is None and row.due_at <= now]
    breached = [
        row for row in rows if row.breached_at is None and row.breach_at is not None and row.breach_at <= now
    ]
    await period_rows.set_periods(session, [row.id for row in late], {"alarmed_at": now})
    await period_rows.mark_breached(session, [row.id for row in breached])
    for row in late:
        log.warning("period_overdue", rule=row.rule, key=row.key, period_id=str(row.id))
    await add_acts(session, [act("period.overdue", at=now, subject_id=row.id, rule=row.rule) for row in late])
    await _tell_breaches(session, breached, now=now)


async def _tell_breaches(session: Session, rows: Sequence[PeriodRow], *, now: datetime) -> None:
    groups: dict[tuple[str, str, datetime | None], list[PeriodRow]] = defaultdict(list)
    for row in rows:
        groups[row.rule, row.key, row.breach_at].append(row)
    for (rule, key, breach_at), found in groups.items():
        event = PeriodBreached(
            rule=rule,
            key=key,
            breached_at=breach_at or now,
            periods=tuple(PeriodFact(period_id=row.id, agency_id=row.agency_id) for row in found),
        )
        await publish(session, event, subject=found[0].id, now=lambda: now)
    await add_acts(
        session,
        [act("period.breached", at=now, subject_id=row.id, rule=row.rule, key=row.key) for row in rows],
    )


def _held_until(holdings: Iterable[Holding], agency_id: UUID, now: datetime) -> datetime | None:
    """When the agency's hold ends: ``now`` when it has ended, ``None`` when no end is known."""
    ends = [each.valid_until for each in holdings if each.agency_id == agency_id and each.holds_at(now)]
    if not ends:
        return now
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def _successor(holdings: Iterable[Holding], row: PeriodRow, now: datetime) -> UUID | None:
    """Who holds the body there now: the primary one, else the first by its id."""
    there = [
        each
        for each in holdings
        if each.territory == row.territory and each.agency_id != row.agency_id and each.holds_at(now)
    ]
    best = min(there, key=lambda each: (not each.is_primary, str(each.agency_id)), default=None)
    return None if best is None else best.agency_id


async def _pass_on(session: Session, row: PeriodRow, successor: UUID, *, now: datetime) -> None:
    """The successor owes the period from the moment it has it; who owes it already, owes it once."""
    passed = {
        "id": new_id(),
        "rule": row.rule,
        "key": row.key,
        "edition": row.edition,
        "agency_id": successor,
        "role": row.role,
        "territory": row.territory,
        "first_day": row.first_day,
        "last_day": row.last_day,
        "opens_at": now,
        "due_at": row.due_at,
        # A limit that its predecessor missed is not the successor's breach.
        "breach_at": None if row.breach_at is None or row.breach_at <= now else row.breach_at,
        "is_provisional": row.is_provisional,
        "state": "open",
        "passed_from": row.agency_id,
        "next_check_at": now,
    }
    await period_rows.add_periods(session, [passed])
    await period_rows.set_periods(
        session, [row.id], {"state": "passed", "passed_to": successor, "next_check_at": None}
    )
    event = PeriodPassed(
        rule=row.rule,
        key=row.key,
        period=PeriodFact(period_id=row.id, agency_id=row.agency_id),
        to=successor,
        passed_at=now,
    )
    await publish(session, event, subject=row.id, now=lambda: now)
    await add_acts(session, [act("period.passed", at=now, subject_id=row.id, rule=row.rule, key=row.key)])
    await _meet(session, await period_rows.lock_handed(session, row.rule, row.key, [successor]), now=now)


async def list_periods(
    session: Session,
    desk: Desk,
    caller: Principal,
    *,
    agency_id: UUID | None,
    state: str | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Periods that this caller may see.

    Raises:
        PeriodUnknown: it may see none.
    """
    if caller.role != "operator":
        if caller.role != "agency" or caller.agency is None:
            raise PeriodUnknown
        if agency_id not in (None, caller.agency):
            return []
        agency_id = caller.agency
    found = await period_rows.list_periods(
        session, agency_id=agency_id, state=state, after=after, limit=limit
    )
    return [_told(desk.lawbook, row) for row in found]


async def see_period(session: Session, desk: Desk, caller: Principal, period_id: UUID) -> dict[str, Any]:
    """One period.

    Raises:
        PeriodUnknown: there is none that this caller may see.
    """
    row = await period_rows.find_period(session, period_id)
    is_own = row is not None and caller.role == "agency" and row.agency_id == caller.agency
    if row is None or not (is_own or caller.role == "operator"):
        raise PeriodUnknown
    return _told(desk.lawbook, row)


def _told(lawbook: Lawbook, row: PeriodRow) -> dict[str, Any]:
    """A period with what its own edition says."""
    duty = next(each for each in _duties(lawbook)[row.rule] if each.edition == row.edition)
    return {
        "id": row.id,
        "agency": row.agency_id,
        "rule": row.rule,
        "citation": duty.citation.bilingual(),
        "duty": duty.text.bilingual(),
        "force": duty.force,
        "obliged": row.role,
        "recipients": list(duty.recipients),
        "period": row.key,
        "first_day": row.first_day,
        "last_day": row.last_day,
        "opens_at": row.opens_at,
        "due_at": row.due_at,
        "breach_at": row.breach_at,
        "provisional": row.is_provisional,
        "state": row.state,
        "met_at": row.met_at,
        "alarmed_at": row.alarmed_at,
        "breached_at": row.breached_at,
        "evidence": row.return_id,
        "passed_from": row.passed_from,
        "passed_to": row.passed_to,
    }
