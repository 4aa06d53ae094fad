"""Breaker and token bucket of one endpoint: pure, given the time, derived from attempts alone.

Each worker keeps its own in memory. That is safe: a breaker only ever delays, and the row that it delays
waits in the table with a wake-up of its own, within the legal time. A worker that starts knows of no
failure and finds out by a few attempts; two workers differ by at most a probe each.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifier.domain.delivery import Outcome
from notifier.domain.schedule import Tier, Urgency, longest_wait


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, and for how long.

    Attributes:
        consecutive: so many failures in a row open it.
        sample: or, of at least so many attempts within ``window``, …
        share: … more than this part failed.
        window: how long an attempt is remembered.
        open_for: nothing but pierces goes out for so long; then one probe decides.
    """

    consecutive: int = 5
    sample: int = 10
    share: float = 0.5
    window: timedelta = timedelta(minutes=1)
    open_for: timedelta = timedelta(seconds=30)


OTHERS_WAIT = 4
"""Those that are not the next probe are looked at again after so many open times, should nobody wake them."""

NOT_THEIRS = frozenset({Outcome.UNSENDABLE, Outcome.NO_KEY, Outcome.LEASE_EXPIRED})
"""Outcomes that say nothing about the endpoint."""

SUCCESSES = frozenset({Outcome.ACCEPTED, Outcome.PULLED})


@dataclass(slots=True)
class Breaker:
    """How one endpoint has answered this worker of late."""

    rules: Rules = field(default_factory=Rules)
    failures_in_a_row: int = 0
    opened_at: datetime | None = None
    probes: int = 0
    """Attempts under way that were let through while it was open."""
    _recent: deque[tuple[datetime, bool]] = field(default_factory=deque)

    @property
    def is_open(self) -> bool:
        """Whether it holds anything back; it stays open until a probe gets through."""
        return self.opened_at is not None

    def may_probe(self, now: datetime) -> bool:
        """Whether it is half-open and its one probe is free."""
        return self.opened_at is not None and now >= self.opened_at + self.rules.open_for and self.probes == 0

    def learn(self, outcome: Outcome, *, at: datetime) -> bool:
        """Take in how an attempt ended; returns whether the breaker closed by it."""
        if outcome in NOT_THEIRS:
            return False
        is_success = outcome in SUCCESSES
        self._recent.append((at, is_success))
        while self._recent and self._recent[0][0] <= at - self.rules.window:
            self._recent.popleft()
        if is_success:
            closes = self.opened_at is not None
            self.failures_in_a_row = 0
            if closes:
                # What failed before the endpoint came back must not open it again at the next failure.
                self.opened_at = None
                self._recent.clear()
            return closes
        self.failures_in_a_row += 1
        if self.opened_at is not None or self._is_failing():
            self.opened_at = at
        return False

    def _is_failing(self) -> bool:
        if self.failures_in_a_row >= self.rules.consecutive:
            return True
        failed = sum(not is_success for _, is_success in self._recent)
        return len(self._recent) >= self.rules.sample and failed > self.rules.share * len(self._recent)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due delivery in front of an open breaker.

    Attributes:
        held_since: when it was first held back, ``None`` for one that was not.
        attempts: how many were made.
    """

    urgency: Urgency
    attempts: int
    deadline: datetime | None
    held_since: datetime | None


def hold_until(
    breaker: Breaker, candidate: Candidate, *, tier: Tier, now: datetime, probes_next: bool
) -> datetime | None:
    """Until when an open breaker holds this delivery back; ``None`` lets it through.

    Never longer than :func:`longest_wait` in all, counted from when it was first held. Immediate and urgent
    notices pierce it: their own pace spares the endpoint enough, and their minutes are not the breaker's to
    spend (an endpoint that came back after seconds was held for minutes).

    Args:
        probes_next: whether it shall be there when the breaker is half-open. One is enough: all the others
            are woken when the breaker closes, and looking at each of them every time would be for nothing.
    """
    if breaker.opened_at is None:
        return None
    since = candidate.held_since or now
    longest = longest_wait(tier=tier, now=since, deadline=candidate.deadline)
    limit = None if longest is None else since + longest
    if limit is not None and candidate.held_since is not None and now >= limit:
        return None
    if candidate.urgency is not Urgency.ROUTINE:
        return None
    if breaker.may_probe(now):
        return None
    half_open_at = breaker.opened_at + breaker.rules.open_for
    wakeup = (
        half_open_at if probes_next and half_open_at > now else now + OTHERS_WAIT * breaker.rules.open_for
    )
    return wakeup if limit is None else min(wakeup, limit)


@dataclass(slots=True)
class Bucket:
    """Tokens of one endpoint: one a notice, refilled by time; immediate notices take none.

    Attributes:
        rate: tokens a second, also the most that gather.
    """

    rate: float
    tokens: float = 0.0
    filled_at: datetime | None = None

    def available(self, now: datetime) -> int:
        """Whole tokens that are there now."""
        if self.filled_at is None:
            self.tokens = self.rate
        else:
            passed = max(0.0, (now - self.filled_at).total_seconds())
            self.tokens = min(self.rate, self.tokens + passed * self.rate)
        self.filled_at = now
        return max(0, int(self.tokens))

    def take(self, number: int) -> None:
        """Spend tokens; a debt is paid by time."""
        self.tokens -= number

    def wait(self) -> timedelta:
        """How long until the next whole token."""
        return timedelta(seconds=max(0.0, (1.0 - self.tokens) / self.rate))
