"""The model store: what the repositories promise, without SQL; ``test_contract`` ties it to the real ones.

One call is one transaction. Rows are checked against the constraints of the tables after every change. Where
a promise is a ``WHERE`` clause, it is a small method of its own, so that a planted bug can take it away.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from notifier.domain.delivery import OPEN, Fact, Outcome, Reason, State
from notifier.domain.schedule import ORDER, Urgency
from notifier.repository.claims import Result
from tests.simulation.decisions import Decisions


class Violation(AssertionError):
    """An invariant that does not hold; the text begins with its name."""


class Away(Exception):
    """The database cannot be reached."""


@dataclass(slots=True)
class Row:
    """A delivery."""

    id: UUID
    alert: UUID
    agency: UUID
    number: int
    urgency: Urgency
    deadline: datetime | None
    planned_at: datetime
    state: State
    reason: Reason | None
    wakeup: datetime | None
    digest: str = ""
    attempt: int = 0
    token: UUID | None = None
    endpoint: UUID | None = None
    transmitted_at: datetime | None = None
    acknowledged_at: datetime | None = None
    level: int = 0


@dataclass(slots=True)
class Attempt:
    """One try."""

    delivery: UUID
    no: int
    token: UUID
    endpoint: UUID | None
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What a claim gives: the fields of ``Claimed`` that decide anything."""

    delivery_id: UUID
    token: UUID
    attempt: int
    endpoint_id: UUID
    urgency: Urgency
    deadline: datetime | None
    leased_until: datetime
    digest: str
    url: str | None
    claimed_at: float = 0.0


@dataclass(slots=True)
class Event:
    """An outbox row."""

    id: UUID
    type: str
    payload: tuple[object, ...]
    created_at: datetime
    published_at: datetime | None = None
    token: UUID | None = None
    claimed_until: datetime | None = None
    tries: int = 0


class Queue:
    """Outbox and inbox of one service."""

    def __init__(self) -> None:
        self.outbox: dict[UUID, Event] = {}
        self.inbox: set[tuple[str, UUID]] = set()

    def add(self, event: Event) -> None:
        """A fact to report: part of the caller's transaction."""
        self.outbox[event.id] = event

    def claim_events(self, token: UUID, *, now: datetime, lease: timedelta, limit: int) -> list[Event]:
        """Rows that nobody confirmed and nobody holds, the oldest first."""
        due = [
            one
            for one in self.outbox.values()
            if one.published_at is None and (one.claimed_until is None or one.claimed_until < now)
        ]
        taken = sorted(due, key=lambda one: one.created_at)[:limit]
        for one in taken:
            one.token, one.claimed_until, one.tries = token, now + lease, one.tries + 1
        return [replace(one) for one in taken]

    def settle(
        self, token: UUID, done: Iterable[UUID], failed: Mapping[UUID, timedelta], *, now: datetime
    ) -> None:
        """Mark what came to rest and let the others wait; only under the token that still stands."""
        for event_id in done:
            if (one := self.outbox[event_id]).token == token:
                one.published_at, one.token, one.claimed_until = now, None, None
        for event_id, pause in failed.items():
            if (one := self.outbox[event_id]).token == token:
                one.token, one.claimed_until = None, now + pause

    def first_time(self, consumer: str, event_id: UUID) -> bool:
        """Mark the event as taken; ``False`` when it already was."""
        known = (consumer, event_id) in self.inbox
        self.inbox.add((consumer, event_id))
        return not known


