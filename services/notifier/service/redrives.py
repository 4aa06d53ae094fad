"""Sending again by a person: one delivery, or many by what fails them.

Single redrives are an operator's own act. Many need a dry run's eyes and two persons, and then go in the
background: a batch a second, urgent first, each batch one transaction with its progress, so that a process
that dies loses none of it and repeats none of it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.db import Session, after_commit
from common.identity import Principal
from common.ids import new_id
from common.telemetry import log
from notifier.domain.delivery import Reason
from notifier.domain.proposal import Kind, Proposal
from notifier.domain.redrive import ALL_OF_THEM, BATCH, Selection, Trouble, Verdict, judge
from notifier.domain.schedule import ORDER
from notifier.errors import DeliveryUnknown, NoWayToSend, RedriveNotPossible, RedriveUnknown
from notifier.repository import deliveries as delivery_rows
from notifier.repository import redrives as rows_of
from notifier.repository.directory import Route, list_routes
from notifier.repository.records import act, add_acts
from notifier.repository.redrives import Again, Failed, Group, Run
from notifier.service import proposals
from notifier.service.desk import Desk
from notifier.service.exclusions import shut_out

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Redriven:
    """What came of one redrive: the generation that stands now, and whether this call began it."""

    generation: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Count:
    """How many a redrive would send again, and a few of them by opaque id."""

    count: int
    sample: list[UUID]


async def redrive(
    session: Session, desk: Desk, caller: Principal, delivery_id: UUID, *, seen: int | None, now: datetime
) -> Redriven:
    """Send one delivery again, at once, under a new generation. What is under way already is left alone.

    Args:
        seen: the generation that the caller had before its eyes.

    Raises:
        DeliveryUnknown: there is none.
        RedriveNotPossible: it got through, was answered, cancelled or is for the agency to fetch.
        NoWayToSend: on its rung there is no endpoint in force that is not paused.
    """
    found = await rows_of.find_failed(session, delivery_id)
    if found is None or found.is_test:
        raise DeliveryUnknown
    match judge(found.state, found.reason, found.generation, seen=seen):
        case Verdict.UNDER_WAY:
            return Redriven(found.generation, is_new=False)
        case Verdict.IMPOSSIBLE:
            raise RedriveNotPossible
    gone = await _send_again(session, desk, [found], caller.subject, now=now)
    if gone.shut_out:
        raise RedriveNotPossible
    if not gone.has_way:
        raise NoWayToSend
    if not gone.redriven:
        # Somebody was quicker between our look and our word: their generation is the one.
        found = await rows_of.find_failed(session, delivery_id)
        return Redriven(found.generation if found else 1, is_new=False)
    return Redriven(found.generation + 1, is_new=True)


@dataclass(slots=True)
class _Gone:
    """What became of some deliveries."""

    redriven: set[UUID] = field(default_factory=set)
    has_way: set[UUID] = field(default_factory=set)
    shut_out: set[UUID] = field(default_factory=set)


async def _send_again(
    session: Session, desk: Desk, failed: Sequence[Failed], actor: str, *, now: datetime
) -> _Gone:
    """Begin new generations for those that may and can be sent, spread over a second."""
    gone = _Gone()
    hidden = await _shut_out(session, failed)
    # By its own rung only: what a phone should have said must not end in the agency's webhook.
    ways = await delivery_rows.find_ways(session, [one.delivery_id for one in failed], now=now)
    wanted: list[Again] = []
    for one in failed:
        if one.agency_id is None:
            continue
        if one.delivery_id in hidden:
            gone.shut_out.add(one.delivery_id)
            continue
        if one.delivery_id not in ways:
            continue
        gone.has_way.add(one.delivery_id)
        at = now + timedelta(seconds=len(wanted) / BATCH)
        wanted.append(Again(one.delivery_id, one.generation, *ways[one.delivery_id], at))
    gone.redriven = await rows_of.redrive(session, wanted)
    generations = {one.delivery_id: one.generation + 1 for one in failed}
    alerts = {one.delivery_id: one.alert_id for one in failed}
    await add_acts(
        session,
        [
            act(
                "delivery.redriven",
                at=now,
                actor=actor,
                alert_id=alerts[each],
                subject_id=each,
                generation=generations[each],
            )
            for each in gone.redriven
        ],
    )
    waiting: dict[UUID, list[UUID]] = {}
    for again in wanted:
        if again.delivery_id in gone.redriven and again.at <= now:
            waiting.setdefault(again.endpoint_id, []).append(again.delivery_id)
    if waiting:
        after_commit(session, lambda: desk.lanes.wake(waiting))
    return gone


async def _shut_out(session: Session, failed: Sequence[Failed]) -> set[UUID]:
    """Those whose agency must not be told any more: a flag may have been raised since they were planned."""
    agencies = {one.agency_id for one in failed if one.agency_id}
    pairs = await shut_out(session, agencies, alerts={one.alert_id for one in failed if one.alert_id})
    return {one.delivery_id for one in failed if (one.alert_id, one.agency_id) in pairs}


# Many


async def list_failures(session: Session) -> list[Group]:
    """What fails or needs a person, grouped by cause."""
    return await rows_of.list_groups(session)


async def list_ways(
    session: Session, agency_ids: Collection[UUID | None]
) -> Mapping[UUID | None, Sequence[Route]]:
    """The endpoints in force of these agencies, by rung, the one that is used first."""
    found: dict[UUID | None, list[Route]] = {}
    if agency_ids:
        for route in await list_routes(session):
            if route.agency_id in agency_ids:
                found.setdefault(route.agency_id, []).append(route)
    return found


async def count(session: Session, selection: Selection) -> Count:
    """The dry run: nothing is stored."""
    number, sample = await rows_of.count(session, selection)
    return Count(number, sample)


async def propose_redrive(
    session: Session, desk: Desk, caller: Principal, selection: Selection, reason: str, *, now: datetime
) -> tuple[Proposal, Count]:
    """Put a redrive of many before a second person, with what it would send as things stand."""
    found = await count(session, selection)
    proposal = await proposals.propose(
        session,
        desk,
        caller,
        Kind.REDRIVE,
        ALL_OF_THEM,
        reason=reason,
        payload={"selection": as_document(selection)},
        now=now,
    )
    return proposal, found


async def confirm_redrive(
    session: Session, desk: Desk, caller: Principal, proposal_id: UUID, *, now: datetime
) -> Run:
    """Let a proposed redrive begin; once more it is the same one.

    Raises:
        Refusal: as ``proposals.confirm`` says.
    """
    agreed = await proposals.confirm(session, desk, caller, Kind.REDRIVE, ALL_OF_THEM, proposal_id, now=now)
    if agreed.is_new:
        selection = of_document(agreed.payload["selection"])
        total, _ = await rows_of.count(session, selection)
        row = {
            "id": new_id(),
            "proposal_id": proposal_id,
            "selection": agreed.payload["selection"],
            "proposed_by": agreed.proposal.proposed_by,
            "confirmed_by": proposals.person_of(caller),
            "started_at": now,
            "finished_at": None,
            "total": total,
            "redriven": 0,
            "skipped": 0,
            "after_urgency": None,
            "after_id": None,
        }
        await rows_of.add_run(session, row)
        await add_acts(
            session,
            [act("redrive.started", at=now, actor=caller.subject, subject_id=row["id"], count=total)],
        )
        log.info("redrive_started", redrive_id=str(row["id"]), count=total)
    run = await rows_of.find_run(session, proposal_id=proposal_id)
    if run is None:
        raise RedriveUnknown
    return run


async def get_run(session: Session, run_id: UUID) -> Run:
    """One redrive of many; raises ``RedriveUnknown``."""
    run = await rows_of.find_run(session, run_id)
    if run is None:
        raise RedriveUnknown
    return run


@dataclass(frozen=True, slots=True)
class Proposed:
    """A redrive that waits for its second person."""

    proposal: Proposal
    selection: Selection
    reason: str
    count: Count
    is_own: bool


async def list_runs(
    session: Session, desk: Desk, caller: Principal, *, now: datetime
) -> tuple[list[Proposed], list[Run]]:
    """What waits for a second person, and the latest that were started."""
    live = await proposals.list_live(session, desk, caller, Kind.REDRIVE, [ALL_OF_THEM], now=now)
    proposed = []
    for each in live:
        selection = of_document(each.payload["selection"])
        proposed.append(
            Proposed(
                each.proposal,
                selection,
                each.reason,
                await count(session, selection),
                is_own=each.proposal.proposed_by == caller.person,
            )
        )
    return proposed, await rows_of.list_runs(session, limit=SHOWN)


async def anything_running(session: Session) -> bool:
    """Whether a redrive of many is under way."""
    return await rows_of.has_running(session)


async def drive(session: Session, desk: Desk, *, now: datetime) -> int:
    """One batch of one redrive; returns how many deliveries it looked at."""
    run = await rows_of.lock_running(session)
    if run is None:
        return 0
    selection = of_document(run.selection)
    # What was planned since it was confirmed is not what two persons agreed to.
    end = run.started_at + timedelta(microseconds=1)
    until = min(selection.planned_until or end, end)
    batch = await rows_of.list_next(session, _with_end(selection, until), after=run.after, limit=BATCH)
    gone = await _send_again(session, desk, batch, run.confirmed_by, now=now)
    finished_at = now if len(batch) < BATCH else None
    after = (ORDER[batch[-1].urgency], batch[-1].delivery_id) if batch else None
    redriven = len(gone.redriven)
    await rows_of.advance(
        session,
        run.id,
        redriven=redriven,
        skipped=len(batch) - redriven,
        after=after,
        finished_at=finished_at,
    )
    if finished_at is not None:
        done = run.redriven + redriven
        await add_acts(
            session,
            [act("redrive.finished", at=now, actor=run.confirmed_by, subject_id=run.id, count=done)],
        )
        log.info("redrive_finished", redrive_id=str(run.id), count=done)
    return len(batch)


def _with_end(selection: Selection, until: datetime) -> Selection:
    return Selection(
        selection.trouble,
        selection.reason,
        selection.outcome,
        selection.status_class,
        selection.agency_id,
        selection.planned_from,
        until,
    )


def as_document(selection: Selection) -> dict[str, Any]:
    """A selection as it is stored."""
    return {
        "trouble": selection.trouble.value,
        "reason": selection.reason.value if selection.reason else None,
        "outcome": selection.outcome,
        "status_class": selection.status_class,
        "agency": str(selection.agency_id) if selection.agency_id else None,
        "planned_from": selection.planned_from.isoformat() if selection.planned_from else None,
        "planned_until": selection.planned_until.isoformat() if selection.planned_until else None,
    }


def of_document(document: Mapping[str, Any]) -> Selection:
    """A stored selection."""
    return Selection(
        trouble=Trouble(document["trouble"]),
        reason=Reason(document["reason"]) if document["reason"] else None,
        outcome=document["outcome"],
        status_class=document["status_class"],
        agency_id=UUID(document["agency"]) if document["agency"] else None,
        planned_from=_moment(document["planned_from"]),
        planned_until=_moment(document["planned_until"]),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
