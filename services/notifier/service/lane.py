"""One endpoint in a worker: its places, what waits for one, its breaker and its bucket.

Pure bookkeeping: no I/O, no clock of its own. Whatever it forgets, the table knows.
"""

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from notifier.domain.breaker import NOT_THEIRS, Breaker, Bucket, Candidate, Rules, hold_until
from notifier.domain.delivery import Outcome
from notifier.domain.schedule import BY_ORDER, ORDER, Tier, Urgency
from notifier.repository.claims import Claimed
from notifier.repository.held import Due
from notifier.service.spares import Spares

AHEAD_SECONDS = 2.0
"""A lane claims so much time's worth of work ahead of what is in flight, and never more."""
TOKENS_A_PLACE = 250.0
"""Notices a second for each place of an endpoint: far above what an honest one takes, so that only a
runaway is slowed. An agency that wants less asks for fewer places."""
PATIENCE = timedelta(seconds=0.5)
"""An attempt that has waited so long for its answer keeps no first attempt of an immediate notice waiting."""
SILENCE = timedelta(seconds=0.8)
"""An endpoint that answers nothing for so long is taken for one that hangs, before any attempt has ended.

Shorter than the second in which a first attempt of an immediate notice must start."""
UNANSWERED = frozenset({Outcome.NO_ANSWER, Outcome.UNREACHABLE})
"""How an attempt ends at an endpoint that hangs; one that refuses at once takes nobody's time."""
IMMEDIATE = ORDER[Urgency.IMMEDIATE]
FIRST = IMMEDIATE - 1
"""Rank of an immediate notice that nobody has tried yet: what was tried, and may hang, comes after it."""
UNKNOWN = FIRST - 1
"""Rank of a hint whose urgency nobody has said yet: before all others, so that it is looked at soon."""
RANKS: dict[int, Urgency] = {FIRST: Urgency.IMMEDIATE, **BY_ORDER}


