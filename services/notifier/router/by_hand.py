"""Answers by phone and on paper, and reading out by phone."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from common.http import Tx
from common.identity import Principal, require
from notifier.errors import ReceiptNotReadable
from notifier.router.counter import AtCounter
from notifier.schemas.by_hand import ByHandIn, ByHandOut, ReadOutIn, ReadOutOut
from notifier.service import by_hand

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

Agency = Annotated[Principal, Depends(require("agency"))]


@router.post(
    "/{delivery_id}/receipt-by-hand",
    summary="Enter an answer that came by phone or on paper: two persons",
    status_code=201,
    responses={
        200: {"model": ByHandOut, "description": "It was stored before; this is it."},
        202: {"model": ByHandOut, "description": "Another person of the same body must confirm it."},
    },
)
async def enter_receipt(
    delivery_id: UUID, body: ByHandIn, session: Tx, caller: Agency, counter: AtCounter, response: Response
) -> ByHandOut:
    """By the agency itself, or by contact centre 111 for an alert that it knows.

    The first person posts `answer`, another of the same body `{"confirms": proposal}`. The receipt says
    by what `means` it came and who entered it.
    """
    now = counter.now()
    if body.confirms is not None:
        recorded = await by_hand.confirm_answer(
            session, counter.desk, caller, delivery_id, body.confirms, now=now
        )
        response.status_code = 201 if recorded.is_new else 200
        return ByHandOut(receipt=recorded.answer)
    addressed = await by_hand.find_enterable(session, caller, delivery_id)
    if body.answer is None:
        raise ReceiptNotReadable(pointer="#/answer")
    receipt, means = body.answer.to_receipt(delivery_id, addressed.digest or "")
    proposal = await by_hand.propose_answer(
        session, counter.desk, caller, delivery_id, receipt, means, now=now
    )
    response.status_code = 202
    return ByHandOut(proposal=proposal.id, expires_at=proposal.expires_at)


@router.post(
    "/{delivery_id}/read-out", summary="Note that the content was read out by phone", status_code=201
)
async def read_out(
    delivery_id: UUID, body: ReadOutIn, session: Tx, caller: Agency, counter: AtCounter
) -> ReadOutOut:
    """By contact centre 111, to a body without a connection: who listened is sealed, the act is audited.

    It counts as opened: the listener has the information, its clocks start.
    """
    now = counter.now()
    found = await by_hand.read_out(
        session,
        counter.desk,
        caller,
        delivery_id,
        person_name=body.person.name,
        person_position=body.person.position,
        now=now,
    )
    return ReadOutOut(id=found, delivery=delivery_id, at=now)
