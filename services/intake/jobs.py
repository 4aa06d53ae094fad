"""Door 3, time."""

from common.parts import Parts
from intake import service


async def forget_keys(parts: Parts) -> None:
    """Drop idempotency keys whose time is over."""
    async with parts.db.transaction() as session:
        await service.forget_keys(session, now=parts.now())
