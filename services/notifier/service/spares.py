"""Places beside the lanes' own, for first attempts that hanging ones would keep waiting.

An attempt that waits for an answer costs a socket and some memory, next to no work. So a process keeps many
of these places and shares them out by need. Nobody takes more than a part of what is still free: however many
endpoints hang already, the next finds its part.
"""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

SPARES = 4096
"""In a process. Of ``k`` endpoints that hang each gets ``SPARES / (PART + k)``, and an attempt ends within
ten seconds: 25 new alerts a second to each of eight, 10 a second to each of thirty, start at once for ever.
Or at one blow: 455 for one, 409 for each of two, 256 for each of eight."""
PART = 8
"""An endpoint may take up to one part in so many of what is free."""


@dataclass
class Spares:
    """Who has how many of them."""

    size: int = SPARES
    taken: Counter[UUID] = field(default_factory=Counter)

    def left(self, endpoint_id: UUID) -> int:
        """How many this endpoint may still take, one by one."""
        mine = self.taken[endpoint_id]
        others = self.taken.total() - mine
        # The most for which ``most <= (size - others - most) / PART`` holds.
        return max(0, (self.size - others) // (PART + 1) - mine)

    def take(self, endpoint_id: UUID) -> None:
        """One more attempt goes beside the endpoint's places."""
        self.taken[endpoint_id] += 1

    def give_back(self, endpoint_id: UUID) -> None:
        """Such an attempt ended."""
        self.taken[endpoint_id] -= 1
        if not self.taken[endpoint_id]:
            del self.taken[endpoint_id]
