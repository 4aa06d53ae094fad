"""All SQL of the register."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Table, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, col

from common.db import Session, insert_ignore
from registry.domain import agency as rules
from registry.domain.territory import Lineage
from registry.domain.territory import Territory as Node
from registry.errors import EndpointExists
from registry.models import Absence, Agency, Change, Endpoint, Mandate, Return, Seeding, Territory


def _table(model: type[SQLModel]) -> Table:
    table: Table = getattr(model, "__table__")  # noqa: B009  # SQLModel does not declare it
    return table


async def add_all(session: Session, rows: Sequence[SQLModel]) -> None:
    """Insert many rows of one kind in one statement."""
    if rows:
        await session.execute(insert(_table(type(rows[0]))), [row.model_dump() for row in rows])


# Territories ---------------------------------------------------------------------------------------


async def list_territories(session: Session) -> list[Territory]:
    """Every territory, the republic first."""
    found = await session.scalars(select(Territory).order_by(col(Territory.code)))
    return list(found)


async def list_nodes(session: Session) -> list[Node]:
    """The tree, without names."""
    found = await session.execute(select(col(Territory.code), col(Territory.kato), col(Territory.parent)))
    return [Node(*row) for row in found.all()]


async def lock_territories(session: Session, codes: Iterable[str]) -> None:
    """Let only one transaction at a time change who holds what in these territories."""
    ordered = select(col(Territory.code)).where(col(Territory.code).in_(set(codes)))
    await session.execute(ordered.order_by(col(Territory.code)).with_for_update())


async def put_territories(session: Session, rows: Sequence[Territory]) -> None:
    """Add the territories that are not there yet; parents before children."""
    for parent in (True, False):
        wanted = [row.model_dump() for row in rows if (row.parent is None) == parent]
        await insert_ignore(session, _table(Territory), wanted, ["code"])


# Agencies ------------------------------------------------------------------------------------------


async def find_agency(session: Session, agency_id: UUID) -> Agency | None:
    """The agency as it is now."""
    return await session.get(Agency, agency_id)


async def find_agency_by_code(session: Session, code: str) -> Agency | None:
    """The agency as it is now."""
    found = await session.scalars(select(Agency).where(col(Agency.code) == code))
    return found.one_or_none()


async def agencies_by_code(session: Session, codes: Iterable[str]) -> dict[str, Agency]:
    """Those of the codes that exist, locked until the end of the transaction."""
    wanted = select(Agency).where(col(Agency.code).in_(set(codes))).order_by(col(Agency.id))
    return {agency.code: agency for agency in await session.scalars(wanted.with_for_update())}


async def superiors(session: Session) -> dict[UUID, UUID]:
    """Who stands above whom."""
    found = await session.execute(
        select(col(Agency.id), col(Agency.superior_id)).where(col(Agency.superior_id).is_not(None))
    )
    return {agency_id: superior_id for agency_id, superior_id in found.all() if superior_id is not None}


async def mandates_of(session: Session, agency_ids: Iterable[UUID]) -> dict[UUID, list[Mandate]]:
    """The mandates of each, in a stable order."""
    ids = set(agency_ids)
    found: dict[UUID, list[Mandate]] = {agency_id: [] for agency_id in ids}
    rows = await session.scalars(
        select(Mandate)
        .where(col(Mandate.agency_id).in_(ids))
        .order_by(col(Mandate.role), col(Mandate.territory), col(Mandate.valid_from))
    )
    for row in rows:
        found[row.agency_id].append(row)
    return found


async def mandates_in(session: Session, roles: Iterable[str], territories: Iterable[str]) -> list[Mandate]:
    """Every mandate for one of these roles in one of these territories."""
    found = await session.scalars(
        select(Mandate).where(col(Mandate.role).in_(set(roles)), col(Mandate.territory).in_(set(territories)))
    )
    return list(found)


async def replace_mandates(session: Session, agency_id: UUID, mandates: Sequence[Mandate]) -> None:
    """The agency holds these, and no others, from now on."""
    await session.execute(delete(Mandate).where(col(Mandate.agency_id) == agency_id))
    await add_all(session, mandates)


async def update_agency(session: Session, agency_id: UUID, *, replaces: int, **values: Any) -> bool:
    """Write the next version; ``False`` when somebody else wrote it first."""
    result = await session.execute(
        update(Agency)
        .where(col(Agency.id) == agency_id, col(Agency.version) == replaces)
        .values(version=replaces + 1, **values)
        .returning(col(Agency.id))
    )
    return result.first() is not None


async def list_agencies(
    session: Session,
    *,
    at: datetime,
    role: str | None,
    territories: Lineage | None,
    after: str | None,
    without: UUID | None,
    limit: int,
) -> list[Agency]:
    """Agencies not retired at ``at`` that then hold the role in one of the territories, by code."""
    wanted = select(Agency).where(or_(col(Agency.retired_at).is_(None), col(Agency.retired_at) > at))
    if role is not None or territories is not None:
        holds: list[ColumnElement[bool]] = [
            col(Mandate.agency_id) == col(Agency.id),
            col(Mandate.valid_from) <= at,
            or_(col(Mandate.valid_until).is_(None), col(Mandate.valid_until) > at),
        ]
        if role is not None:
            holds.append(col(Mandate.role) == role)
        if territories is not None:
            holds.append(col(Mandate.territory).in_(territories))
        wanted = wanted.where(exists().where(*holds))
    if after is not None:
        wanted = wanted.where(col(Agency.code) > after)
    if without is not None:
        wanted = wanted.where(col(Agency.id) != without)
    return list(await session.scalars(wanted.order_by(col(Agency.code)).limit(limit)))


# Absences ------------------------------------------------------------------------------------------


async def absences_in(session: Session, roles: Iterable[str], territories: Iterable[str]) -> list[Absence]:
    """Every absence of one of these roles in one of these territories."""
    found = await session.scalars(
        select(Absence).where(col(Absence.role).in_(set(roles)), col(Absence.territory).in_(set(territories)))
    )
    return list(found)


async def add_absence(session: Session, absence: Absence) -> None:
    """Add the absence; its territory is locked, so nobody else adds the same."""
    session.add(absence)
    await session.flush()


async def find_absence(session: Session, role: str, territory: str, valid_from: datetime) -> Absence | None:
    """The absence that began then, locked until the end of the transaction."""
    found = await session.scalars(
        select(Absence)
        .where(
            col(Absence.role) == role,
            col(Absence.territory) == territory,
            col(Absence.valid_from) == valid_from,
        )
        .with_for_update()
    )
    return found.one_or_none()


async def list_absences(session: Session, *, after: UUID | None, limit: int) -> list[Absence]:
    """Absences by id."""
    wanted = select(Absence).order_by(col(Absence.id)).limit(limit)
    return list(await session.scalars(wanted.where(col(Absence.id) > after) if after else wanted))


# Endpoints -----------------------------------------------------------------------------------------


async def save_endpoint(session: Session, endpoint: Endpoint) -> None:
    """Write the endpoint; the unique index decides whether the address is taken.

    Raises:
        EndpointExists: the agency has this address already.
    """
    session.add(endpoint)
    try:
        await session.flush()
    except IntegrityError as error:
        raise EndpointExists(pointer="#/url") from error


async def find_endpoint(session: Session, endpoint_id: UUID) -> Endpoint | None:
    """The endpoint as it is now, locked until the end of the transaction."""
    return await session.get(Endpoint, endpoint_id, with_for_update=True)


async def find_live_endpoint(session: Session, agency_id: UUID, url: str) -> Endpoint | None:
    """The agency's live endpoint with this address."""
    found = await session.scalars(
        select(Endpoint).where(
            col(Endpoint.agency_id) == agency_id,
            col(Endpoint.url) == url,
            col(Endpoint.revoked_at).is_(None),
        )
    )
    return found.one_or_none()


