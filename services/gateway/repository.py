"""All SQL of the gateway."""

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, Select, and_, bindparam, delete, or_, select, update
from sqlmodel import col

from common.db import Session, insert_ignore
from gateway.domain.identity import Access
from gateway.errors import ClientUnknown
from gateway.models import Client, ConsoleSession, Model, Revocation, SignInCode

_REVOCATIONS = Model.metadata.tables["revocations"]


async def add_client(session: Session, client: Client) -> None:
    """Store a client."""
    session.add(client)
    await session.flush()


async def find_client(session: Session, client_id: UUID) -> Client | None:
    """A client, revoked or not."""
    return await session.get(Client, client_id)


async def get_client(session: Session, client_id: UUID) -> Client:
    """A client, revoked or not; raises ``ClientUnknown``."""
    client = await find_client(session, client_id)
    if client is None:
        raise ClientUnknown
    return client


async def list_labelled_clients(session: Session, label: str) -> list[Client]:
    """Clients with this label that may still call."""
    found = await session.scalars(
        select(Client).where(col(Client.label) == label, col(Client.revoked_at).is_(None))
    )
    return list(found)


async def save_standing(
    session: Session, client_id: UUID, *, bodies: list[str], territory: str | None, names: dict[str, str]
) -> None:
    """Write down what a client's agency holds now."""
    await session.execute(
        update(Client)
        .where(col(Client.id) == client_id)
        .values(bodies=bodies, territory=territory, names=names)
    )


async def list_agency_clients(session: Session) -> list[Client]:
    """Clients of agencies that may still call."""
    found = await session.scalars(
        select(Client).where(col(Client.agency_id).is_not(None), col(Client.revoked_at).is_(None))
    )
    return list(found)


async def revoke_clients_of(session: Session, agency_id: UUID, *, at: datetime) -> None:
    """Close every client of an agency that is still open."""
    await session.execute(
        update(Client)
        .where(col(Client.agency_id) == agency_id, col(Client.revoked_at).is_(None))
        .values(revoked_at=at)
    )


async def revoke(
    session: Session, kind: str, subject: str, *, at: datetime, forget_at: datetime | None
) -> None:
    """Take back a token, or what a client or an agency holds; a second time moves the moment forward."""
    row = {"kind": kind, "subject": subject, "revoked_at": at, "forget_at": forget_at}
    fresh = Revocation.model_validate(row)
    inserted = await insert_ignore(
        session,
        _REVOCATIONS,
        [fresh.model_dump()],
        ["kind", "subject"],
    )
    if not inserted:
        await session.execute(
            update(Revocation)
            .where(col(Revocation.kind) == kind, col(Revocation.subject) == subject)
            .values(revoked_at=at, forget_at=forget_at)
        )


async def is_revoked(session: Session, access: Access) -> bool:
    """True when the token itself, its client, its subject or its agency was taken back since."""
    agency = access.bearer.agency
    found = await session.scalar(
        _revoked(),
        {
            "token": access.jti,
            "client": access.client,
            "holder": access.bearer.subject,
            # Nobody is taken back under an empty name.
            "agency": "" if agency is None else str(agency),
            "issued_at": access.issued_at,
        },
    )
    return found is not None


@cache
def _revoked() -> Select[Any]:
    """Made once: it is asked with every call that comes in."""
    kind, subject = _REVOCATIONS.c.kind, _REVOCATIONS.c.subject
    held = or_(
        and_(kind == "client", or_(subject == bindparam("client"), subject == bindparam("holder"))),
        and_(kind == "agency", subject == bindparam("agency")),
    )
    moment = bindparam("issued_at", type_=_REVOCATIONS.c.revoked_at.type)
    return (
        select(_REVOCATIONS.c.id)
        # ``iat`` counts whole seconds: a token of the very second of a revocation counts as older than it.
        .where(
            or_(
                and_(kind == "token", subject == bindparam("token")),
                and_(held, _REVOCATIONS.c.revoked_at >= moment),
            )
        )
        .limit(1)
    )


async def add_code(session: Session, code: SignInCode) -> None:
    """Store a sign-in code."""
    session.add(code)
    await session.flush()


async def use_code(session: Session, digest: str, *, now: datetime) -> SignInCode | None:
    """Use a code up: of two at once, one gets it."""
    done = await session.execute(
        update(SignInCode)
        .where(
            col(SignInCode.digest) == digest,
            col(SignInCode.used_at).is_(None),
            col(SignInCode.expires_at) > now,
        )
        .values(used_at=now)
    )
    if not isinstance(done, CursorResult) or done.rowcount != 1:
        return None
    return await session.get(SignInCode, digest)


async def add_session(session: Session, signed_in: ConsoleSession) -> None:
    """Store a console session."""
    session.add(signed_in)
    await session.flush()


async def find_session(session: Session, digest: str, *, now: datetime) -> ConsoleSession | None:
    """A session that is still open, and whose subject and agency were not taken back since it began."""
    found = await session.scalar(
        select(ConsoleSession).where(
            col(ConsoleSession.digest) == digest,
            col(ConsoleSession.ended_at).is_(None),
            col(ConsoleSession.expires_at) > now,
        )
    )
    if found is None:
        return None
    parties = [and_(col(Revocation.kind) == "client", col(Revocation.subject) == found.subject)]
    if found.agency_id is not None:
        parties.append(
            and_(col(Revocation.kind) == "agency", col(Revocation.subject) == str(found.agency_id))
        )
    revoked = await session.scalar(
        select(col(Revocation.id))
        .where(or_(*parties), col(Revocation.revoked_at) >= found.created_at)
        .limit(1)
    )
    return None if revoked is not None else found


async def end_session(session: Session, digest: str, *, now: datetime) -> None:
    """Close a session; closing twice changes nothing."""
    await session.execute(
        update(ConsoleSession)
        .where(col(ConsoleSession.digest) == digest, col(ConsoleSession.ended_at).is_(None))
        .values(ended_at=now)
    )


async def forget_expired(session: Session, *, now: datetime) -> int:
    """Delete sessions, codes and revocations that can have no effect any more; returns how many."""
    count = 0
    for statement in (
        delete(ConsoleSession).where(col(ConsoleSession.expires_at) <= now),
        delete(SignInCode).where(col(SignInCode.expires_at) <= now),
        delete(Revocation).where(col(Revocation.forget_at) <= now),
    ):
        done = await session.execute(statement)
        count += done.rowcount if isinstance(done, CursorResult) else 0
    return count
