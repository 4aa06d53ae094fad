"""How agencies' systems are reached."""

import base64
from typing import Any
from uuid import UUID

from common.contracts import Event
from common.contracts import registry as events
from common.db import Session
from common.keys import KeyRing
from common.sealing import seal
from common.timing import Now
from registry import repository
from registry.domain.endpoint import (
    EndpointDraft,
    check_address_of,
    check_hours,
    check_receipt_key,
    is_sealed_on_its_way,
)
from registry.errors import (
    AgencyRetired,
    EndpointAgencyUnknown,
    EndpointExists,
    EndpointIsRevoked,
    EndpointOfAnother,
    EndpointUnknown,
    VersionOutdated,
)
from registry.models import Endpoint
from registry.service.agencies import Effect, find_agency
from registry.service.changes import record_changes


async def register_endpoint(
    session: Session, draft: EndpointDraft, *, keys: KeyRing, loopback: bool, by: str, now: Now
) -> tuple[Endpoint, Effect]:
    """Register an endpoint, new or anew; a draft equal to what is registered changes nothing.

    ``loopback`` says whether this machine's own addresses are allowed (embedded stack).

    Raises:
        AddressNotAllowed, ReceiptKeyUnreadable: what is given cannot be used.
        EndpointAgencyUnknown, AgencyRetired: nobody to register it for.
        EndpointUnknown, EndpointOfAnother, EndpointIsRevoked, VersionOutdated: not the next version.
        EndpointExists: the address is there already, with other values.
    """
    url = check_address_of(draft.kind, draft.url, loopback=loopback)
    check_hours(draft.hours)
    key = None if draft.receipt_key is None else check_receipt_key(draft.receipt_key)
    agency = await find_agency(session, draft.agency)
    if agency is None:
        raise EndpointAgencyUnknown(pointer="#/agency")
    if agency.retired_at is not None:
        raise AgencyRetired
    same_address = await repository.find_live_endpoint(session, agency.id, url)
    if same_address is not None and same_address.id != draft.id:
        if draft.id is None and _is_same(same_address, draft, key):
            return same_address, Effect.NONE
        raise EndpointExists(pointer="#/url")
    if draft.id is None:
        endpoint = Endpoint(
            agency_id=agency.id,
            version=1,
            kind=draft.kind,
            url=url,
            concurrency=draft.concurrency,
            receipt_key=key,
            rung=draft.rung,
            hours=_plain(draft),
            registered_at=now(),
        )
        effect = Effect.CREATED
    else:
        endpoint = await get_endpoint(session, draft.id)
        if endpoint.agency_id != agency.id:
            raise EndpointOfAnother(pointer="#/id")
        if endpoint.revoked_at is not None:
            raise EndpointIsRevoked(pointer="#/id")
        if _is_same(endpoint, draft, key):
            return endpoint, Effect.NONE
        if endpoint.version != draft.replaces:
            raise VersionOutdated(pointer="#/replaces")
        endpoint.version += 1
        endpoint.kind = draft.kind
        endpoint.url, endpoint.concurrency, endpoint.receipt_key = url, draft.concurrency, key
        endpoint.rung, endpoint.hours = draft.rung, _plain(draft)
        effect = Effect.CHANGED
    await repository.save_endpoint(session, endpoint)
    event: Event = events.EndpointRegistered(
        endpoint_id=endpoint.id,
        agency_id=endpoint.agency_id,
        version=endpoint.version,
        kind=endpoint.kind,
        **_address(endpoint, keys),
        concurrency=endpoint.concurrency,
        receipt_key=endpoint.receipt_key,
        rung=endpoint.rung,
        hours=None
        if endpoint.hours is None
        else events.DutyHours.model_validate(endpoint.hours, strict=False),
    )
    await record_changes(session, [(endpoint.id, endpoint.version, event)], by=by, now=now)
    return endpoint, effect


async def revoke_endpoint(session: Session, endpoint_id: UUID, *, by: str, now: Now) -> Endpoint:
    """Store that the endpoint is revoked; repeating it changes nothing.

    The sender must have stopped before: an event alone could come late.

    Raises:
        EndpointUnknown: no such endpoint.
    """
    endpoint = await get_endpoint(session, endpoint_id)
    if endpoint.revoked_at is not None:
        return endpoint
    endpoint.version += 1
    endpoint.revoked_at = now()
    event: Event = events.EndpointRevoked(
        endpoint_id=endpoint.id,
        agency_id=endpoint.agency_id,
        version=endpoint.version,
        revoked_at=endpoint.revoked_at,
    )
    await record_changes(session, [(endpoint.id, endpoint.version, event)], by=by, now=now)
    return endpoint


async def get_endpoint(session: Session, endpoint_id: UUID) -> Endpoint:
    """The endpoint as it is now.

    Raises:
        EndpointUnknown: none.
    """
    endpoint = await repository.find_endpoint(session, endpoint_id)
    if endpoint is None:
        raise EndpointUnknown
    return endpoint


def _is_same(endpoint: Endpoint, draft: EndpointDraft, key: str | None) -> bool:
    return (
        endpoint.kind,
        endpoint.url,
        endpoint.concurrency,
        endpoint.receipt_key,
        endpoint.rung,
        endpoint.hours,
    ) == (draft.kind, draft.url, draft.concurrency, key, draft.rung, _plain(draft))


def _plain(draft: EndpointDraft) -> dict[str, Any] | None:
    return None if draft.hours is None else dict(draft.hours)


def _address(endpoint: Endpoint, keys: KeyRing) -> dict[str, str]:
    """The address as it travels: a person's mailbox or telephone, or a password, is for notifier alone."""
    if not is_sealed_on_its_way(endpoint.kind):
        return {"url": endpoint.url}
    aad = b"endpoint|" + endpoint.id.bytes
    sealed = seal(keys.sealing_public("routing"), endpoint.url.encode(), aad)
    return {"sealed_url": base64.b64encode(sealed).decode()}
