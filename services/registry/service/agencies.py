"""Registering agencies, and finding who holds a role."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.contracts import Event
from common.contracts import registry as events
from common.db import Session
from common.ids import new_id
from common.timing import Now
from registry import repository
from registry.domain.agency import (
    AgencyDraft,
    Interval,
    have_rivals,
    is_rival,
)
from registry.domain.agency import Mandate as RuleMandate
from registry.domain.role import Roles
from registry.domain.territory import Tree
from registry.errors import (
    AgencyExists,
    AgencyRetired,
    AgencyUnknown,
    EndpointsLive,
    MandateTwice,
    PrimaryTaken,
    SuccessorUnknown,
    SuperiorCircular,
    SuperiorUnknown,
    VersionOutdated,
)
from registry.models import Agency, Mandate
from registry.service.changes import record_changes


class Effect(StrEnum):
    """What a registration did."""

    CREATED = "created"
    CHANGED = "changed"
    NONE = "none"


@dataclass(frozen=True)
class Registered:
    """An agency as it is now, its mandates, and what the registration did."""

    agency: Agency
    mandates: list[Mandate]
    effect: Effect = Effect.NONE


async def register_agencies(
    session: Session, drafts: Sequence[AgencyDraft], *, roles: Roles, by: str, now: Now
) -> list[Registered]:
    """Register agencies, new or anew: all or none, told to the others in the same transaction.

    A draft equal to what is registered changes nothing. Each draft has another code; its superior may
    be another draft. ``by`` is the subject of the token.

    Raises:
        RoleUnknown, RoleNotRouted, TerritoryUnknown, MandateTwice: a mandate cannot be held.
        SuperiorUnknown, SuperiorCircular: the agency above is none.
        AgencyExists, VersionOutdated, AgencyRetired: the draft is not the next version.
        PrimaryTaken: two agencies would be primary at the same time.
    """
    tree = Tree(await repository.list_nodes(session))
    wanted = [m for draft in drafts for m in draft.mandates]
    codes_of_places = {m.territory: tree.lineage(m.territory)[0] for m in wanted}
    await repository.lock_territories(session, codes_of_places.values())
    rivals = await repository.mandates_in(session, {m.role for m in wanted}, codes_of_places.values())
    places = _Places(codes_of_places, roles, repository.as_rules(rivals))
    codes = {draft.code for draft in drafts} | {draft.superior for draft in drafts if draft.superior}
    known = await repository.agencies_by_code(session, codes)
    held = await repository.mandates_of(session, [agency.id for agency in known.values()])
    ids = {code: agency.id for code, agency in known.items()} | {
        draft.code: draft.id or new_id() for draft in drafts if draft.code not in known
    }
    outcome: list[Registered] = []
    for draft in drafts:
        superior = _superior(draft, ids)
        agency = known.get(draft.code)
        before = held[agency.id] if agency else []
        mandates = _mandates(draft, ids[draft.code], places, before, now=now())
        if agency is None:
            outcome.append(_create(draft, ids[draft.code], superior, mandates, now=now))
        elif _is_same(agency, before, draft, superior, mandates):
            outcome.append(Registered(agency, before))
        else:
            outcome.append(await _change(session, agency, draft, superior, mandates))
    created = [done for done in outcome if done.effect is Effect.CREATED]
    await repository.add_all(session, [done.agency for done in created])
    await repository.add_all(session, [m for done in created for m in done.mandates])
    altered = [done for done in outcome if done.effect is not Effect.NONE]
    await _check_superiors(session, altered)
    await _check_primaries(session, altered)
    await record_changes(
        session,
        [(done.agency.id, done.agency.version, _registered(done)) for done in altered],
        by=by,
        now=now,
    )
    return outcome


async def retire_agency(
    session: Session, agency_id: UUID, *, at: datetime, by: str, now: Now, successor: str | None = None
) -> Registered:
    """End every mandate of the agency at ``at``; repeating it changes nothing.

    Raises:
        AgencyUnknown: no such agency.
        SuccessorUnknown: none that could take its place.
        EndpointsLive: it can still be pushed to; revoke that first.
    """
    agency = await repository.find_agency(session, agency_id)
    if agency is None:
        raise AgencyUnknown
    mandates = (await repository.mandates_of(session, [agency_id]))[agency_id]
    if agency.retired_at is not None:
        return Registered(agency, mandates)
    if await repository.has_live_endpoint(session, agency_id):
        raise EndpointsLive
    heir = None
    if successor is not None:
        heir = await find_agency(session, successor)
        if heir is None or heir.id == agency_id or heir.retired_at is not None:
            raise SuccessorUnknown(pointer="#/successor")
    ended = [_until(mandate, at) for mandate in mandates if mandate.valid_from < at]
    heir_id = None if heir is None else heir.id
    if not await repository.update_agency(
        session, agency_id, replaces=agency.version, retired_at=at, successor_id=heir_id
    ):
        raise VersionOutdated
    await session.refresh(agency)
    await repository.replace_mandates(session, agency_id, ended)
    event: Event = events.AgencyRetired(
        agency_id=agency_id, version=agency.version, retired_at=at, successor_id=heir_id
    )
    await record_changes(session, [(agency_id, agency.version, event)], by=by, now=now)
    return Registered(agency, ended, Effect.CHANGED)


async def get_agency(session: Session, reference: str) -> Registered:
    """The agency with this id or code.

    Raises:
        AgencyUnknown: none.
    """
    agency = await find_agency(session, reference)
    if agency is None:
        raise AgencyUnknown
    return (await with_mandates(session, [agency]))[0]


async def find_agency(session: Session, reference: str) -> Agency | None:
    """The agency with this id or code, if any."""
    try:
        return await repository.find_agency(session, UUID(reference))
    except ValueError:
        return await repository.find_agency_by_code(session, reference)


async def with_mandates(session: Session, agencies: Sequence[Agency]) -> list[Registered]:
    """The agencies, each with what it holds."""
    held = await repository.mandates_of(session, [agency.id for agency in agencies])
    return [Registered(agency, held[agency.id]) for agency in agencies]


def _superior(draft: AgencyDraft, ids: dict[str, UUID]) -> UUID | None:
    if draft.superior is None:
        return None
    if draft.superior not in ids:
        raise SuperiorUnknown(pointer="#/superior")
    return ids[draft.superior]


@dataclass(frozen=True)
class _Places:
    """What mandates are checked against: where they may lie, who else is there, what the agency holds."""

    codes: dict[str, str]
    roles: Roles
    rivals: list[RuleMandate]


def _mandates(
    draft: AgencyDraft, agency_id: UUID, places: _Places, held: Iterable[Mandate], *, now: datetime
) -> list[Mandate]:
    before = {(m.role, m.territory): m for m in held}
    made: dict[tuple[str, str, datetime], Mandate] = {}
    for mandate in draft.mandates:
        role, place = mandate.role, places.codes[mandate.territory]
        same = before.get((role, place))
        valid_from = mandate.valid_from or (same.valid_from if same else now)
        during = Interval(valid_from, mandate.valid_until)
        primary = mandate.primary if mandate.primary is not None or same is None else same.is_primary
        if primary is None:
            claim = RuleMandate(agency_id, role, place, during)
            primary = places.roles.is_routed(role) and not any(is_rival(claim, m) for m in places.rivals)
        places.roles.check_mandate(role, is_primary=primary)
        if (role, place, valid_from) in made:
            raise MandateTwice(pointer="#/mandates")
        made[role, place, valid_from] = Mandate(
            agency_id=agency_id,
            role=role,
            territory=place,
            valid_from=valid_from,
            valid_until=mandate.valid_until,
            is_primary=primary,
        )
    return [made[key] for key in sorted(made)]


def _until(mandate: Mandate, at: datetime) -> Mandate:
    values = mandate.model_dump()
    return Mandate(**values | {"valid_until": min(mandate.valid_until or at, at)})


def _create(
    draft: AgencyDraft, agency_id: UUID, superior: UUID | None, mandates: list[Mandate], *, now: Now
) -> Registered:
    if draft.replaces is not None:
        raise VersionOutdated(pointer="#/replaces")
    agency = Agency(
        id=agency_id,
        code=draft.code,
        version=1,
        name_kk=draft.names.kk,
        name_ru=draft.names.ru,
        name_en=draft.names.en,
        superior_id=superior,
        registered_at=now(),
    )
    return Registered(agency, mandates, Effect.CREATED)


async def _change(
    session: Session, agency: Agency, draft: AgencyDraft, superior: UUID | None, mandates: list[Mandate]
) -> Registered:
    if agency.retired_at is not None:
        raise AgencyRetired
    if draft.replaces is None:
        raise AgencyExists(pointer="#/replaces")
    values = {
        "name_kk": draft.names.kk,
        "name_ru": draft.names.ru,
        "name_en": draft.names.en,
        "superior_id": superior,
    }
    if not await repository.update_agency(session, agency.id, replaces=draft.replaces, **values):
        raise VersionOutdated(pointer="#/replaces")
    await session.refresh(agency)
    await repository.replace_mandates(session, agency.id, mandates)
    return Registered(agency, mandates, Effect.CHANGED)


def _is_same(
    agency: Agency,
    held: Iterable[Mandate],
    draft: AgencyDraft,
    superior: UUID | None,
    mandates: Iterable[Mandate],
) -> bool:
    return (
        (agency.name_kk, agency.name_ru, agency.name_en) == (draft.names.kk, draft.names.ru, draft.names.en)
        and agency.superior_id == superior
        and [m.model_dump() for m in held] == [m.model_dump() for m in mandates]
    )


async def _check_superiors(session: Session, altered: Iterable[Registered]) -> None:
    below = [done.agency for done in altered if done.agency.superior_id is not None]
    superiors = await repository.superiors(session) if below else {}
    for agency in below:
        seen, above = {agency.id}, agency.superior_id
        while above is not None:
            if above in seen:
                raise SuperiorCircular(pointer="#/superior")
            seen.add(above)
            above = superiors.get(above)


async def _check_primaries(session: Session, altered: Iterable[Registered]) -> None:
    primary = [m for done in altered for m in done.mandates if m.is_primary]
    rivals = await repository.mandates_in(session, {m.role for m in primary}, {m.territory for m in primary})
    if have_rivals(repository.as_rules(rivals)):
        raise PrimaryTaken(pointer="#/mandates")


def _registered(done: Registered) -> Event:
    agency = done.agency
    return events.AgencyRegistered(
        agency_id=agency.id,
        version=agency.version,
        code=agency.code,
        name_kk=agency.name_kk,
        name_ru=agency.name_ru,
        name_en=agency.name_en,
        superior_id=agency.superior_id,
        mandates=tuple(
            events.Mandate(
                role=m.role,
                territory=m.territory,
                valid_from=m.valid_from,
                valid_until=m.valid_until,
                primary=m.is_primary,
            )
            for m in done.mandates
        ),
    )
