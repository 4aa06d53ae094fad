"""Deliveries, and the answers to them."""

import binascii
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from common.errors import Refusal
from common.http import After, Limit, Page, Reading, write_cursor
from common.identity import Caller, Principal, require
from common.strict_json import parse
from common.trying import note_one_transaction
from notifier.domain.receipt import Flaw, Receipt
from notifier.errors import ReceiptMediaUnknown, ReceiptNotReadable
from notifier.repository.receipts import Addressed
from notifier.router.counter import AtCounter, moment_and_id
from notifier.schemas import DeliveryOut, ReceiptIn, State
from notifier.service import reading, receipts

router = APIRouter(prefix="/v1", tags=["deliveries"])

Agency = Annotated[Principal, Depends(require("agency"))]

JOSE = "application/jose"
ALGORITHMS = ["Ed25519", "EdDSA"]
MAX_RECEIPT_BYTES = 16 * 1024


@router.get("/alerts/{alert_id}/deliveries", summary="The deliveries of an alert")
async def list_deliveries_of_alert(
    alert_id: UUID, session: Reading, caller: Caller, counter: AtCounter
) -> Page[DeliveryOut]:
    """Those addressed to the caller or carrying its duties; the operator and contact centre 111 see all."""
    seen = await reading.see_alert(session, caller, alert_id)
    rows = await reading.list_deliveries(session, counter.desk, seen)
    return Page(items=[DeliveryOut.model_validate(row) for row in rows])


@router.get("/deliveries", summary="Deliveries of all alerts, newest first")
async def list_deliveries(
    session: Reading,
    caller: Caller,
    counter: AtCounter,
    state: Annotated[State | None, Query()] = None,
    agency: Annotated[UUID | None, Query()] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[DeliveryOut]:
    """The operator sees all by opaque ids and states; an agency what it was sent itself."""
    rows = await reading.list_all_deliveries(
        session,
        counter.desk,
        caller,
        state=state,
        agency_id=agency,
        after=moment_and_id(after),
        limit=limit + 1,
    )
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    return Page(
        items=[DeliveryOut.model_validate(row) for row in shown],
        next=write_cursor(last["planned_at"].isoformat(), str(last["id"])) if last else None,
    )


@router.get("/deliveries/{delivery_id}", summary="One delivery")
async def get_delivery(
    delivery_id: UUID, session: Reading, caller: Caller, counter: AtCounter
) -> DeliveryOut:
    """With the notice itself for its addressee."""
    return DeliveryOut.model_validate(await reading.see_delivery(session, counter.desk, caller, delivery_id))


@router.post(
    "/deliveries/{delivery_id}/receipt",
    summary="Answer a notice",
    status_code=201,
    responses={200: {"description": "The receipt was stored before; this is it."}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ReceiptIn"}},
                JOSE: {"schema": {"type": "string", "description": "compact JWS over the same JSON"}},
            },
        }
    },
)
async def record_receipt(
    delivery_id: UUID, request: Request, response: Response, caller: Agency, counter: AtCounter
) -> dict[str, object]:
    """JSON, or a compact JWS signed with the endpoint's receipt key; who registered a key must sign.

    A notice that was fetched or waits without an endpoint may be signed with the key of any of the agency's.

    A receipt that is wrong, foreign or unsigned changes nothing and is kept as a security event.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = await request.body()
    now = counter.now()
    refusal: Refusal | None = None
    recorded: receipts.Recorded | None = None
    note_one_transaction(request.scope)
    # The transaction commits also when the receipt is refused: the security event must stay.
    async with counter.db.transaction() as session:
        try:
            addressed = await receipts.find_addressed(session, caller, delivery_id, now=now)
            with counter.telemetry.span(
                "notifier.receive_receipt",
                parent=addressed.traceparent,
                kind=SpanKind.SERVER,
                attributes={"dabyl.delivery_id": str(delivery_id), "dabyl.role": addressed.role},
            ):
                read = _read(kind, body, addressed)
                if isinstance(read, Flaw):
                    raise await receipts.note_flaw(session, caller, delivery_id, read, now=now)
                recorded = await receipts.record_receipt(
                    session,
                    counter.desk,
                    caller,
                    addressed,
                    read,
                    is_signed=bool(addressed.receipt_keys),
                    now=now,
                )
        except Refusal as error:
            refusal = error
    if refusal is not None or recorded is None:
        raise refusal or ReceiptNotReadable
    response.status_code = 201 if recorded.is_new else 200
    return recorded.answer


def _read(kind: str, body: bytes, addressed: Addressed) -> Receipt | Flaw:
    """The receipt in a body, its signature checked where there must be one.

    Raises:
        Refusal: not a receipt at all.
    """
    if kind not in ("application/json", JOSE):
        raise ReceiptMediaUnknown
    if len(body) > MAX_RECEIPT_BYTES:
        raise ReceiptNotReadable
    if kind == "application/json":
        return Flaw.UNSIGNED if addressed.receipt_keys else _parsed(body)
    # Without a key nobody told us how to check it: a signature that proves nothing must not look like one.
    for key in addressed.receipt_keys:
        payload = _verified(body, key)
        if payload is not None:
            return _parsed(payload)
    return Flaw.WRONG_SIGNATURE


def _verified(body: bytes, receipt_key: str) -> bytes | None:
    try:
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": receipt_key.rstrip("=")})
        return jws.deserialize_compact(body.strip(), key, algorithms=ALGORITHMS).payload
    except (JoseError, ValueError, TypeError, KeyError, binascii.Error):
        return None


def _parsed(body: bytes) -> Receipt:
    parse(body)
    try:
        return ReceiptIn.model_validate_json(body).to_receipt()
    except ValidationError as error:
        raise ReceiptNotReadable(pointer=_pointer(error)) from error


def _pointer(error: ValidationError) -> str | None:
    """Where it is wrong, if that place has a name of ours."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "extra_forbidden":
        return "#"
    return "#" + "".join(f"/{part}" for part in first["loc"])
