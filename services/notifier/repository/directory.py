"""The copy of the registry: who holds what, and where to send. Nothing here is cached on the send path."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, and_, delete, func, nulls_last, or_, select, update

from common.bulk import insert_rows
from common.db import Session, insert_ignore
from notifier.domain.resolution import Absence, Directory, Holding
from notifier.domain.roster import is_passed_over
from notifier.domain.territory import chain
from notifier.models import absences, agencies, endpoint_versions, endpoints, mandates
from notifier.repository.signing_keys import list_keys
from notifier.repository.turns import share_routes, take_routes


@dataclass(frozen=True, slots=True)
class Route:
    """Where an agency's notices go: its endpoint as it is in force."""

    agency_id: UUID
    endpoint_id: UUID
    version: int
    url: str = field(repr=False)
    concurrency: int
    receipt_key: str | None
    kind: str
    rung: int = 0
    hours: Mapping[str, Any] | None = None
    paused_at: datetime | None = None
    sealed_keys: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)


async def find_directory(session: Session, territory: str) -> Directory:
    """Every holding and absence that can matter for this territory."""
    levels = chain(territory)
    held = await session.execute(
        select(
            mandates.c.agency_id,
            mandates.c.role,
            mandates.c.territory,
            mandates.c.valid_from,
            mandates.c.valid_until,
            mandates.c.is_primary,
            agencies.c.retired_at,
        )
        .join(agencies, agencies.c.id == mandates.c.agency_id)
        .where(mandates.c.territory.in_(levels))
    )
    missing = await session.execute(
        select(absences.c.role, absences.c.territory, absences.c.valid_from, absences.c.valid_until).where(
            absences.c.territory.in_(levels)
        )
    )
    return Directory(
        tuple(
            Holding(row[0], row[1], row[2], row[3], _earlier(row[4], row[6]), is_primary=row[5])
            for row in held.all()
        ),
        tuple(Absence(*row) for row in missing.all()),
    )


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


_ROUTE = (
    endpoints.c.agency_id,
    endpoints.c.id,
    endpoints.c.version,
    endpoint_versions.c.url,
    endpoint_versions.c.concurrency,
    endpoint_versions.c.receipt_key,
    endpoint_versions.c.kind,
    endpoint_versions.c.rung,
    endpoint_versions.c.hours,
    endpoints.c.paused_at,
)


def _routes() -> Any:
    return (
        select(*_ROUTE)
        .join(
            endpoint_versions,
            and_(
                endpoint_versions.c.endpoint_id == endpoints.c.id,
                endpoint_versions.c.agency_id == endpoints.c.agency_id,
                endpoint_versions.c.version == endpoints.c.version,
            ),
        )
        .where(endpoints.c.revoked_at.is_(None))
    )


def best_first() -> tuple[Any, ...]:
    """How endpoints of one agency on one rung are put in order; whoever chooses takes the first.

    One that is not paused before one that is, then the one whose version in force we heard of last: what
    an agency registered or changed last is where it wants to be told. Ids are random and say nothing.
    """
    return (
        endpoints.c.paused_at.is_not(None),
        nulls_last(endpoint_versions.c.taken_at.desc()),
        endpoints.c.id,
    )


async def find_routes(session: Session, agency_ids: Iterable[UUID], *, now: datetime) -> Mapping[UUID, Route]:
    """The first way of each of these agencies, if any, with its keys; none is revoked until we have ended."""
    wanted = list(agency_ids)
    if not wanted:
        return {}
    await share_routes(session)
    result = await session.execute(
        _routes()
        .where(endpoints.c.agency_id.in_(wanted), endpoint_versions.c.rung == 0)
        .order_by(*best_first())
    )
    found: dict[UUID, Route] = {}
    for row in result.all():
        found.setdefault(row[0], Route(*row))
    keys = await list_keys(session, [route.endpoint_id for route in found.values()], now=now)
    return {
        agency: replace(route, sealed_keys=tuple(keys.get(route.endpoint_id, ())))
        for agency, route in found.items()
    }


async def find_further_routes(
    session: Session, agency_ids: Iterable[UUID], *, now: datetime
) -> Mapping[UUID, Sequence[Route]]:
    """The further ways of each of these agencies with their keys, by rung, the best of a rung first.

    None is revoked meanwhile.
    """
    wanted = list(agency_ids)
    if not wanted:
        return {}
    await share_routes(session)
    result = await session.execute(
        _routes()
        .where(endpoints.c.agency_id.in_(wanted), endpoint_versions.c.rung > 0)
        .order_by(endpoint_versions.c.rung, *best_first())
    )
    routes = [Route(*row) for row in result.all()]
    keys = await list_keys(session, [route.endpoint_id for route in routes], now=now)
    found: dict[UUID, list[Route]] = {}
    for route in routes:
        keyed = replace(route, sealed_keys=tuple(keys.get(route.endpoint_id, ())))
        found.setdefault(route.agency_id, []).append(keyed)
    return found


