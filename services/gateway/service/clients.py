"""Clients, and what is taken back from them."""

from datetime import datetime
from uuid import UUID

from common.db import Session
from common.ids import new_id
from gateway import repository
from gateway.domain.identity import Access, AgencyRecord, Bearer, Role
from gateway.domain.ports import AgencyDirectory
from gateway.errors import AgencyUnknown, ClientRevoked, TokenInvalid
from gateway.models import Client


async def find_agency(directory: AgencyDirectory, reference: str) -> AgencyRecord:
    """The agency a registrar named by id or code; raises ``AgencyUnknown``. Asks registry: no transaction."""
    record = await directory.find_agency(reference)
    if record is None or not record.bodies:
        raise AgencyUnknown(pointer="#/agency")
    return record


def bearer_for(role: Role, agency: AgencyRecord | None, person: str | None = None) -> Bearer:
    """The standing of a role or an agency that a registrar makes a token or a sign-in link for."""
    who = "" if person is None else f"/{person}"
    if agency is None:
        return Bearer(f"role:{role.value}{who}", role, person=person)
    return Bearer(
        f"agency:{agency.id}{who}",
        Role.AGENCY,
        agency.id,
        agency.bodies,
        agency.territory,
        dict(agency.names),
        person,
    )


async def register_client(
    session: Session, bearer: Bearer, *, label: str, secret_hash: str, created_by: str, now: datetime
) -> Client:
    """Store a client; its secret exists nowhere but in the answer."""
    client = Client(
        id=new_id(),
        label=label,
        role=bearer.role.value,
        agency_id=bearer.agency,
        territory=bearer.territory,
        bodies=list(bearer.bodies),
        names=dict(bearer.names),
        person=bearer.person,
        secret_hash=secret_hash,
        created_at=now,
        created_by=created_by,
    )
    await repository.add_client(session, client)
    return client


def bearer_of(client: Client) -> Bearer:
    """The standing that a client's tokens carry."""
    return Bearer(
        str(client.id),
        Role(client.role),
        client.agency_id,
        tuple(client.bodies),
        client.territory,
        dict(client.names),
        client.person,
    )


async def revoke_client(session: Session, client_id: UUID, *, now: datetime) -> None:
    """Close a client: no new tokens, and its old ones stop at the next request."""
    client = await repository.get_client(session, client_id)
    if client.revoked_at is not None:
        raise ClientRevoked
    client.revoked_at = now
    await repository.revoke(session, "client", str(client_id), at=now, forget_at=None)


async def revoke_token(session: Session, jti: str, *, now: datetime, forget_at: datetime | None) -> None:
    """Take one token back."""
    await repository.revoke(session, "token", jti, at=now, forget_at=forget_at)


async def revoke_agency(session: Session, agency_id: UUID, *, now: datetime) -> None:
    """Take back everything an agency holds now: tokens and console sessions. Its clients stay."""
    await repository.revoke(session, "agency", str(agency_id), at=now, forget_at=None)


async def retire_agency(session: Session, agency_id: UUID, *, now: datetime) -> None:
    """Close an agency's clients and take back everything it holds."""
    await repository.revoke_clients_of(session, agency_id, at=now)
    await revoke_agency(session, agency_id, now=now)


async def refuse_revoked(session: Session, access: Access) -> None:
    """Raise ``TokenInvalid`` when the token, its client or its agency was taken back."""
    if await repository.is_revoked(session, access):
        raise TokenInvalid