def rank_of(urgency: Urgency, *, attempts: int) -> int:
    """Place in the order of a lane, by what was tried before."""
    return FIRST if urgency is Urgency.IMMEDIATE and not attempts else ORDER[urgency]


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
    queued_first: int = 0
    spares: Spares = field(default_factory=Spares)
    aside: set[tuple[UUID, int]] = field(default_factory=set)
    """Attempts under way on spare places: they count nowhere else."""
    begun: dict[tuple[UUID, int], datetime] = field(default_factory=dict)
    """Attempts under way, the eldest first."""
    hangs: bool = False
    """Whether the last attempt took ``SILENCE`` or longer and ended without an answer."""
    moved_at: datetime | None = None
    """When an attempt ended in another way."""
    hints: dict[UUID, int] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)
    bucket: Bucket = field(default_factory=lambda: Bucket(TOKENS_A_PLACE))
    probing: set[UUID] = field(default_factory=set)
    prober_of: datetime | None = None
    """The opening of the breaker whose next probe is already waiting in the table."""

    @classmethod
    def open(cls, endpoint_id: UUID, concurrency: int, rules: Rules, spares: Spares) -> "Lane":
        """A lane that knows of no failure yet."""
        return cls(
            endpoint_id,
            concurrency,
            spares=spares,
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

    def firsts(self, now: datetime) -> int:
        """How many first attempts of immediate notices may start now.

        As many as the process spares where it hangs: there is no working endpoint to be spared. Else no more
        than the endpoint's places in each ``PATIENCE``, so that a slow or failing one is not overrun.
        """
        free = max(0, self.concurrency - self.running)
        most = free + self.spares.left(self.endpoint_id)
        if most == free or self.hangs or self._is_silent(now):
            return most
        young = 0
        for start in reversed(self.begun.values()):
            if young >= self.concurrency or start <= now - PATIENCE:
                break
            young += 1
        return max(free, min(most, self.concurrency - young))

    def _is_silent(self, now: datetime) -> bool:
        return now >= self._silent_from(next(iter(self.begun.values()), now))

    def _silent_from(self, eldest: datetime) -> datetime:
        """When it has answered nothing for ``SILENCE``, the eldest attempt under way being of then."""
        return max(eldest, self.moved_at or eldest) + SILENCE

    def passes(self, row: Due, *, promised: int, now: datetime) -> bool:
        """Whether what an open breaker lets through makes sense to claim, beside ``promised`` others."""
        rank = rank_of(row.urgency, attempts=row.attempts)
        # One that refuses at once takes many in a second; for one that hangs hardly any is claimed ahead.
        return promised < self.appetite_for(rank, now) and (rank <= IMMEDIATE or self.has_place(row.urgency))

    def patience(self, now: datetime) -> float | None:
        """Seconds until what hangs may let a first attempt pass that waits here; ``None`` when none does."""
        if not self.queued_first:
            return None
        begun = list(self.begun.values())
        if not begun or self.spares.left(self.endpoint_id) <= 0:
            return PATIENCE.total_seconds()  # another endpoint may give one back
        moments = (begun[-self.concurrency :][0] + PATIENCE, self._silent_from(begun[0]))
        ahead = [moment for moment in moments if moment > now] or [now]
        return max(0.01, (min(ahead) - now).total_seconds())

    def admits(self, urgency: Urgency, *, promised: int = 0, now: datetime) -> bool:
        """Whether a new notice may be claimed here and now, or had better wait in the table.

        Args:
            promised: claims that the asking transaction has made for this lane already.
        """
        if urgency is Urgency.IMMEDIATE:
            # The first attempt of an immediate notice pierces an open breaker and passes what was tried.
            if not self.queued_first and promised < self.firsts(now):
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

    def appetite_for(self, rank: int, now: datetime) -> int:
        """The same for one rank: what was claimed ahead takes no more urgent one's place."""
        if rank > IMMEDIATE:
            return self.appetite()
        most = max(self.appetite(), self.concurrency - self.running - self.queued_immediate)
        if rank == FIRST:
            # Claimed ahead of their half second, so that nothing but a place is missing then.
            most = max(most, self.concurrency + self.firsts(now) - self.queued_first)
        return most

    def room(self, rank: int, now: datetime) -> int:
        """How many more of this rank are worth being looked for, beside what is known to be as urgent."""
        return self.appetite_for(rank, now) - sum(UNKNOWN < each <= rank for each in self.hints.values())

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
        room = {rank: self.appetite_for(rank, now) for rank in RANKS}
        tokens = self.bucket.available(now)
        chosen: list[UUID] = []
        paying = 0
        for one, rank in sorted(self.hints.items(), key=lambda item: item[1]):
            if len(chosen) >= most:
                break
            is_exempt = FIRST <= rank <= IMMEDIATE
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
        rank = rank_of(one.urgency, attempts=one.attempt - 1)
        heapq.heappush(self.queue, (rank, order, one))
        self.queued_immediate += rank <= IMMEDIATE
        self.queued_first += rank == FIRST
        if one.urgency is not Urgency.IMMEDIATE:
            self.bucket.take(1)
        if self.breaker.is_open:
            self.let_through(one.delivery_id)

    def pop(self, now: datetime) -> Claimed | None:
        """Give a free place to the most urgent that waits, if there is one for it."""
        if not self.queue:
            return None
        rank, _, one = self.queue[0]
        if self.has_place(one.urgency):
            self.running += 1
            self.running_immediate += rank <= IMMEDIATE
        elif rank == FIRST and self.firsts(now) > 0:
            self.spares.take(self.endpoint_id)
            self.aside.add((one.delivery_id, one.attempt))
        else:
            return None
        heapq.heappop(self.queue)
        self.queued_immediate -= rank <= IMMEDIATE
        self.queued_first -= rank == FIRST
        self.begun[one.delivery_id, one.attempt] = now
        return one

    def clear(self) -> None:
        """Forget what was claimed but not begun: its leases bring it back."""
        self.queue.clear()
        self.queued_immediate = self.queued_first = 0

    def learn(self, seconds: float) -> None:
        """Take the time of one attempt into the estimate."""
        self.seconds += 0.2 * (seconds - self.seconds)

    def finish(self, one: Claimed, outcome: Outcome, *, seconds: float, at: datetime) -> bool:
        """Give the place back and take in how it ended; returns whether the breaker closed by it."""
        key = (one.delivery_id, one.attempt)
        self.begun.pop(key, None)
        if outcome not in NOT_THEIRS:
            self.hangs = outcome in UNANSWERED and seconds >= SILENCE.total_seconds()
            self.moved_at = self.moved_at if self.hangs else at
        if key in self.aside:
            self.aside.remove(key)
            self.spares.give_back(self.endpoint_id)
        else:
            self.running -= 1
            self.running_immediate -= one.urgency is Urgency.IMMEDIATE
        self.learn(seconds)
        self.came_back(one.delivery_id)
        return self.breaker.learn(outcome, at=at)
