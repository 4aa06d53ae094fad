"""Wake-ups over the bus: one queue per endpoint, many delivery ids a message, nothing else in it.

Losing, doubling or reordering one is harmless: the rows are found again by time.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from common.bus import Bus, Exchange, Message, Subscription
from common.bus.topology import lane_queue
from common.ids import new_id
from common.telemetry import log
from notifier.domain.schedule import Urgency
from notifier.repository.claims import Claimed
from notifier.service.desk import Lanes

IDS_A_MESSAGE = 100
COALESCE_SECONDS = 0.005
REFRESH_EVERY = timedelta(seconds=5)
PREFETCH = 4


class BusLanes:
    """``Lanes`` for a process that has a bus: starts what ``local`` takes, announces the rest.

    Args:
        local: the dispatcher of this process.
    """

    def __init__(self, bus: Bus, local: Lanes) -> None:
        self._bus = bus
        self._local = local
        self._waiting: dict[UUID, list[UUID]] = {}
        self._announcing: asyncio.Task[None] | None = None
        self._subscriptions: dict[UUID, Subscription] = {}

    def has_room(self, endpoint_id: UUID, concurrency: int, urgency: Urgency, *, promised: int = 0) -> bool:
        """As the dispatcher of this process says."""
        return self._local.has_room(endpoint_id, concurrency, urgency, promised=promised)

    def start(self, claimed: Sequence[Claimed]) -> None:
        """Hand to the dispatcher of this process."""
        self._local.start(claimed)

    def wake(self, waiting: Mapping[UUID, Sequence[UUID]]) -> None:
        """Announce on the endpoints' lanes; what comes within a moment goes in one message a lane."""
        for endpoint_id, ids in waiting.items():
            self._waiting.setdefault(endpoint_id, []).extend(ids)
        if self._announcing is None or self._announcing.done():
            self._announcing = asyncio.create_task(self._announce())

    def drop(self, delivery_ids: Collection[UUID]) -> None:
        """Forget what is to be announced, and tell the dispatcher of this process."""
        gone = set(delivery_ids)
        self._waiting = {
            endpoint_id: [one for one in ids if one not in gone] for endpoint_id, ids in self._waiting.items()
        }
        self._local.drop(delivery_ids)

    async def follow(self, endpoints: Callable[[], Awaitable[Sequence[UUID]]], stop: asyncio.Event) -> None:
        """Listen to the lane of every endpoint in force until stopped; new ones are found by time."""
        while not stop.is_set():
            try:
                await self._listen_to(await endpoints())
            except Exception as error:  # noqa: BLE001  # no broker, no database: polling carries on meanwhile
                log.warning("lanes_not_followed", error_type=type(error).__name__)
            try:
                async with asyncio.timeout(REFRESH_EVERY.total_seconds()):
                    await stop.wait()
            except TimeoutError:
                continue
        await asyncio.gather(*(one.cancel() for one in self._subscriptions.values()), return_exceptions=True)
        if self._announcing is not None:
            await asyncio.gather(self._announcing, return_exceptions=True)

    async def _listen_to(self, endpoint_ids: Sequence[UUID]) -> None:
        for gone in set(self._subscriptions) - set(endpoint_ids):
            await self._subscriptions.pop(gone).cancel()
        for endpoint_id in endpoint_ids:
            if endpoint_id not in self._subscriptions:
                self._subscriptions[endpoint_id] = await self._bus.subscribe(
                    lane_queue(str(endpoint_id)), self._receive, prefetch=PREFETCH
                )

    async def _receive(self, message: Message) -> None:
        try:
            endpoint_id = UUID(message.key)
            ids = [UUID(one) for one in json.loads(message.body)["deliveries"][:IDS_A_MESSAGE]]
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("wakeup_unreadable", lane="unknown")
            return
        self._local.wake({endpoint_id: ids})

    async def _announce(self) -> None:
        await asyncio.sleep(COALESCE_SECONDS)
        # What comes while we publish finds us at work, and is left to us.
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            messages = [
                Message(
                    id=str(new_id()),
                    exchange=Exchange.LANES,
                    key=str(endpoint_id),
                    body=json.dumps(
                        {"deliveries": [str(one) for one in ids[start : start + IDS_A_MESSAGE]]}
                    ).encode(),
                )
                for endpoint_id, ids in waiting.items()
                for start in range(0, len(ids), IDS_A_MESSAGE)
            ]
            confirmed = await self._bus.publish(messages)
            if not all(confirmed):
                # Workers find the rows within a second without it.
                log.info("wakeups_not_confirmed", count=confirmed.count(False))
