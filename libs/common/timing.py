"""Time is UTC, aware, and given: nothing below the doors asks for the hour itself.

Where several machines share a store, it is the store's time that counts: a machine whose clock is wrong, or
is set while it works, would else hold leases for hours, or find nothing due.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

Now = Callable[[], datetime]
"""Where a room gets the present from; tests hand in a frozen one."""

MEASURED_EVERY = 10.0
"""Seconds after which the store is asked again: a steady clock drifts by less than a millisecond in them."""


def utc_now() -> datetime:
    """The present by this machine's clock, aware, UTC."""
    return datetime.now(UTC)


steady: Callable[[], float] = (
    # CLOCK_MONOTONIC stands still while a machine is suspended.
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds that only ever pass; nobody can set them."""


class ClockUnknown(OSError):
    """The store was never reached, so that nobody knows what time it is there."""


class StoreClock:
    """The present of a store, carried on by our steady clock between two answers of the store.

    After an answer that took ``r`` seconds to come it is wrong by ``r`` at most, and usually by much less.

    Args:
        seconds: the steady clock.
    """

    def __init__(self, seconds: Callable[[], float] = steady) -> None:
        self._seconds = seconds
        self._said: datetime | None = None
        self._at = 0.0
        self._measured_at = 0.0

    def __call__(self) -> datetime:
        """The present; raises ``ClockUnknown`` before the first answer."""
        if self._said is None:
            raise ClockUnknown
        return self._said + timedelta(seconds=self._seconds() - self._at)

    def seconds(self) -> float:
        """The steady clock's reading, to be taken before the store is asked and after."""
        return self._seconds()

    @property
    def is_stale(self) -> bool:
        """Whether the store should be asked again."""
        return self._said is None or self._seconds() - self._measured_at > MEASURED_EVERY

    def take(self, said: datetime, *, asked: float, answered: float) -> None:
        """The store said so at some moment between these two readings of the steady clock.

        The present moves no further than the answer makes it: it is not shaken by how long answers take.
        """
        latest = said + timedelta(seconds=answered - asked)
        if self._said is None:
            self._said = said + (latest - said) / 2
        else:
            present = self._said + timedelta(seconds=answered - self._at)
            self._said = min(max(said, present), latest)
        self._at = self._measured_at = answered
