"""Who is signed in to the console: an opaque cookie, a row, and nothing else."""

from datetime import datetime, timedelta

from common.db import Session
from gateway import repository
from gateway.domain.identity import Bearer, Role
from gateway.errors import SignInExpired
from gateway.models import ConsoleSession, SignInCode
from gateway.service.secrets import digest_of, new_secret

CODE_LIFETIME = timedelta(minutes=10)


async def make_code(session: Session, bearer: Bearer, *, now: datetime) -> tuple[str, datetime]:
    """A code that opens the console once within ten minutes, and when it ends."""
    code, expires_at = new_secret(), now + CODE_LIFETIME
    await repository.add_code(
        session,
        SignInCode(
            digest=digest_of(code),
            subject=bearer.subject,
            role=bearer.role.value,
            agency_id=bearer.agency,
            territory=bearer.territory,
            bodies=list(bearer.bodies),
            names=dict(bearer.names),
            person=bearer.person,
            created_at=now,
            expires_at=expires_at,
        ),
    )
    return code, expires_at


async def use_code(session: Session, code: str, *, now: datetime) -> Bearer:
    """Whom the code lets in; raises ``SignInExpired`` when it was used, is too old or never was."""
    used = await repository.use_code(session, digest_of(code), now=now)
    if used is None:
        raise SignInExpired
    return Bearer(
        used.subject,
        Role(used.role),
        used.agency_id,
        tuple(used.bodies),
        used.territory,
        dict(used.names),
        used.person,
    )


async def open_session(session: Session, bearer: Bearer, *, lifetime: timedelta, now: datetime) -> str:
    """Sign somebody in; returns the cookie's value, which is stored nowhere."""
    cookie = new_secret()
    await repository.add_session(
        session,
        ConsoleSession(
            digest=digest_of(cookie),
            subject=bearer.subject,
            role=bearer.role.value,
            agency_id=bearer.agency,
            territory=bearer.territory,
            bodies=list(bearer.bodies),
            names=dict(bearer.names),
            person=bearer.person,
            created_at=now,
            expires_at=now + lifetime,
        ),
    )
    return cookie


async def find_bearer(session: Session, cookie: str, *, now: datetime) -> Bearer | None:
    """Who is signed in with this cookie, unless the session ended or was taken back."""
    found = await repository.find_session(session, digest_of(cookie), now=now)
    if found is None:
        return None
    return Bearer(
        found.subject,
        Role(found.role),
        found.agency_id,
        tuple(found.bodies),
        found.territory,
        dict(found.names),
        found.person,
    )


async def close_session(session: Session, cookie: str, *, now: datetime) -> None:
    """Sign out."""
    await repository.end_session(session, digest_of(cookie), now=now)
