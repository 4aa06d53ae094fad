"""Pagers: one line over TCP to a paging terminal, one line back. Kind ``x-pager``, address ``pager:1234``."""

import asyncio
from datetime import datetime

from notifier.domain.channel import Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome

LONGEST_ANSWER = 64
OUTCOMES = {b"OK": Outcome.ACCEPTED, b"BUSY": Outcome.THROTTLED, b"UNKNOWN": Outcome.GONE}


class Pager:
    """A channel: ``send`` makes one attempt, ``close`` gives back what is kept."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:  # noqa: ARG002  # nothing is signed here
        """What the terminal does is an outcome; nothing is raised for it."""
        number = parcel.url.removeprefix("pager:")
        if not number.isdigit():
            return Answer(Outcome.UNSENDABLE)
        writer, is_sent = None, False
        try:
            async with asyncio.timeout(parcel.timeout.total_seconds()):
                reader, writer = await asyncio.open_connection(self._host, self._port, limit=LONGEST_ANSWER)
                is_sent = True
                # The delivery's id, so that a repeat can be told; never what the notice says.
                writer.write(f"{number} {parcel.delivery_id} DABYL\n".encode())
                said = (await reader.readuntil(b"\n")).strip()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            return Answer(Outcome.NO_ANSWER if is_sent else Outcome.UNREACHABLE)
        finally:
            if writer is not None:
                writer.transport.abort()
        return Answer(OUTCOMES.get(said, Outcome.FAILED))

    async def close(self) -> None:
        """Nothing is kept."""


def make(outfit: Outfit) -> Pager | None:
    """``NOTIFIER_X_PAGER_HOST`` and ``_PORT``; without them there is no such channel."""
    host = outfit.settings.get("x_pager_host")
    return Pager(str(host), int(outfit.settings.get("x_pager_port", 1717))) if host else None
