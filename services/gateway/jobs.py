"""Door 3, time: what nobody can use any more is forgotten."""

from collections.abc import Awaitable, Callable

from common.db import Database
from common.timing import Now
from gateway import repository


def forgetting(db: Database, now: Now) -> Callable[[], Awaitable[int]]:
    """Deletes sessions, sign-in codes and revocations whose time has passed."""

    async def forget_expired() -> int:
        async with db.transaction() as session:
            return await repository.forget_expired(session, now=now())

    return forget_expired