@dataclass(frozen=True, slots=True)
class Superior:
    """The body above an agency, and a role that it holds."""

    agency_id: UUID
    role: str | None


async def find_superiors(
    session: Session, agency_ids: Iterable[UUID], *, now: datetime
) -> Mapping[UUID, Superior]:
    """Who stands above these agencies, unless it is retired; not everybody has a superior."""
    above = agencies.alias("above")
    result = await session.execute(
        select(agencies.c.id, above.c.id, mandates.c.role)
        .join(above, above.c.id == agencies.c.superior_id)
        .outerjoin(mandates, and_(mandates.c.agency_id == above.c.id, mandates.c.place == 0))
        .where(
            agencies.c.id.in_(list(agency_ids)),
            or_(above.c.retired_at.is_(None), above.c.retired_at > now),
        )
    )
    return {row[0]: Superior(row[1], row[2]) for row in result.all()}


async def list_first_roles(session: Session, agency_ids: Iterable[UUID]) -> Mapping[UUID, str]:
    """The first role in the register of each of these agencies, whatever its dates."""
    result = await session.execute(
        select(mandates.c.agency_id, mandates.c.role).where(
            mandates.c.agency_id.in_(list(agency_ids)), mandates.c.place == 0
        )
    )
    return {row[0]: row[1] for row in result.all()}


async def list_routes(session: Session) -> Sequence[Route]:
    """Every endpoint in force, one lane each; by rung, the best of a rung first."""
    query = _routes().order_by(endpoint_versions.c.rung, *best_first())
    return [Route(*row) for row in (await session.execute(query)).all()]


async def find_route(session: Session, endpoint_id: UUID) -> Route | None:
    """One endpoint in force."""
    row = (await session.execute(_routes().where(endpoints.c.id == endpoint_id))).first()
    return Route(*row) if row else None


async def find_sibling(session: Session, endpoint_id: UUID, *, now: datetime) -> Route | None:
    """Another endpoint in force of the same agency and on the same rung: the one that would be chosen now.

    A further rung keeps its turn: what it has to say is said by a delivery of its own.
    """
    agency, rung = _agency_of(endpoint_id), _rung_of(endpoint_id)
    query = _routes().where(
        endpoints.c.agency_id == agency,
        endpoints.c.id != endpoint_id,
        endpoint_versions.c.rung == func.coalesce(rung, 0),
    )
    routes = [Route(*row) for row in (await session.execute(query.order_by(*best_first()))).all()]
    # The order of the query stays among equals.
    return min(routes, key=lambda one: is_passed_over(one.rung, one.hours, now), default=None)


def _agency_of(endpoint_id: UUID) -> Any:
    return select(endpoints.c.agency_id).where(endpoints.c.id == endpoint_id).scalar_subquery()


def _rung_of(endpoint_id: UUID) -> Any:
    """As its newest version says."""
    return (
        select(endpoint_versions.c.rung)
        .where(endpoint_versions.c.endpoint_id == endpoint_id)
        .order_by(endpoint_versions.c.version.desc())
        .limit(1)
        .scalar_subquery()
    )


async def endpoint_is_known(session: Session, endpoint_id: UUID) -> bool:
    """Whether there is or was such an endpoint."""
    found = await session.execute(select(endpoints.c.id).where(endpoints.c.id == endpoint_id))
    return found.first() is not None


async def has_agencies(session: Session) -> bool:
    """Whether the copy holds anything."""
    return (await session.execute(select(agencies.c.id).limit(1))).first() is not None


async def save_agency(
    session: Session, row: Mapping[str, Any], holdings: Sequence[Mapping[str, Any]]
) -> bool:
    """Take an agency's version; ``False`` when we know that one or a later one."""
    if not await _save_newer(session, agencies, row):
        return False
    await session.execute(delete(mandates).where(mandates.c.agency_id == row["id"]))
    await insert_rows(session, mandates, holdings)
    return True


