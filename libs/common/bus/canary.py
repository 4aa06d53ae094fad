"""Watches queues by canaries: a queue that lost its leader looks healthy to everything but a confirm.

Measured on RabbitMQ 3.10: a node killed half a second after a quorum queue was declared leaves it without a
leader; a passive declare still says OK, and what is published there is never confirmed. Meanwhile events go
through doors and deliveries are found by time. The repair is to delete the queue and make it anew: what it
held comes again from the tables.
"""

from collections.abc import Awaitable, Callable, Sequence

from opentelemetry.metrics import Meter

from common.bus import Bus, Probe, Queue
from common.bus.topology import PARKED
from common.telemetry import log

SILENT_TIMES = 3
"""So often in a row a queue must stay silent, while another answers, before it is made anew."""


class QueueWatch:
    """Probes queues and repairs those that alone stay silent.

    Args:
        queues: what to probe now.
        meter: where to show how much is parked.
    """

    def __init__(
        self,
        bus: Bus,
        queues: Callable[[], Awaitable[Sequence[Queue]]],
        *,
        seconds: float = 5.0,
        meter: Meter | None = None,
    ) -> None:
        self._bus = bus
        self._queues = queues
        self._seconds = seconds
        self._silent: dict[str, int] = {}
        self._show_parked: Callable[[int], None] | None = None
        if meter is not None:
            told = "messages that a reader refused until they were parked"
            self._show_parked = meter.create_gauge("dabyl.parked", description=told).set

    async def pass_once(self) -> dict[str, Probe]:
        """Probe each queue once; returns what came of it, by name.

        A broker that confirms nothing at all (stopped, out of memory) is not repaired by deleting queues:
        only a queue that is silent beside others that answer is made anew.
        """
        if self._show_parked is not None and (parked := await self._bus.depth(PARKED)) is not None:
            self._show_parked(parked)
        found = {queue: await self._bus.probe(queue, seconds=self._seconds) for queue in await self._queues()}
        others_answer = Probe.CONFIRMED in found.values()
        for queue, probe in found.items():
            if probe is Probe.SILENT:
                self._silent[queue.name] = self._silent.get(queue.name, 0) + 1
                log.error("queue_silent", queue=queue.name, count=self._silent[queue.name])
            else:
                self._silent.pop(queue.name, None)
            if others_answer and self._silent.get(queue.name, 0) >= SILENT_TIMES:
                log.error("queue_rebuilt", queue=queue.name)
                await self._bus.rebuild(queue)
                self._silent.pop(queue.name, None)
        return {queue.name: probe for queue, probe in found.items()}
