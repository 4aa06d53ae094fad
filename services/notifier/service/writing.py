"""Results on their way to the table: many in one transaction, and each in one of its own when that fails."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from common.db import Database, is_away
from common.telemetry import log
from common.timing import Now
from notifier.domain.breaker import Rules
from notifier.repository import held
from notifier.repository.claims import Claimed, Result
from notifier.service.desk import Desk
from notifier.service.directory import leave_unusable
from notifier.service.results import write_results

RESULT_ROWS = 200
RESULT_SECONDS = 0.015
"""Results wait so long for each other: the notices of one alert end almost together, and what follows from
each (met duties, started clocks, events) is reckoned once for all of them."""
PAUSE_SECONDS = 0.5

Ended = tuple[Claimed, Result]


class ResultWriter:
    """Writes how attempts ended. What it loses comes back by its lease, under the same id.

    Args:
        rules: of the breakers, for what waits behind one that has closed.
        is_idle: whether no attempt is under way.
        forget: told of everything that is no longer in hand.
        written: told of everything that was written.
    """

    def __init__(
        self,
        db: Database,
        now: Now,
        rules: Rules,
        *,
        is_idle: Callable[[], bool],
        forget: Callable[[Ended], None],
        written: Callable[[Ended], None],
    ) -> None:
        self._db = db
        self._now = now
        self._rules = rules
        self._is_idle = is_idle
        self._forget = forget
        self._written = written
        self._results: list[Ended] = []
        self._closed: set[UUID] = set()
        self._finished = asyncio.Event()

    def add(self, one: Claimed, result: Result) -> None:
        """Write this with the next ones."""
        self._results.append((one, result))
        self._finished.set()

    def closed(self, endpoint_id: UUID) -> None:
        """Let go, with the next results, what waits behind this endpoint's breaker."""
        self._closed.add(endpoint_id)

    def look(self) -> None:
        """Look whether there is anything left to be written, or to be waited for."""
        self._finished.set()

    async def run(self, desk: Desk, stop: asyncio.Event) -> None:
        """Write results together: whatever ended while the last batch was being written is the next one."""
        while True:
            await self._finished.wait()
            if len(self._results) < RESULT_ROWS:
                await asyncio.sleep(RESULT_SECONDS)
            self._finished.clear()
            while self._results:
                batch, self._results = self._results[:RESULT_ROWS], self._results[RESULT_ROWS:]
                closed, self._closed = self._closed, set()
                if await self._write(desk, batch, closed):
                    continue
                if stop.is_set() and self._is_idle():
                    return  # leases end and the attempts are repeated under the same id
                await asyncio.sleep(PAUSE_SECONDS)
            if stop.is_set() and self._is_idle():
                return

    async def _write(self, desk: Desk, batch: Sequence[Ended], closed: set[UUID]) -> bool:
        """Write a batch; ``False``: the database is away, and what is not written is kept."""
        try:
            await self._store(desk, batch, closed)
        except Exception as error:  # noqa: BLE001  # the database may be away: keep the results and try again
            log.warning("results_not_written", count=len(batch), error_type=type(error).__name__)
            if is_away(error):
                self._keep(batch, closed)
                return False
            return await self._one_by_one(desk, batch, closed)
        for ended in batch:
            self._forget(ended)
            self._written(ended)
        return True

    async def _one_by_one(self, desk: Desk, batch: Sequence[Ended], closed: set[UUID]) -> bool:
        """Each in a transaction of its own, so that one that cannot be written holds up no other.

        That one is left to time: its lease ends, and the attempt is repeated.
        """
        for place, ended in enumerate([*batch, None]):
            try:
                await self._store(desk, [] if ended is None else [ended], closed if ended is None else ())
            except Exception as error:  # noqa: BLE001  # as above
                if is_away(error):
                    self._keep(batch[place:], closed)
                    return False
                named = {} if ended is None else {"delivery_id": str(ended[0].delivery_id)}
                log.error("result_left_to_its_lease", error_type=type(error).__name__, **named)
                if ended is not None:
                    self._forget(ended)
            else:
                if ended is not None:
                    self._forget(ended)
                    self._written(ended)
        return True

    def _keep(self, batch: Sequence[Ended], closed: set[UUID]) -> None:
        self._results = [*batch, *self._results]
        self._closed |= closed

    async def _store(self, desk: Desk, batch: Sequence[Ended], closed: Collection[UUID]) -> None:
        async with self._db.transaction() as session:
            await write_results(session, desk, [result for _, result in batch], now=self._now())
            for endpoint_id in {one.endpoint_id for one, _ in batch if one.url is None}:
                await leave_unusable(session, desk, endpoint_id, now=self._now())
            if closed:
                await held.release(session, closed, now=self._now(), rested=self._rules.open_for)