async def retire_agency(
    session: Session,
    agency_id: UUID,
    version: int,
    retired_at: datetime,
    *,
    successor_id: UUID | None,
    look_at: datetime,
) -> bool:
    """End every role of the agency, known so far or not; ``False`` when this version was heard of."""
    values = {"version": version, "retired_at": retired_at, "successor_id": successor_id, "look_at": look_at}
    unknown = {"code": str(agency_id), "name_kk": "", "name_ru": "", "name_en": "", "superior_id": None}
    if await insert_ignore(session, agencies, [{"id": agency_id, **unknown, **values}], ["id"]):
        return True
    result = await session.execute(
        update(agencies)
        .where(agencies.c.id == agency_id, agencies.c.version < version)
        .values(**values)
        .returning(agencies.c.id)
    )
    return result.first() is not None


async def save_absence(session: Session, row: Mapping[str, Any]) -> bool:
    """Take a declared absence; ``False`` when that version or a later one is known."""
    return await _save_newer(session, absences, row)


async def save_endpoint(session: Session, row: Mapping[str, Any]) -> bool:
    """Take an endpoint's version; an older one is kept for the record and not put into force."""
    key = {"id": row["endpoint_id"], "agency_id": row["agency_id"], "version": row["version"]}
    await insert_ignore(session, endpoint_versions, [row], ["agency_id", "endpoint_id", "version"])
    if await insert_ignore(session, endpoints, [{**key, "revoked_at": None}], ["id"]):
        return True
    result = await session.execute(
        update(endpoints)
        .where(
            endpoints.c.id == key["id"],
            endpoints.c.agency_id == key["agency_id"],
            endpoints.c.version < key["version"],
            # What was revoked stays revoked: a new endpoint gets a new id.
            endpoints.c.revoked_at.is_(None),
        )
        .values(version=key["version"])
        .returning(endpoints.c.id)
    )
    return result.first() is not None


async def revoke_endpoint(
    session: Session, endpoint_id: UUID, *, at: datetime, agency_id: UUID | None = None
) -> bool:
    """Make an endpoint unusable from this transaction on; ``False`` when it already was, or is not known.

    It is final, in whatever order versions arrive; one before its endpoint is kept if the agency is given.
    """
    await take_routes(session)
    if agency_id is not None:
        row = {"id": endpoint_id, "agency_id": agency_id, "version": 0, "revoked_at": at}
        if await insert_ignore(session, endpoints, [row], ["id"]):
            return True
    result = await session.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.revoked_at.is_(None))
        .values(revoked_at=at)
        .returning(endpoints.c.id)
    )
    return result.first() is not None


async def pause_endpoint(session: Session, endpoint_id: UUID, *, at: datetime) -> bool:
    """Pause an endpoint in force; ``False`` when it was paused before."""
    result = await session.execute(
        update(endpoints)
        .where(
            endpoints.c.id == endpoint_id, endpoints.c.revoked_at.is_(None), endpoints.c.paused_at.is_(None)
        )
        .values(paused_at=at)
        .returning(endpoints.c.id)
    )
    return result.first() is not None


async def resume_endpoint(session: Session, endpoint_id: UUID) -> bool:
    """End a pause; ``False`` when there was none."""
    result = await session.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.paused_at.is_not(None))
        .values(paused_at=None)
        .returning(endpoints.c.id)
    )
    return result.first() is not None


async def list_versions(session: Session) -> dict[UUID, int]:
    """Agencies and absences, each with its version."""
    found: dict[UUID, int] = {}
    for table in (agencies, absences):
        found |= {row[0]: row[1] for row in await session.execute(select(table.c.id, table.c.version))}
    return found


async def forget_directory(session: Session, *, but: Collection[UUID]) -> None:
    """Empty what a snapshot replaces. Endpoint versions stay: deliveries refer to them.

    Args:
        but: agencies and absences that stay.
    """
    for of in (mandates.c.agency_id, agencies.c.id, absences.c.id):
        await session.execute(delete(of.table).where(of.not_in(list(but))))


async def list_endpoint_ids(session: Session) -> set[UUID]:
    """Endpoints that are not revoked."""
    return set((await session.scalars(select(endpoints.c.id).where(endpoints.c.revoked_at.is_(None)))).all())


async def _save_newer(session: Session, table: Table, row: Mapping[str, Any]) -> bool:
    if await insert_ignore(session, table, [row], ["id"]):
        return True
    result = await session.execute(
        update(table)
        .where(table.c.id == row["id"], table.c.version < row["version"])
        .values({name: value for name, value in row.items() if name != "id"})
        .returning(table.c.id)
    )
    return result.first() is not None
