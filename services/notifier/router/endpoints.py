"""Signing keys and test notices of endpoints."""

import asyncio
import time
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from common.http import Tx
from common.identity import Principal, require
from common.schemas import In
from notifier.errors import EndpointUnknown, RegistryAway
from notifier.router.counter import AtCounter, Counter
from notifier.schemas import PauseOut, SigningKeyOut, TestOut
from notifier.service import directory, drills, endpoints

router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])

Registrar = Annotated[Principal, Depends(require("registrar"))]

Pausing = Annotated[Principal, Depends(require("agency", "operator"))]

HEARD_WITHIN_SECONDS = 1.0
LOOK_EVERY_SECONDS = 0.05


class SigningKeyIn(In):
    """How notices are to be signed from now on."""

    scheme: Literal["v1", "v1a"] = Field("v1", description="v1: a shared secret · v1a: Ed25519, no secret")


class NothingIn(In):
    """An empty object: there is nothing to choose."""


@router.post("/{endpoint_id}/signing-key", summary="A new signing key; shown once", status_code=201)
async def issue_signing_key(
    endpoint_id: UUID, caller: Registrar, counter: AtCounter, body: SigningKeyIn | None = None
) -> SigningKeyOut:
    """The key before it signs beside the new one for a day, so that the agency can change over."""
    is_asymmetric = body is not None and body.scheme == "v1a"
    await _make_known(counter, endpoint_id)
    async with counter.db.transaction() as session:
        key = await endpoints.issue_key(
            session,
            counter.desk,
            endpoint_id,
            actor=caller.subject,
            now=counter.now(),
            is_asymmetric=is_asymmetric,
        )
    if is_asymmetric:
        return SigningKeyOut(scheme="v1a", public_key=key)
    return SigningKeyOut(scheme="v1", secret=key)


@router.post("/{endpoint_id}/test", summary="Send a test notice and say what came of it")
async def send_test_notice(
    endpoint_id: UUID, caller: Registrar, counter: AtCounter, _body: NothingIn | None = None
) -> TestOut:
    """The notice belongs to no alert and says ``test`` in its signed bytes.

    Who registered a receipt key has ten minutes to answer it with a signed receipt.
    """
    await _make_known(counter, endpoint_id)
    delivery_id, answer = await drills.send_test(
        counter.db, counter.desk, counter.channel, endpoint_id, actor=caller.subject, now=counter.now
    )
    return TestOut(delivery=delivery_id, outcome=answer.outcome.value, status=answer.status)


@router.post("/{endpoint_id}/pause", summary="Push nothing there until it is resumed")
async def pause_endpoint(
    endpoint_id: UUID, caller: Pausing, session: Tx, counter: AtCounter, _body: NothingIn | None = None
) -> PauseOut:
    """By the operator or the agency itself. What waits stays, `blocked:paused`; its clocks run on."""
    paused_at = await endpoints.pause(session, counter.desk, caller, endpoint_id, now=counter.now())
    return PauseOut(endpoint=endpoint_id, paused_at=paused_at)


@router.post("/{endpoint_id}/resume", summary="Push there again")
async def resume_endpoint(
    endpoint_id: UUID, caller: Pausing, session: Tx, counter: AtCounter, _body: NothingIn | None = None
) -> PauseOut:
    """What waited meanwhile goes out at once, the most urgent first."""
    await endpoints.resume(session, counter.desk, caller, endpoint_id, now=counter.now())
    return PauseOut(endpoint=endpoint_id, paused_at=None)


async def _make_known(counter: Counter, endpoint_id: UUID) -> None:
    """An endpoint registered a moment ago travels to us by event: give it a moment, then ask the registry."""
    until = time.monotonic() + HEARD_WITHIN_SECONDS
    while time.monotonic() < until:
        try:
            async with counter.db.reading() as session:
                await endpoints.find_usable(session, endpoint_id)
        except EndpointUnknown:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        else:
            return
    try:
        facts = await counter.registry()
    except RegistryAway as error:
        raise EndpointUnknown from error
    async with counter.db.transaction() as session:
        await directory.take_endpoint_facts(session, counter.desk, endpoint_id, facts, now=counter.now())
