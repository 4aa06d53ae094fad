"""Whose turn it is. PostgreSQL's own queue for it is fair: a row lock that many share is not.

Whoever revokes routes would wait for a row as long as anybody plans for it; in a burst plans overlap without
end.
"""

from sqlalchemy import text

from common.db import Session

ROUTES = 0x6461_6279
SEALS = 0x6461_627A
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared({ROUTES})")
_TAKE = text(f"SELECT pg_advisory_xact_lock({ROUTES})")
_TRY_SEALS = text(f"SELECT pg_try_advisory_xact_lock({SEALS})")


async def share_routes(session: Session) -> None:
    """Let no endpoint be revoked between what is read now and this transaction's end."""
    if session.get_bind().dialect.name != "sqlite":  # which has one writer at a time
        await session.execute(_SHARE)


async def take_routes(session: Session) -> None:
    """Wait for all who go by the routes as they are; until this transaction ends nobody plans by them."""
    if session.get_bind().dialect.name != "sqlite":
        await session.execute(_TAKE)


async def try_seals(session: Session) -> bool:
    """Be the one who seals until this transaction ends; false when another one is."""
    if session.get_bind().dialect.name == "sqlite":  # which has one writer at a time
        return True
    return bool(await session.scalar(_TRY_SEALS))
