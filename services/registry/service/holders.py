"""Finding who holds a role, and listing who might."""

from dataclasses import dataclass
from datetime import datetime

from common.db import Session
from registry import repository
from registry.domain.agency import STAND_INS, Absence, Holder, Interval, resolve
from registry.domain.territory import Lineage, Tree
from registry.service.agencies import Registered, with_mandates


@dataclass(frozen=True)
class Listing:
    """A page of agencies.

    Attributes:
        holder: who would be told; ``None`` also when nobody would.
        is_resolved: a role and a territory were given, so that a holder was looked for.
        next: code after which the next page begins.
    """

    items: list[Registered]
    holder: Holder | None
    is_resolved: bool
    next: str | None


async def resolve_holder(session: Session, role: str, territory: str, *, at: datetime) -> Holder | None:
    """Who is told, when the holder of ``role`` in ``territory`` must be told at ``at``.

    Raises:
        TerritoryUnknown: not in the register.
    """
    return await _resolve(session, role, await _lineage(session, territory), at)


async def list_agencies(
    session: Session,
    *,
    at: datetime,
    role: str | None,
    territory: str | None,
    after: str | None,
    limit: int,
) -> Listing:
    """Agencies in force at ``at``, by code; the resolved holder before all others.

    A role with a territory asks upward: whoever holds the role there or above. A territory alone asks
    for that place only.

    Raises:
        TerritoryUnknown: not in the register.
    """
    lineage = None if territory is None else await _lineage(session, territory)
    holder = None
    if role is not None and lineage is not None:
        holder = await _resolve(session, role, lineage, at)
    places = lineage if role is not None or lineage is None else lineage[:1]
    found = await repository.list_agencies(
        session,
        at=at,
        role=role,
        territories=places,
        after=after,
        without=holder.agency_id if holder else None,
        limit=limit + 1,
    )
    page = found[:limit]
    following = page[-1].code if len(found) > limit else None
    if holder is not None and after is None:
        first = await repository.find_agency(session, holder.agency_id)
        page = [first, *page] if first else page
    return Listing(
        await with_mandates(session, page), holder, role is not None and lineage is not None, following
    )


async def _lineage(session: Session, territory: str) -> Lineage:
    return Tree(await repository.list_nodes(session)).lineage(territory)


async def _resolve(session: Session, role: str, lineage: Lineage, at: datetime) -> Holder | None:
    acting = {role, STAND_INS.get(role, role)}
    mandates = repository.as_rules(await repository.mandates_in(session, acting, lineage))
    absences = [
        Absence(a.role, a.territory, Interval(a.valid_from, a.valid_until))
        for a in await repository.absences_in(session, [role], lineage)
    ]
    return resolve(role, lineage, at, mandates, absences)
