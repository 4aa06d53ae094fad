"""Replaces our copy of the registry by what the registry says now."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import Event
from common.contracts.registry import (
    AgencyRegistered,
    AgencyRetired,
    BodyDeclaredAbsent,
    EndpointRegistered,
    EndpointRevoked,
)
from common.db import Session
from notifier.repository import directory as directory_rows
from notifier.repository.records import act, add_acts
from notifier.service import directory
from notifier.service.desk import Desk


async def is_empty(session: Session) -> bool:
    """Whether we know no agency at all."""
    return not await directory_rows.has_agencies(session)


async def known_endpoints(session: Session) -> set[UUID]:
    """Endpoints in force; to be asked for before the registry is, for ``rebuild``."""
    return await directory_rows.list_endpoint_ids(session)


async def rebuild(
    session: Session, desk: Desk, facts: Sequence[Event], *, known: Collection[UUID], now: datetime
) -> int:
    """Empty the copy and take every fact in this order; endpoints not named by the registry are revoked.

    Signing keys are ours and stay. Returns how many facts were taken.

    Args:
        known: endpoints in force before the registry was asked. What it registered while it answered, page
            by page, it may not name, and a revocation is final.
    """
    await directory_rows.forget_directory(session)
    named: set[UUID] = set()
    for fact in facts:
        match fact:
            case AgencyRegistered():
                await directory.take_agency(session, desk, fact, now=now)
            case AgencyRetired():
                await directory.retire_agency(session, fact, now=now)
            case BodyDeclaredAbsent():
                await directory.take_absence(session, desk, fact, now=now)
            case EndpointRegistered():
                # Of two on one rung the newer is used: heard of at once, they keep the order of the register.
                taken_at = now + timedelta(microseconds=len(named))
                named.add(fact.endpoint_id)
                await directory.take_endpoint(session, desk, fact, now=taken_at)
            case EndpointRevoked():
                named.add(fact.endpoint_id)
                await directory.take_revocation(session, desk, fact, now=now)
            case _:
                pass
    for endpoint_id in set(known) - named:
        await directory.revoke_endpoint(session, desk, endpoint_id, at=now, now=now)
    await add_acts(session, [act("directory.rebuilt", at=now, count=len(facts))])
    return len(facts)
