"""Duties: those of an alert, and what the law would say."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from common.http import Reading
from common.identity import Caller, Principal, require
from notifier.router.counter import AtCounter
from notifier.schemas import FactsIn, ObligationOut, ObligationsOut, PreviewOut, ReasonedDutyOut
from notifier.service import preview, reading
from notifier.service.explaining import explained

router = APIRouter(prefix="/v1", tags=["obligations"])


@router.get("/alerts/{alert_id}/obligations", summary="The duties of an alert")
async def list_obligations(
    alert_id: UUID, session: Reading, caller: Caller, counter: AtCounter
) -> ObligationsOut:
    """Those in which the caller is a party; the operator and contact centre 111 see all."""
    seen = await reading.see_alert(session, caller, alert_id)
    advisories, withheld = reading.beside(seen)
    return ObligationsOut(
        items=[
            ObligationOut.model_validate(explained(counter.desk, row))
            for row in await reading.list_obligations(session, seen)
        ],
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
