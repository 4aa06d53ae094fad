"""One endpoint in a worker: its places, what waits for one, its breaker and its bucket.

Pure bookkeeping: no I/O, no clock of its own. Whatever it forgets, the table knows.
"""

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from notifier.domain.breaker import Breaker, Bucket, Candidate, Rules, hold_until
from notifier.domain.delivery import Outcome
from notifier.domain.schedule import ORDER, Tier, Urgency
from notifier.repository.claims import Claimed
from notifier.repository.held import Due

AHEAD_SECONDS = 2.0
"""A lane claims so much time's worth of work ahead of what is in flight, and never more."""
TOKENS_A_PLACE = 250.0
"""Notices a second for each place of an endpoint: far above what an honest one takes, so that only a
runaway is slowed. An agency that wants less asks for fewer places."""
UNKNOWN = -1
"""Rank of a hint whose urgency nobody has said yet: before all others, so that it is looked at soon."""
IMMEDIATE = ORDER[Urgency.IMMEDIATE]


@dataclass
class Lane:
    """One endpoint's places, what waits for a place, and which due ids are known but not claimed."""

    endpoint_id: UUID
    concurrency: int = 1
    running: int = 0
    running_immediate: int = 0
    seconds: float = 1.0
    queue: list[tuple[int, int, Claimed]] = field(default_factory=list)
    queued_immediate: int = 0
    hints: dict[UUID, int] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)
    bucket: Bucket = field(default_factory=lambda: Bucket(TOKENS_A_PLACE))
    probing: set[UUID] = field(default_factory=set)
    prober_of: datetime | None = None
    """The opening of the breaker whose next probe is already waiting in the table."""

    @classmethod
    def open(cls, endpoint_id: UUID, concurrency: int, rules: Rules) -> "Lane":
        """A lane that knows of no failure yet."""
        return cls(
            endpoint_id,
            concurrency,
            breaker=Breaker(rules),
            bucket=Bucket(TOKENS_A_PLACE * concurrency),
        )

    def resize(self, concurrency: int) -> None:
        """Take over the endpoint's places as they are registered now."""
        if concurrency != self.concurrency:
            self.concurrency = concurrency
            self.bucket.rate = TOKENS_A_PLACE * concurrency

    @property
    def kept(self) -> int:
        """Places that only immediate notices may take."""
        return 0 if self.concurrency == 1 else max(1, self.concurrency // 4)

    def has_place(self, urgency: Urgency) -> bool:
        """Whether a notice of this urgency could be sent at once."""
        if urgency is Urgency.IMMEDIATE:
            return self.running < self.concurrency
        return self.running < self.concurrency and (
            self.running - self.running_immediate < self.concurrency - self.kept
        )

    def admits(self, urgency: Urgency, *, promised: int = 0, now: datetime) -> bool:
        """Whether a new notice may be claimed here and now, or had better wait in the table.

        Args:
            promised: claims that the asking transaction has made for this lane already.
        """
        if urgency is Urgency.IMMEDIATE:
            # The first attempt of an immediate notice pierces an open breaker and passes what is queued.
            if not self.queued_immediate and self.running + promised < self.concurrency:
                return True
        elif self.bucket.available(now) <= promised:
            return False
        if self.breaker.is_open:
            return False
        if not self.queue and not promised and self.has_place(urgency):
            return True
        # What is known to wait goes first, in the true order.
        return not self.hints and self.appetite() > promised

    def appetite(self) -> int:
        """How many more claims make sense: quick lanes take many at a time, a hanging one takes none."""
        ahead = int(self.concurrency * min(AHEAD_SECONDS / max(self.seconds, 0.01), 25))
        return max(0, self.concurrency + ahead - self.running - len(self.queue))

    def appetite_for(self, urgency: Urgency) -> int:
        """The same for one urgency: routine notices that were claimed ahead take no immediate one's place."""
        if urgency is not Urgency.IMMEDIATE:
            return self.appetite()
        return max(self.appetite(), self.concurrency - self.running - self.queued_immediate)

    def is_full(self, urgency: Urgency) -> bool:
        """Whether enough is known that is at least as urgent: no need to look for more of it."""
        rank = ORDER[urgency]
        known = sum(0 <= each <= rank for each in self.hints.values())
        return self.appetite_for(urgency) <= known

    def unclear(self, now: datetime) -> list[UUID]:
        """Hints that must be looked at before anything is claimed, because not all can be."""
        if not self.hints:
            return []
        if self.breaker.is_open:
            return list(self.hints)
        if min(self.appetite(), self.bucket.available(now)) >= len(self.hints):
            return []
        return [one for one, rank in self.hints.items() if rank == UNKNOWN]

    def choose(self, most: int, *, now: datetime) -> list[UUID]:
        """Take hints that may be claimed now, urgent first; behind an open breaker none."""
        if self.breaker.is_open or not self.hints:
            return []
        room = {rank: self.appetite_for(urgency) for urgency, rank in ORDER.items()}
        tokens = self.bucket.available(now)
        chosen: list[UUID] = []
        paying = 0
        for one, rank in sorted(self.hints.items(), key=lambda item: item[1]):
            if len(chosen) >= most:
                break
            is_exempt = rank == IMMEDIATE
            if len(chosen) >= room.get(rank, self.appetite()) or (not is_exempt and paying >= tokens):
                continue
            paying += not is_exempt
            chosen.append(one)
        self.forget(chosen)
        return chosen

    def lacks_tokens(self) -> bool:
        """Whether something waits for the bucket alone."""
        return (
            bool(self.hints) and not self.breaker.is_open and self.bucket.tokens < 1 and self.appetite() > 0
        )

    def forget(self, ids: Collection[UUID]) -> None:
        """Spend hints."""
        for one in ids:
            self.hints.pop(one, None)

    def hold_until(self, row: Due, *, tier: Tier, now: datetime) -> datetime | None:
        """Until when the breaker holds this delivery back; ``None`` lets it through."""
        candidate = Candidate(row.urgency, row.attempts, row.deadline, row.held_at)
        # The first that is held after the breaker opened is there when it is half-open.
        probes_next = self.prober_of != self.breaker.opened_at
        until = hold_until(self.breaker, candidate, tier=tier, now=now, probes_next=probes_next)
        if until is not None:
            self.prober_of = self.breaker.opened_at
        return until

    def let_through(self, delivery_id: UUID) -> None:
        """Count an attempt as the probe of an open breaker."""
        self.probing.add(delivery_id)
        self.breaker.probes = len(self.probing)

    def came_back(self, delivery_id: UUID) -> None:
        """The probe ended, or was not ours to make."""
        self.probing.discard(delivery_id)
        self.breaker.probes = len(self.probing)

    def push(self, one: Claimed, order: int) -> None:
        """Let a claimed delivery wait for a place."""
        heapq.heappush(self.queue, (ORDER[one.urgency], order, one))
        self.queued_immediate += one.urgency is Urgency.IMMEDIATE
        if one.urgency is not Urgency.IMMEDIATE:
            self.bucket.take(1)
        if self.breaker.is_open:
            self.let_through(one.delivery_id)

    def pop(self) -> Claimed | None:
        """Give a free place to the most urgent that waits, if there is one for it."""
        if not self.queue or not self.has_place(self.queue[0][2].urgency):
            return None
        one = heapq.heappop(self.queue)[2]
        self.queued_immediate -= one.urgency is Urgency.IMMEDIATE
        self.running += 1
        self.running_immediate += one.urgency is Urgency.IMMEDIATE
        return one

    def clear(self) -> None:
        """Forget what was claimed but not begun: its leases bring it back."""
        self.queue.clear()
        self.queued_immediate = 0

    def learn(self, seconds: float) -> None:
        """Take the time of one attempt into the estimate."""
        self.seconds += 0.2 * (seconds - self.seconds)

    def finish(self, one: Claimed, outcome: Outcome, *, seconds: float, at: datetime) -> bool:
        """Give the place back and take in how it ended; returns whether the breaker closed by it."""
        self.running -= 1
        self.running_immediate -= one.urgency is Urgency.IMMEDIATE
        self.learn(seconds)
        self.came_back(one.delivery_id)
        return self.breaker.learn(outcome, at=at)
