"""Duties: those of an alert, and what the law would say."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from common.db import Session
from common.http import Reading, Tx
from common.identity import Caller, Principal, require
from notifier.domain.acting import Act
from notifier.domain.proposal import Kind
from notifier.router.counter import AtCounter, Counter
from notifier.schemas import (
    EvidenceIn,
    FactsIn,
    ObligationOut,
    ObligationsOut,
    OwnObligationsOut,
    PreviewOut,
    ProposalIn,
    ProposalOut,
    ProposedOut,
    ReasonedDutyOut,
    ReleaseIn,
)
from notifier.service import preview, proposals, reading
from notifier.service.explaining import explained
from notifier.service.owning import offered
from notifier.service.reading import Seen
from notifier.service.releases import release_obligations as release
from notifier.service.statements import Said, state_evidence
from notifier.service.waivers import propose_waiver, waive_obligation

router = APIRouter(prefix="/v1", tags=["obligations"])

Agency = Annotated[Principal, Depends(require("agency"))]


@router.get("/alerts/{alert_id}/obligations", summary="The duties of an alert")
async def list_obligations(
    alert_id: UUID, session: Reading, caller: Caller, counter: AtCounter
) -> ObligationsOut:
    """Those in which the caller is a party; the operator and contact centre 111 see all."""
    seen = await reading.see_alert(session, caller, alert_id)
    advisories, withheld = reading.beside(seen)
    return ObligationsOut(
        items=await _shown(
            session, counter, caller, seen, await reading.list_obligations(session, counter.desk, seen)
        ),
        advisories=[ReasonedDutyOut.model_validate(row) for row in advisories],
        withheld=[ReasonedDutyOut.model_validate(row) for row in withheld],
    )


@router.post("/obligations/preview", summary="What the law says about these facts; nothing is stored")
async def preview_obligations(
    facts: FactsIn,
    session: Reading,
    counter: AtCounter,
    _caller: Annotated[Principal, Depends(require("agency", "operator", "registrar", "auditor", "service"))],
) -> PreviewOut:
    """Assumes that every body gets the information at ``received_at``."""
    regional_body = facts.regional_body
    if regional_body is None:
        regional_body = await preview.has_regional_body(
            session, facts.territory, facts.received_at or counter.now()
        )
    evaluation = preview.preview(counter.desk, facts.to_facts(now=counter.now(), regional_body=regional_body))
    return PreviewOut(edition=evaluation.edition, **evaluation.rows())


@router.post("/obligations/{obligation_id}/release", summary="Send the notice of an own duty now")
async def release_obligation(
    obligation_id: UUID, session: Tx, caller: Agency, counter: AtCounter, body: ReleaseIn | None = None
) -> OwnObligationsOut:
    """For notices that wait for their obliged body. What has left already stays as it is.

    Duties that are released together go to each agency in one notice; one released later is a further
    notice with the next number.
    """
    ids = list(dict.fromkeys([obligation_id, *(body.also if body else ())]))
    seen = await release(session, counter.desk, caller, ids, now=counter.now())
    return OwnObligationsOut(items=await _own(session, counter, caller, seen, ids))


@router.post(
    "/obligations/{obligation_id}/waiver",
    summary="Waive an own duty: one proposes with a reason, another person confirms",
    response_model=ObligationOut,
    responses={202: {"description": "Another person of this body must confirm.", "model": ProposedOut}},
)
async def waive(
    obligation_id: UUID, body: ProposalIn, session: Tx, caller: Agency, counter: AtCounter
) -> ObligationOut | Response:
    """Not for what is owed at once, in an hour or the same day, nor for what was sent or done.

    The first person posts ``reason`` and gets 202; another person of the same body posts ``confirms``.
    """
    now = counter.now()
    if body.confirms is not None:
        seen = await waive_obligation(session, counter.desk, caller, obligation_id, body.confirms, now=now)
    else:
        found = await propose_waiver(session, counter.desk, caller, obligation_id, body.reason or "", now=now)
        if not isinstance(found, Seen):
            told = ProposedOut(proposal=found.id, expires_at=found.expires_at)
            return Response(told.model_dump_json(), 202, media_type="application/json")
        seen = found
    return (await _own(session, counter, caller, seen, [obligation_id]))[0]


@router.post("/obligations/{obligation_id}/evidence", summary="State that an own duty is done")
async def state(
    obligation_id: UUID, body: EvidenceIn, session: Tx, caller: Agency, counter: AtCounter
) -> ObligationOut:
    """For acts that no other service records; ``facts`` of the duty lists what may be stated of it.

    A repeat gets the same answer, a contradiction 409. What was done late stays breached.
    """
    said = Said(body.fact, body.happened_at, body.reference)
    seen = await state_evidence(session, counter.desk, caller, obligation_id, said, now=counter.now())
    return (await _own(session, counter, caller, seen, [obligation_id]))[0]


async def _shown(
    session: Session, counter: Counter, caller: Principal, seen: Seen, rows: Sequence[dict[str, Any]]
) -> list[ObligationOut]:
    shown = [offered(counter.desk, seen, row) for row in rows]
    waivable = [row["id"] for row in shown if Act.WAIVER in row["may"]]
    waiting = await proposals.list_live(
        session, counter.desk, caller, Kind.WAIVER, waivable, now=counter.now()
    )
    said: dict[UUID, list[ProposalOut]] = {}
    for each in waiting:
        said.setdefault(each.proposal.subject_id, []).append(_proposal(each, caller))
    return [
        ObligationOut.model_validate(explained(counter.desk, {**row, "proposals": said.get(row["id"], [])}))
        for row in shown
    ]


def _proposal(agreed: proposals.Agreed, caller: Principal) -> ProposalOut:
    proposal = agreed.proposal
    return ProposalOut(
        proposal=proposal.id,
        kind=proposal.kind,
        proposed_at=proposal.proposed_at,
        expires_at=proposal.expires_at,
        reason=agreed.reason,
        mine=proposal.proposed_by == caller.person,
    )


async def _own(
    session: Session, counter: Counter, caller: Principal, seen: Seen, ids: Collection[UUID]
) -> list[ObligationOut]:
    rows = [row for row in await reading.list_obligations(session, counter.desk, seen) if row["id"] in ids]
    return await _shown(session, counter, caller, seen, rows)
