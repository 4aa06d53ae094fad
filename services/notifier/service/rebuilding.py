"""Replaces our copy of the registry by what the registry says now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Known:
    """The copy as it was before the registry was asked.

    Attributes:
        endpoints: in force.
        versions: of agencies and absences.
    """

    endpoints: frozenset[UUID]
    versions: Mapping[UUID, int]


async def what_is_known(session: Session) -> Known:
    """To be asked for before the registry is, for ``rebuild``."""
    return Known(
        endpoints=frozenset(await directory_rows.list_endpoint_ids(session)),
        versions=await directory_rows.list_versions(session),
    )


async def rebuild(
    session: Session, desk: Desk, facts: Sequence[Event], *, known: Known, now: datetime
) -> int:
    """Empty the copy and take every fact in this order; endpoints not named by the registry are revoked.

    Signing keys are ours and stay. Returns how many facts were taken.

    Args:
        known: the copy before the registry was asked. What it said by events while it answered, page by
            page, it may not name, or by an older version: that stays.
    """
    told = {
        one
        for one, version in (await directory_rows.list_versions(session)).items()
        if version > known.versions.get(one, -1)
    }
    await directory_rows.forget_directory(session, but=told)
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
    for endpoint_id in known.endpoints - named:
        await directory.revoke_endpoint(session, desk, endpoint_id, at=now, now=now)
    await add_acts(session, [act("directory.rebuilt", at=now, count=len(facts))])
    return len(facts)
