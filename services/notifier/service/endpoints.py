"""Endpoints: their signing keys, pauses, and lanes."""

import base64
import os
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.db import Session, after_commit
from common.identity import Principal
from common.sealing import aead_seal
from common.telemetry import log
from notifier.domain.channel import ASYMMETRIC
from notifier.errors import EndpointUnknown, EndpointUnusable
from notifier.repository import deliveries as delivery_rows
from notifier.repository import directory, signing_keys
from notifier.repository.directory import Route
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.directory import alarms
from notifier.service.grants import key_aad

OVERLAP = timedelta(days=1)
"""How long an older key signs beside a new one (Standard Webhooks: several signatures)."""


async def find_usable(session: Session, endpoint_id: UUID) -> Route:
    """The endpoint as it is in force.

    Raises:
        EndpointUnknown: we have not heard of it (yet).
        EndpointUnusable: it was revoked.
    """
    route = await directory.find_route(session, endpoint_id)
    if route is not None:
        return route
    raise EndpointUnusable if await directory.endpoint_is_known(session, endpoint_id) else EndpointUnknown


async def issue_key(
    session: Session,
    desk: Desk,
    endpoint_id: UUID,
    *,
    actor: str,
    now: datetime,
    is_asymmetric: bool = False,
) -> str:
    """Make the endpoint's next signing key; the only time that a secret is shown.

    The one before signs beside it for ``OVERLAP``, of whichever scheme it is.

    Returns:
        ``whsec_`` and the base64 of 32 random bytes (Standard Webhooks v1), or ``whpk_`` and the base64
        of an Ed25519 public key (v1a), whose private half never leaves.
    """
    await find_usable(session, endpoint_id)
    key = os.urandom(32)
    shown = f"whsec_{base64.b64encode(key).decode()}"
    if is_asymmetric:
        public = Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
        key, shown = ASYMMETRIC + key, f"whpk_{base64.b64encode(public).decode()}"
    no = await signing_keys.next_key_no(session, endpoint_id)
    sealed = aead_seal(desk.keys.secret("vault"), key, key_aad(endpoint_id, no))
    await signing_keys.add_key(session, endpoint_id, no, sealed, now=now, older_retire_at=now + OVERLAP)
    await add_acts(session, [act("signing_key.issued", at=now, actor=actor, subject_id=endpoint_id, no=no)])
    return shown


async def pause(
    session: Session, desk: Desk, caller: Principal, endpoint_id: UUID, *, now: datetime
) -> datetime:
    """Push nothing to an endpoint until it is resumed; what waits for it waits blocked, its clocks run.

    Repeating it changes nothing. What is being sent at this moment goes on.

    Returns:
        Since when it is paused.

    Raises:
        EndpointUnknown: there is none, or it is another agency's.
        EndpointUnusable: it was revoked; the operator alone is told so.
    """
    route = await find_own(session, caller, endpoint_id)
    if await directory.pause_endpoint(session, endpoint_id, at=now):
        blocked = await delivery_rows.block_paused(session, endpoint_id, wakeups=alarms(desk, now))
        await add_acts(
            session,
            [act("endpoint.paused", at=now, actor=caller.subject, subject_id=endpoint_id, count=blocked)],
        )
        log.info("endpoint_paused", endpoint_id=str(endpoint_id), count=blocked)
        return now
    return route.paused_at or now


async def resume(
    session: Session, desk: Desk, caller: Principal, endpoint_id: UUID, *, now: datetime
) -> None:
    """End a pause; what waits for the agency goes there at once. Repeating it changes nothing.

    Raises:
        EndpointUnknown: there is none, or it is another agency's.
        EndpointUnusable: it was revoked; the operator alone is told so.
    """
    route = await find_own(session, caller, endpoint_id)
    if not await directory.resume_endpoint(session, endpoint_id):
        return
    pushed = await delivery_rows.push_to_endpoint(
        session, route.agency_id, endpoint_id, route.version, rung=route.rung, now=now
    )
    await add_acts(
        session,
        [act("endpoint.resumed", at=now, actor=caller.subject, subject_id=endpoint_id, count=len(pushed))],
    )
    log.info("endpoint_resumed", endpoint_id=str(endpoint_id), count=len(pushed))
    if pushed:
        after_commit(session, lambda: desk.lanes.wake({endpoint_id: pushed}))


async def find_own(session: Session, caller: Principal, endpoint_id: UUID) -> Route:
    """The endpoint, for the operator and for its own agency; for everybody else there is none."""
    if caller.role == "operator":
        return await find_usable(session, endpoint_id)
    route = await directory.find_route(session, endpoint_id)
    if route is None or route.agency_id != caller.agency:
        raise EndpointUnknown
    return route


async def list_lanes(session: Session) -> list[UUID]:
    """Endpoints in force: each has a lane of its own."""
    return [route.endpoint_id for route in await directory.list_routes(session)]
