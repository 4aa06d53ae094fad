"""Duties: those of an alert, and what the law would say."""

from collections.abc import Collection
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from common.db import Session
from common.http import Reading, Tx
from common.identity import Caller, Principal, require
from notifier.router.counter import AtCounter
from notifier.schemas import (
    FactsIn,
    ObligationOut,
    ObligationsOut,
    OwnObligationsOut,
    PreviewOut,
    ReasonedDutyOut,
    ReleaseIn,
)
from notifier.service import preview, reading
from notifier.service.desk import Desk
from notifier.service.explaining import explained
from notifier.service.owning import offered
from notifier.service.reading import Seen
from notifier.service.releases import release_obligations as release

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
        items=[_shown(counter.desk, seen, row) for row in await reading.list_obligations(session, seen)],
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
    return OwnObligationsOut(items=await _own(session, counter.desk, seen, ids))


def _shown(desk: Desk, seen: Seen, row: dict[str, Any]) -> ObligationOut:
    return ObligationOut.model_validate(explained(desk, offered(desk, seen, row)))


async def _own(session: Session, desk: Desk, seen: Seen, ids: Collection[UUID]) -> list[ObligationOut]:
    rows = await reading.list_obligations(session, seen)
    return [_shown(desk, seen, row) for row in rows if row["id"] in ids]
