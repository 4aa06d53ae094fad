"""Failures by cause, and sending again: one delivery, or many by two persons. Operators only."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from common.http import Reading, Tx
from common.identity import Principal, require
from notifier.errors import RedriveNotReadable
from notifier.repository.redrives import Run
from notifier.router.counter import AtCounter
from notifier.schemas.redrives import (
    FailureGroupOut,
    FailuresOut,
    ProposedRedriveOut,
    RedriveAnswerOut,
    RedriveIn,
    RedrivenOut,
    RedriveRunOut,
    RedriveRunsOut,
    RedriveSelection,
    RedrivesIn,
    WayOut,
)
from notifier.service import redrives

router = APIRouter(prefix="/v1", tags=["redrives"])

Operator = Annotated[Principal, Depends(require("operator"))]


@router.get("/failures", summary="What fails or needs a person, grouped by cause")
async def list_failures(session: Reading, _caller: Operator) -> FailuresOut:
    """By state, reason, outcome and status class of the last attempt, and agency; the most urgent first."""
    groups = await redrives.list_failures(session)
    ways = await redrives.list_ways(session, {each.agency_id for each in groups})
    return FailuresOut(
        items=[
            FailureGroupOut(
                state=each.state,
                reason=each.reason,
                outcome=each.outcome,
                status_class=each.status_class,
                agency=each.agency_id,
                count=each.count,
                oldest_at=each.oldest_at,
                urgency=each.urgency.value,
                ways=[
                    WayOut(endpoint=one.endpoint_id, kind=one.kind, rung=one.rung, paused_at=one.paused_at)
                    for one in ways.get(each.agency_id, ())
                ],
            )
            for each in groups
        ]
    )


@router.post("/deliveries/{delivery_id}/redrive", summary="Send a delivery again")
async def redrive_delivery(
    delivery_id: UUID, session: Tx, caller: Operator, counter: AtCounter, body: RedriveIn | None = None
) -> RedrivenOut:
    """A new generation of the same delivery: same id, same bytes, old attempts kept.

    Name the `generation` that you saw: of any number of calls that saw the same one, one takes effect.
    What is being sent already is left alone.
    """
    seen = body.generation if body else None
    found = await redrives.redrive(session, counter.desk, caller, delivery_id, seen=seen, now=counter.now())
    return RedrivenOut(delivery=delivery_id, generation=found.generation, is_new=found.is_new)


@router.post(
    "/redrives",
    summary="Send many again: dry run, proposal, confirmation",
    responses={202: {"model": RedriveAnswerOut, "description": "Proposed, or begun."}},
)
async def redrive_many(
    body: RedrivesIn, session: Tx, caller: Operator, counter: AtCounter, response: Response
) -> RedriveAnswerOut:
    """`dry_run` answers `200` with the count and a sample. Without it the redrive is proposed: `202`.

    Another operator posts `{"confirms": proposal}` and it begins; once more it is the same redrive.
    It runs in the background, urgent ones first, a batch a second: `GET /v1/redrives/{id}`.
    """
    now = counter.now()
    if body.confirms is not None:
        run = await redrives.confirm_redrive(session, counter.desk, caller, body.confirms, now=now)
        response.status_code = 202
        return RedriveAnswerOut(redrive=_run(run))
    if body.filter is None:
        raise RedriveNotReadable(pointer="#/filter")
    selection = body.filter.to_selection()
    if body.dry_run:
        found = await redrives.count(session, selection)
        return RedriveAnswerOut(count=found.count, sample=found.sample)
    if body.reason is None:
        raise RedriveNotReadable(pointer="#/reason")
    proposal, found = await redrives.propose_redrive(
        session, counter.desk, caller, selection, body.reason, now=now
    )
    response.status_code = 202
    return RedriveAnswerOut(
        proposal=proposal.id, expires_at=proposal.expires_at, count=found.count, sample=found.sample
    )


@router.get("/redrives", summary="Redrives of many: proposed, running, finished")
async def list_redrives(session: Reading, caller: Operator, counter: AtCounter) -> RedriveRunsOut:
    """The latest ones, and what waits for a second person."""
    proposed, runs = await redrives.list_runs(session, counter.desk, caller, now=counter.now())
    return RedriveRunsOut(
        proposed=[
            ProposedRedriveOut(
                proposal=each.proposal.id,
                expires_at=each.proposal.expires_at,
                is_own=each.is_own,
                reason=each.reason,
                filter=RedriveSelection.of(each.selection),
                count=each.count.count,
                sample=each.count.sample,
            )
            for each in proposed
        ],
        items=[_run(run) for run in runs],
    )


@router.get("/redrives/{redrive_id}", summary="How far a redrive of many has come")
async def get_redrive(redrive_id: UUID, session: Reading, _caller: Operator) -> RedriveRunOut:
    """`skipped` ones got through, were answered or had no way meanwhile."""
    return _run(await redrives.get_run(session, redrive_id))


def _run(run: Run) -> RedriveRunOut:
    return RedriveRunOut(
        id=run.id,
        filter=RedriveSelection.of(redrives.of_document(run.selection)),
        started_at=run.started_at,
        finished_at=run.finished_at,
        total=run.total,
        redriven=run.redriven,
        skipped=run.skipped,
    )
