"""Keeps our own copy of the registry, and lets what waited for a holder or an endpoint go its way."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.contracts import Event
from common.contracts.registry import (
    AgencyRegistered,
    AgencyRetired,
    BodyDeclaredAbsent,
    EndpointRegistered,
    EndpointRevoked,
)
from common.db import Session, after_commit
from common.telemetry import log
from notifier.domain.schedule import ORDER, next_alarm
from notifier.repository import deliveries as delivery_rows
from notifier.repository import directory
from notifier.repository.periods import look_again
from notifier.repository.records import act, add_acts
from notifier.repository.successions import look_now
from notifier.service.addresses import stored_address
from notifier.service.desk import Desk
from notifier.service.routing import route_all

NOBODY = UUID(int=0)
"""Agency of an endpoint that was revoked before we heard of it."""


async def take_agency(session: Session, desk: Desk, event: AgencyRegistered, *, now: datetime) -> None:
    """Take an agency's version, unless a later one is known."""
    row = {
        "id": event.agency_id,
        "version": event.version,
        "code": event.code,
        "name_kk": event.name_kk,
        "name_ru": event.name_ru,
        "name_en": event.name_en,
        "superior_id": event.superior_id,
        "retired_at": None,
        "successor_id": None,
        "look_at": None,
    }
    holdings = [
        {
            "agency_id": event.agency_id,
            "place": place,
            "role": mandate.role,
            "territory": mandate.territory,
            "valid_from": mandate.valid_from,
            "valid_until": mandate.valid_until,
            "is_primary": mandate.primary,
        }
        for place, mandate in enumerate(event.mandates)
    ]
    if await directory.save_agency(session, row, holdings):
        await look_again(session, event.agency_id, now=now)
        await look_now(session, now=now)
        await route_all(session, desk, now=now)


async def retire_agency(session: Session, event: AgencyRetired, *, now: datetime) -> None:
    """End an agency's roles, unless a later version is known."""
    if await directory.retire_agency(
        session,
        event.agency_id,
        event.version,
        event.retired_at,
        successor_id=event.successor_id,
        look_at=max(event.retired_at, now),
    ):
        await look_again(session, event.agency_id, now=now)


async def take_absence(session: Session, desk: Desk, event: BodyDeclaredAbsent, *, now: datetime) -> None:
    """Take a declared absence; a stand-in may answer now for what had no holder."""
    row = {
        "id": event.absence_id,
        "version": event.version,
        "role": event.role,
        "territory": event.territory,
        "valid_from": event.valid_from,
        "valid_until": event.valid_until,
    }
    if await directory.save_absence(session, row):
        await route_all(session, desk, now=now)


async def take_endpoint(session: Session, desk: Desk, event: EndpointRegistered, *, now: datetime) -> None:
    """Put an endpoint's version into force; what waits for the agency goes there."""
    row = {
        "agency_id": event.agency_id,
        "endpoint_id": event.endpoint_id,
        "version": event.version,
        "kind": event.kind,
        "url": stored_address(event.url, event.sealed_url),
        "concurrency": event.concurrency,
        "receipt_key": event.receipt_key,
        "taken_at": now,
        "rung": event.rung,
        "hours": None if event.hours is None else event.hours.model_dump(mode="json"),
    }
    if not await directory.save_endpoint(session, row):
        return
    await delivery_rows.change_endpoint_version(session, event.agency_id, event.endpoint_id, event.version)
    route = await directory.find_route(session, event.endpoint_id)
    if route is None or route.paused_at is not None:
        return
    pushed = await delivery_rows.push_to_endpoint(
        session, event.agency_id, event.endpoint_id, event.version, rung=event.rung, now=now
    )
    if pushed:
        waiting = {event.endpoint_id: pushed}
        after_commit(session, lambda: desk.lanes.wake(waiting))


async def take_endpoint_facts(
    session: Session, desk: Desk, endpoint_id: UUID, facts: Sequence[Event], *, now: datetime
) -> None:
    """Take what the registry itself says of one endpoint and its agency, ahead of the events on their way.

    The events that come later are older or the same version and change nothing.
    """
    found = next(
        (f for f in facts if isinstance(f, EndpointRegistered) and f.endpoint_id == endpoint_id), None
    )
    if found is None:
        return
    for fact in facts:
        if isinstance(fact, AgencyRegistered) and fact.agency_id == found.agency_id:
            await take_agency(session, desk, fact, now=now)
    await take_endpoint(session, desk, found, now=now)


async def revoke_endpoint(
    session: Session, desk: Desk, endpoint_id: UUID, *, at: datetime, now: datetime, agency_id: UUID = NOBODY
) -> None:
    """Make an endpoint unusable from this transaction on and find another way for what it still had.

    What this process has claimed for it and not begun stays here. Other processes look again at what they
    claimed ``dispatch.LOOK_AGAIN_AFTER`` ago.

    Repeating it changes nothing. One that we have not heard of yet is remembered as revoked.
    """
    if not await directory.revoke_endpoint(session, endpoint_id, at=at, agency_id=agency_id):
        return
    moved = await leave_endpoint(session, desk, endpoint_id, now=now)
    await add_acts(session, [act("endpoint.revoked", at=now, subject_id=endpoint_id, count=moved)])
    log.info("endpoint_revoked", endpoint_id=str(endpoint_id), count=moved)


async def leave_endpoint(session: Session, desk: Desk, endpoint_id: UUID, *, now: datetime) -> int:
    """Find another way for what waits for a revoked endpoint; returns how many deliveries moved.

    Also for what was planned while the revocation was being committed.
    """
    route = await directory.find_sibling(session, endpoint_id, now=now)
    moved = await delivery_rows.take_from_endpoint(
        session, endpoint_id, to=None if route is None else (route.endpoint_id, route.version), now=now
    )
    after_commit(session, lambda: desk.lanes.drop(moved))
    return len(moved)


async def leave_unusable(session: Session, desk: Desk, endpoint_id: UUID, *, now: datetime) -> int:
    """What a worker does that claimed for an endpoint and found it revoked or paused; returns how many."""
    route = await directory.find_route(session, endpoint_id)
    if route is None:
        return await leave_endpoint(session, desk, endpoint_id, now=now)
    if route.paused_at is None:  # resumed since the claim: it is due, and goes its way
        return 0
    return await delivery_rows.block_paused(session, endpoint_id, wakeups=alarms(desk, now))


def alarms(desk: Desk, now: datetime) -> dict[int, datetime]:
    """The next alarm by stored urgency."""
    return {ORDER[urgency]: next_alarm(tier=tier, now=now) for urgency, tier in desk.tiers.items()}


async def take_revocation(session: Session, desk: Desk, event: EndpointRevoked, *, now: datetime) -> None:
    """The event of a revocation that was asked for synchronously before."""
    await revoke_endpoint(
        session, desk, event.endpoint_id, at=event.revoked_at, now=now, agency_id=event.agency_id
    )