async def list_endpoints(
    session: Session, *, agency_id: UUID | None, after: UUID | None, limit: int
) -> list[Endpoint]:
    """Endpoints by id, revoked ones too."""
    wanted = select(Endpoint).order_by(col(Endpoint.id)).limit(limit)
    if agency_id is not None:
        wanted = wanted.where(col(Endpoint.agency_id) == agency_id)
    if after is not None:
        wanted = wanted.where(col(Endpoint.id) > after)
    return list(await session.scalars(wanted))


async def has_live_endpoint(session: Session, agency_id: UUID) -> bool:
    """Whether the agency can still be pushed to."""
    live = exists().where(col(Endpoint.agency_id) == agency_id, col(Endpoint.revoked_at).is_(None))
    return bool(await session.scalar(select(live)))


# Returns -------------------------------------------------------------------------------------------


async def add_return(session: Session, row: Return) -> bool:
    """Keep a return; the unique key decides: ``False`` when one is there for this period."""
    unique = ["agency_id", "duty", "period"]
    return await insert_ignore(session, _table(Return), [row.model_dump()], unique) == 1


async def find_return(session: Session, agency_id: UUID, duty: str, period: str) -> Return | None:
    """What the agency handed in for this period."""
    found = await session.scalars(
        select(Return).where(
            col(Return.agency_id) == agency_id, col(Return.duty) == duty, col(Return.period) == period
        )
    )
    return found.one_or_none()


async def list_returns(
    session: Session, *, agency_id: UUID | None, after: UUID | None, limit: int
) -> list[Return]:
    """Returns by id."""
    wanted = select(Return).order_by(col(Return.id)).limit(limit)
    if agency_id is not None:
        wanted = wanted.where(col(Return.agency_id) == agency_id)
    if after is not None:
        wanted = wanted.where(col(Return.id) > after)
    return list(await session.scalars(wanted))


# Changes -------------------------------------------------------------------------------------------


async def list_current_changes(
    session: Session, *, after: tuple[str, UUID] | None, limit: int
) -> list[Change]:
    """The latest change of each kind of each thing, by kind and thing."""
    latest = (
        select(col(Change.subject), col(Change.type), func.max(col(Change.version)).label("version"))
        .group_by(col(Change.subject), col(Change.type))
        .subquery()
    )
    wanted = (
        select(Change)
        .join(
            latest,
            (latest.c.subject == col(Change.subject)) & (latest.c.version == col(Change.version)),
        )
        .order_by(col(Change.type), col(Change.subject))
        .limit(limit)
    )
    if after is not None:
        kind, subject = after
        wanted = wanted.where(
            or_(col(Change.type) > kind, (col(Change.type) == kind) & (col(Change.subject) > subject))
        )
    return list(await session.scalars(wanted))


async def mark_seeding(session: Session, digest: str, *, now: datetime) -> bool:
    """Claim the loading of these files; ``False`` when they were loaded before."""
    row = {"digest": digest, "loaded_at": now}
    return await insert_ignore(session, _table(Seeding), [row], ["digest"]) == 1


def as_rules(mandates: Iterable[Mandate]) -> list[rules.Mandate]:
    """Rows as the pure rules know them."""
    return [
        rules.Mandate(
            m.agency_id, m.role, m.territory, rules.Interval(m.valid_from, m.valid_until), m.is_primary
        )
        for m in mandates
    ]
