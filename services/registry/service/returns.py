"""What agencies hand in at intervals: kept as it came, and told to whoever keeps the clocks."""

from uuid import UUID

from common import outbox
from common.contracts.registry import ReturnSubmitted
from common.db import Session
from common.ids import new_id
from common.telemetry import log
from common.timing import Now
from registry import repository
from registry.errors import AgencyRetired, AgencyUnknown, ReturnDiffers
from registry.models import Return


async def submit_return(
    session: Session,
    agency_id: UUID,
    *,
    duty: str,
    period: str,
    reference: str,
    digest: str,
    outgoing_number: str,
    by: str,
    now: Now,
) -> tuple[Return, bool]:
    """Keep a return; the same again gets the stored one.

    Returns:
        The return, and whether it is new.

    Raises:
        AgencyUnknown, AgencyRetired: nobody whose return it could be.
        ReturnDiffers: something else was handed in for this period.
    """
    agency = await repository.find_agency(session, agency_id)
    if agency is None:
        raise AgencyUnknown
    if agency.retired_at is not None and agency.retired_at <= now():
        raise AgencyRetired
    row = Return(
        id=new_id(),
        agency_id=agency_id,
        duty=duty,
        period=period,
        reference=reference,
        digest=digest,
        outgoing_number=outgoing_number,
        submitted_at=now(),
        submitted_by=by,
    )
    if not await repository.add_return(session, row):
        stored = await repository.find_return(session, agency_id, duty, period)
        if stored is None or (stored.reference, stored.digest, stored.outgoing_number) != (
            reference,
            digest,
            outgoing_number,
        ):
            raise ReturnDiffers
        return stored, False
    event = ReturnSubmitted(
        return_id=row.id, agency_id=agency_id, duty=duty, period=period, submitted_at=row.submitted_at
    )
    await outbox.add(session, event, subject=row.id, now=now)
    log.info("return_submitted", return_id=str(row.id), agency_id=str(agency_id))
    return row, True
