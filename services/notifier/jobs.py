"""Door 3: time. A job looks first whether there is work: an idle second takes no writer's lock."""

from collections.abc import Sequence
from datetime import timedelta

from common.db import Database
from common.parts import Job
from common.timing import Now
from notifier.service import clocks, overdue
from notifier.service.clocks import Look, Pass
from notifier.service.desk import Desk

EVERY_SECOND = timedelta(seconds=1)


def jobs(db: Database, desk: Desk, now: Now) -> Sequence[Job]:
    """What is done by time."""

    async def repeat(look: Look, work: Pass, rows: int) -> None:
        while True:
            async with db.reading() as session:
                if not await look(session, now=now()):
                    return
            async with db.transaction() as session:
                if await work(session, desk, now=now()) < rows:
                    return

    async def look_at_overdue() -> None:
        await repeat(overdue.anything_overdue, overdue.look_at_overdue, overdue.ROWS)

    async def turn_clocks() -> None:
        await repeat(clocks.anything_due, clocks.turn_clocks, clocks.ROWS)

    return [
        Job("look_at_overdue", EVERY_SECOND, look_at_overdue),
        Job("turn_clocks", EVERY_SECOND, turn_clocks),
    ]
