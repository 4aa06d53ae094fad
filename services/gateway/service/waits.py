"""Reads that wait for news hold two connections for up to a minute: so many of one caller, and no more.

Kept in memory, per process, like the allowances: a restart ends every wait anyway.
"""

from collections import Counter

from gateway.errors import TooManyWaits


class Place:
    """One of a caller's waits; given back once, however often that is asked."""

    def __init__(self, waits: "Waits", caller: str) -> None:
        self._waits: Waits | None = waits
        self._caller = caller

    def give_back(self) -> None:
        """Let another one wait here."""
        waits, self._waits = self._waits, None
        if waits is not None:
            waits.leave(self._caller)


class Waits:
    """Who waits how often.

    Args:
        most: waits of one caller at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def take(self, caller: str) -> Place:
        """One more wait of this caller.

        Raises:
            TooManyWaits: it has as many as it may.
        """
        if self._open[caller] >= self._most:
            raise TooManyWaits
        self._open[caller] += 1
        return Place(self, caller)

    def leave(self, caller: str) -> None:
        """One wait less; who has none is forgotten."""
        self._open[caller] -= 1
        if self._open[caller] <= 0:
            del self._open[caller]