class Store(Queue):
    """Notifier's ledger."""

    def __init__(self, rules: Decisions, *, check: bool = True) -> None:
        super().__init__()
        self.rules = rules
        self.rows: dict[UUID, Row] = {}
        self.attempts: dict[tuple[UUID, int], Attempt] = {}
        self.receipts: dict[UUID, tuple[str, UUID]] = {}
        self.revoked: set[UUID] = set()
        self.acts: list[tuple[str, UUID]] = []
        self.changed: Callable[[Row], None] = lambda _: None
        self._checks = check

    # Clauses that bugs take away

    def is_sendable(self, row: Row, now: datetime) -> bool:
        """Waits, has an endpoint, and its time has come."""
        return (
            row.state is State.WAITING
            and row.endpoint is not None
            and row.wakeup is not None
            and row.wakeup <= now
        )

    def fence_stands(self, row: Row, result: Result) -> bool:
        """Leased under the very token of the result."""
        return row.state is State.LEASED and row.token == result.token

    def may_be_late(self, row: Row, result: Result) -> bool:
        """A success whose lease was lost counts while the delivery can still be transmitted."""
        return result.outcome is Outcome.ACCEPTED and row.state in self.rules.states_before(Fact.ACCEPTED)

    def may_cancel(self, row: Row) -> bool:
        """Only while nothing was sent for sure."""
        return row.state in self.rules.states_before(Fact.CANCELLED)

    def is_watched(self, row: Row) -> bool:
        """What the overdue scan looks at."""
        return row.state in (State.LEASED, State.TRANSMITTED) or (
            row.state is State.WAITING and row.endpoint is None
        )

    # The repository's functions

    def add_deliveries(self, rows: Sequence[Row], attempts: Sequence[Attempt]) -> None:
        """New deliveries with the attempts that were claimed while planning: all or none."""
        known = {(one.alert, one.agency, one.number) for one in self.rows.values()}
        for row in rows:
            if (row.alert, row.agency, row.number) in known:
                raise Violation(f"unique: a second notice {row.number} of one alert to one agency")
            known.add((row.alert, row.agency, row.number))
        for attempt in attempts:
            self.attempts[attempt.delivery, attempt.no] = attempt
        for row in rows:
            self.rows[row.id] = row
            self._put(row)

    def last_numbers(self, alert: UUID) -> dict[UUID, int]:
        """Highest notice number, by agency."""
        found: dict[UUID, int] = {}
        for row in self.rows.values():
            if row.alert == alert:
                found[row.agency] = max(found.get(row.agency, 0), row.number)
        return found

    def claim(
        self, ids: Collection[UUID], token: UUID, *, now: datetime, leases: Mapping[Urgency, datetime]
    ) -> list[Held]:
        """Fence and attempt rows for those of ``ids`` that wait and are due; urgent first."""
        taken = [
            row for one in dict.fromkeys(ids) if (row := self.rows.get(one)) and self.is_sendable(row, now)
        ]
        for row in taken:
            row.state, row.reason, row.token = State.LEASED, None, token
            row.attempt += 1
            row.wakeup = leases[row.urgency]
            self.write_attempt(row, now)
            self._put(row)
        taken.sort(key=lambda row: (ORDER[row.urgency], row.planned_at))
        return [self._held(row, token) for row in taken]

    def write_attempt(self, row: Row, now: datetime) -> None:
        """The attempt is there before any byte is sent."""
        assert row.token is not None
        self.attempts[row.id, row.attempt] = Attempt(row.id, row.attempt, row.token, row.endpoint, now)

    def _held(self, row: Row, token: UUID) -> Held:
        assert row.endpoint is not None
        assert row.wakeup is not None
        url = None if row.endpoint in self.revoked else str(row.endpoint)
        return Held(
            row.id, token, row.attempt, row.endpoint, row.urgency, row.deadline, row.wakeup, row.digest, url
        )

    def is_held(self, delivery: UUID, token: UUID) -> bool:
        """Whether the fence still stands."""
        return self.rows[delivery].token == token

    def write_results(self, results: Sequence[Result]) -> tuple[list[UUID], list[UUID]]:
        """How attempts ended; returns what is transmitted now and what died."""
        transmitted: list[UUID] = []
        died: list[UUID] = []
        for result in results:
            self._end_attempt(result)
            row = self.rows[result.delivery_id]
            if self.fence_stands(row, result):
                row.state, row.reason, row.token = result.state, result.reason, None
                row.wakeup = result.next_wakeup_at
                if result.state is State.TRANSMITTED:
                    row.transmitted_at = result.ended_at
                    transmitted.append(row.id)
                elif result.state is State.DEAD:
                    died.append(row.id)
            elif self.may_be_late(row, result):
                row.state, row.reason, row.token = State.TRANSMITTED, None, None
                row.wakeup, row.transmitted_at = result.next_wakeup_at, result.ended_at
                transmitted.append(row.id)
            else:
                continue
            self._put(row)
        self.acts += [("transmitted", one) for one in transmitted]
        return transmitted, died

    def _end_attempt(self, result: Result) -> None:
        attempt = self.attempts.get((result.delivery_id, result.attempt))
        if (
            attempt is not None
            and attempt.token == result.token
            and attempt.outcome in (None, Outcome.LEASE_EXPIRED)
        ):
            attempt.outcome, attempt.ended_at = result.outcome, result.ended_at

    def find_sendable(
        self, urgency: Urgency, *, now: datetime, without: Collection[UUID], limit: int
    ) -> list[tuple[UUID, UUID]]:
        """Due rows of one urgency, the longest waiting first, leaving out full lanes."""
        due = [
            row
            for row in self.rows.values()
            if row.urgency is urgency and self.is_sendable(row, now) and row.endpoint not in without
        ]
        due.sort(key=_wakeup)
        return [(row.id, row.endpoint) for row in due[:limit] if row.endpoint is not None]

    def lock_overdue(self, *, now: datetime, limit: int) -> list[Row]:
        """Watched rows whose wake-up passed."""
        due = [
            row
            for row in self.rows.values()
            if row.wakeup is not None and row.wakeup <= now and self.is_watched(row)
        ]
        return sorted(due, key=_wakeup)[:limit]

    def reap(self, row: Row, *, now: datetime) -> None:
        """A lease that ran out: nobody knows whether it was sent (``service.overdue``)."""
        attempt = self.attempts.get((row.id, row.attempt))
        if attempt is not None and attempt.outcome is None:
            attempt.outcome, attempt.ended_at = Outcome.LEASE_EXPIRED, now
        state = self.rules.step(row.state, Fact.LEASE_EXPIRED)
        if state is None:
            raise Violation("I1: no way out of an expired lease")
        row.state, row.reason, row.token, row.wakeup = state, Reason.UNKNOWN_OUTCOME, None, now
        self._put(row)

    def raise_alarm(self, row: Row, *, now: datetime) -> None:
        """One level up, and the next alarm ahead, unless it is still being sent (``service.overdue``)."""
        row.level += 1
        is_being_sent = row.state is State.LEASED or (row.state is State.WAITING and row.endpoint is not None)
        if self.rules.step(row.state, Fact.SILENT) is not None and not is_being_sent:
            row.wakeup = self.rules.next_alarm(tier=self.rules.tiers[row.urgency], now=now)
        self.acts.append(("escalated", row.id))
        self._put(row)

    def add_receipt(self, delivery: UUID, status: str, agency: UUID) -> bool:
        """Store it; ``False`` when one is there."""
        if delivery in self.receipts:
            return False
        self.receipts[delivery] = (status, agency)
        return True

    def answer(self, delivery: UUID, fact: Fact, state: State, *, at: datetime) -> bool:
        """Let a receipt take effect; it proves transmission, too."""
        row = self.rows[delivery]
        if row.state not in self.rules.states_before(fact):
            return False
        if row.transmitted_at is None:
            row.transmitted_at = at
            self.acts.append(("transmitted", delivery))
        row.state, row.reason, row.token, row.wakeup, row.acknowledged_at = state, None, None, None, at
        self._put(row)
        return True

    def cancel(self, delivery: UUID) -> bool:
        """End what was never sent."""
        row = self.rows[delivery]
        if not self.may_cancel(row):
            return False
        row.state, row.reason, row.wakeup, row.token = State.CANCELLED, None, None, None
        self._put(row)
        return True

    def take_from_endpoint(self, endpoint: UUID, *, to: UUID | None, now: datetime) -> int:
        """Move what a revoked endpoint still had; a leased row loses its fence."""
        moved = 0
        for row in self.rows.values():
            if row.endpoint != endpoint or row.state not in self.rules.states_before(Fact.ROUTE_LOST):
                continue
            attempt = self.attempts.get((row.id, row.attempt))
            if attempt is not None and attempt.outcome is None:
                attempt.outcome, attempt.ended_at = Outcome.LEASE_EXPIRED, now
            row.state, row.token, row.wakeup, row.endpoint = State.WAITING, None, now, to
            row.reason = Reason.ENDPOINT_REVOKED if to is None else Reason.NEW
            moved += 1
            self._put(row)
        return moved

    # Constraints of the tables

    def _put(self, row: Row) -> None:
        if self._checks:
            check_row(row)
        self.changed(row)


def check_row(row: Row) -> None:
    """The ``CHECK`` constraints of ``models.deliveries``."""
    if row.state in OPEN and row.wakeup is None:
        raise Violation(f"I1 cannot_be_forgotten: {row.state} without a wake-up")
    if (row.state is State.LEASED) != (row.token is not None):
        raise Violation(f"leased_has_token: {row.state}")
    if (row.state is State.WAITING) != (row.reason is not None):
        raise Violation(f"waiting_has_reason: {row.state}")
    if row.state is State.TRANSMITTED and row.transmitted_at is None:
        raise Violation("transmitted_at")


def _wakeup(row: Row) -> datetime:
    assert row.wakeup is not None
    return row.wakeup
