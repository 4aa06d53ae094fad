"""Door 1, HTTP: parse, call one use case, shape the answer."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response

from common.http import Page, Reading, Tx
from common.identity import Caller, Principal, require
from intake import service
from intake.errors import IdempotencyKeyNotReadable
from intake.schemas import (
    AlertIn,
    AlertOut,
    ContentOut,
    CorrectedOut,
    CorrectionIn,
    MatchOut,
    PublicReportIn,
    ReceivedOut,
    ReportedOut,
    WithdrawalIn,
    WithdrawnOut,
)
from intake.service import Room

router = APIRouter(prefix="/v1", tags=["intake"])
_KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255})')


async def _room(request: Request) -> Room:
    room: Room = request.app.state.room
    return room


async def _idempotency_key(
    told: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="draft-ietf-httpapi-idempotency-key-header-07, or bare",
            json_schema_extra={"pattern": f"^({_KEY.pattern})$"},
        ),
    ] = None,
) -> str | None:
    if told is None:
        return None
    read = _KEY.fullmatch(told)
    if read is None:
        raise IdempotencyKeyNotReadable
    return read[1] or read[2]


Intake = Annotated[Room, Depends(_room)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
Agency = Annotated[Principal, Depends(require("agency"))]


@router.post(
    "/alerts",
    status_code=201,
    responses={200: {"model": ReceivedOut, "description": "A repeat: the first alert"}},
)
async def receive_alert(
    caller: Agency, room: Intake, key: IdempotencyKey, body: AlertIn, session: Tx, response: Response
) -> ReceivedOut:
    """Report a child in need: ``201`` the alert, ``200`` the first one for a repeat, ``409`` another body."""
    received = await service.receive_alert(session, room, body.to_report(), caller=caller, key=key)
    if received.is_repeat:
        response.status_code = 200
    response.headers["Location"] = f"/v1/alerts/{received.id}"
    response.headers["Cache-Control"] = "no-store"
    return ReceivedOut(
        id=received.id,
        number=received.number,
        received_at=received.received_at,
        flags=("iin_doubtful",) if received.is_iin_doubtful else (),
    )


@router.post(
    "/reports",
    status_code=201,
    responses={200: {"model": ReportedOut, "description": "A repeat: the first report, without its receipt"}},
)
async def receive_report(
    _gateway: Annotated[Principal, Depends(require("service"))],
    room: Intake,
    key: IdempotencyKey,
    body: PublicReportIn,
    session: Tx,
    response: Response,
    source: Annotated[str, Header(alias="Dabyl-Source", pattern="^[0-9a-f]{32}$", include_in_schema=False)],
) -> ReportedOut:
    """Report a child in need without an account. The contact centre looks first, unless life is in danger.

    The receipt code is shown once. An ``Idempotency-Key`` must have at least 16 characters.
    """
    received, code = await service.receive_report(
        session, room, body.to_report(), reporter=body.reporter, source=bytes.fromhex(source), key=key
    )
    if received.is_repeat:
        response.status_code = 200
    response.headers["Cache-Control"] = "no-store"
    return ReportedOut(number=received.number, receipt=code, received_at=received.received_at)


@router.get("/alerts/{alert_id}")
async def read_alert(
    alert_id: UUID, caller: Caller, room: Intake, session: Reading, response: Response
) -> AlertOut:
    """That an alert is here: for its reporter by its own id, and for operators."""
    alert = await service.read_alert(session, room, alert_id, caller=caller)
    response.headers["Cache-Control"] = "no-store"
    shown = alert.id if caller.role == "operator" else alert.handle
    return AlertOut(id=shown, number=alert.number, received_at=alert.received_at)


@router.post(
    "/alerts/{alert_id}/corrections",
    status_code=201,
    responses={200: {"model": CorrectedOut, "description": "A repeat: the stored correction"}},
)
async def correct_alert(
    alert_id: UUID, caller: Agency, room: Intake, body: CorrectionIn, session: Tx, response: Response
) -> CorrectedOut:
    """The reporter corrects its report. Every body that was told hears it and reads the new version."""
    corrected = await service.correct_alert(
        session, room, alert_id, body.report.to_report(), reason=body.reason, caller=caller
    )
    if corrected.is_repeat:
        response.status_code = 200
    response.headers["Cache-Control"] = "no-store"
    return CorrectedOut(
        version=corrected.version,
        corrected_at=corrected.corrected_at,
        flags=("iin_doubtful",) if corrected.is_iin_doubtful else (),
    )


@router.post(
    "/alerts/{alert_id}/withdrawal",
    status_code=201,
    responses={200: {"model": WithdrawnOut, "description": "It was withdrawn before"}},
)
async def withdraw_alert(
    alert_id: UUID, caller: Agency, room: Intake, body: WithdrawalIn, session: Tx, response: Response
) -> WithdrawnOut:
    """The reporter takes its report back. That travels as information: what is owed stays owed."""
    withdrawn_at, is_new = await service.withdraw_alert(
        session, room, alert_id, reason=body.reason, caller=caller
    )
    if not is_new:
        response.status_code = 200
    response.headers["Cache-Control"] = "no-store"
    return WithdrawnOut(withdrawn_at=withdrawn_at)


@router.get("/alerts/{alert_id}/matches")
async def list_matches(
    alert_id: UUID, caller: Agency, room: Intake, session: Reading, response: Response
) -> Page[MatchOut]:
    """Alerts that may be about the same child, for the coordinating body; at most a hundred."""
    found = await service.list_matches(session, room, alert_id, caller=caller)
    response.headers["Cache-Control"] = "no-store"
    return Page(items=[MatchOut.model_validate(one) for one in found])


@router.get("/deliveries/{delivery_id}/content", response_model_exclude_unset=True)
async def open_content(
    delivery_id: UUID,
    caller: Agency,
    room: Intake,
    session: Tx,
    response: Response,
    grant: Annotated[str | None, Header(alias="Dabyl-Grant", description="as the notice gave it")] = None,
) -> ContentOut:
    """The content behind a notice, field by field as the access table allows; the look is written down."""
    shown = await service.open_content(session, room, delivery_id, token=grant, caller=caller)
    response.headers["Cache-Control"] = "no-store"
    return ContentOut.model_validate(shown)
