"""Whether what waited for a place is still ours to send: one look for all who ask at the same moment."""

import asyncio

from common.db import Database
from notifier.repository import claims
from notifier.repository.claims import Claimed


class Fences:
    """Looks at fences. Under load every attempt asks; a connection each would be opened and thrown away."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._asking: list[tuple[Claimed, asyncio.Future[bool]]] = []
        self._looking: asyncio.Task[None] | None = None

    async def stands(self, one: Claimed) -> bool:
        """Whether nobody claimed, answered or rerouted the delivery since; raises as the database does."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asking.append((one, answer))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await answer

    async def _look(self) -> None:
        while self._asking:
            asked, self._asking = self._asking, []
            try:
                async with self._db.reading() as session:
                    held = await claims.list_held(session, [(one.delivery_id, one.token) for one, _ in asked])
            except Exception as error:  # noqa: BLE001  # the database may be away: whoever asked is told
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for one, answer in asked:
                if not answer.done():  # whoever asked may have been stopped
                    answer.set_result(one.delivery_id in held)
