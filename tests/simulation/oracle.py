"""What must hold, said again by hand: the seven invariants and the law of conservation (delivery.md §3).

Nothing here asks the house's rules. The oracle sees every row as it changes, every request as it reaches an
agency, and every receipt as it leaves one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from notifier.domain.channel import Answer
from notifier.domain.schedule import Tier, Urgency
from notifier.repository.claims import Result
from tests.simulation.engine import Engine, Process
from tests.simulation.store import Held, Row, Store, Violation

WAYS = {
    "waiting": {"waiting", "leased", "transmitted", "acknowledged", "rejected", "cancelled"},
    "leased": {"waiting", "transmitted", "acknowledged", "rejected", "dead"},
    "transmitted": {"transmitted", "acknowledged", "rejected"},
    "dead": {"transmitted", "acknowledged", "rejected"},
    "acknowledged": set[str](),
    "rejected": set[str](),
    "cancelled": set[str](),
}
"""From the picture in docs/architecture.md."""

REVOCATION_SECONDS = 1.5
"""So long after a revocation an attempt that was just claimed may still begin."""


class Oracle:
    """Raises ``Violation`` at the first thing that is wrong."""

    def __init__(self, engine: Engine, store: Store, tiers: Mapping[Urgency, Tier]) -> None:
        self._engine, self._store, self._tiers = engine, store, tiers
        self.promised: dict[UUID, dict[UUID, list[str]]] = {}
        self.genuine: dict[UUID, set[tuple[UUID, str]]] = defaultdict(set)
        self.excused: dict[UUID, set[int]] = defaultdict(set)
        self.taken: Counter[UUID] = Counter()
        self.ids: dict[tuple[UUID, UUID, int], tuple[UUID, str]] = {}
        self.withdrawn: set[UUID] = set()
        self.revoked_at: dict[UUID, float] = {}
        self.address_of: dict[UUID, UUID] = {}
        self.asked_to_wait: dict[UUID, timedelta] = {}
        self.effects: Counter[tuple[str, UUID]] = Counter()
        self._last: dict[UUID, Row] = {}
        store.changed = self.on_change
        engine.on_crash.append(self._on_crash)
        self.in_hand: dict[str, dict[UUID, int]] = defaultdict(dict)
        self.listeners: list[Callable[[Row], None]] = []

    # Rows

    def on_change(self, row: Row) -> None:
        """Every row after every change."""
        before = self._last.get(row.id)
        if before is not None:
            if row.state.value not in WAYS[before.state.value]:
                raise Violation(f"I6: {before.state} became {row.state}")
            if before.state == "leased" and row.state == "waiting" and row.wakeup == before.wakeup:
                raise Violation("I1: a lease came back without a new wake-up")
            was_due = before.wakeup is None or before.wakeup <= self._engine.now
            if before.state == "waiting" and row.state == "leased" and not was_due:
                raise Violation(f"schedule: claimed too early, before {before.wakeup}")
            if row.attempt < before.attempt:
                raise Violation("I4: attempts were forgotten")
        if row.state == "cancelled" and (row.transmitted_at is not None or self.taken[row.id]):
            at_risk = self.excused[row.id] or (before is not None and before.state == "waiting")
            if not at_risk:
                raise Violation("cancelled after it was sent")
        if row.state == "cancelled" and row.alert not in self.withdrawn:
            raise Violation("lost: cancelled although its alert stands")
        self._check_wakeup(row)
        if row.state in ("acknowledged", "rejected"):
            status = "rejected" if row.state == "rejected" else "received"
            if (row.agency, status) not in self.genuine[row.id]:
                raise Violation(f"I3: {row.state} without a valid receipt of its agency")
        self._last[row.id] = replace(row)
        for told in self.listeners:
            told(row)

    def _check_wakeup(self, row: Row) -> None:
        if row.wakeup is None:
            return
        now, tier = self._engine.now, self._tiers[row.urgency]
        latest = {
            "leased": tier.timeout * 3,
            "transmitted": tier.acknowledge_within,
            "waiting": max(
                _longest_wait(tier, row, now, self.asked_to_wait.get(row.id)), tier.acknowledge_within
            )
            if row.endpoint is None
            else _longest_wait(tier, row, now, self.asked_to_wait.get(row.id)),
        }[row.state.value]
        if row.wakeup > now + latest + timedelta(seconds=1):
            raise Violation(
                f"schedule: {row.state} {row.urgency} sleeps {row.wakeup - now}, at most {latest}"
            )

    def on_result(self, held: Held, answer: Answer, result: Result) -> None:
        """The schedule of one attempt, against the promise."""
        if result.state.value != "waiting" or result.next_wakeup_at is None:
            if result.state == "dead" and answer.outcome.value != "gone":
                raise Violation(f"schedule: dead of {answer.outcome}")
            return
        tier = self._tiers[held.urgency]
        wait = result.next_wakeup_at - result.ended_at
        if wait < tier.floor * 0.79:
            raise Violation(f"schedule: {wait} is below the floor")
        wish = answer.retry_after
        limit = _ceiling(tier, held.deadline, result.ended_at)
        if wish is not None and wait < min(wish, limit) - timedelta(milliseconds=1):
            raise Violation(f"schedule: asked for {wish}, tried after {wait}")

    def on_results_written(self, before: Mapping[UUID, Row], results: list[Result]) -> None:
        """The fence, and late success."""
        for result in results:
            old, new = before[result.delivery_id], self._store.rows[result.delivery_id]
            stale = old.state != "leased" or old.token != result.token
            if stale and result.outcome.value != "accepted" and _decided(old) != _decided(new):
                raise Violation("I6: a fenced out worker changed its delivery")
            if result.outcome.value == "accepted" and new.state in ("waiting", "leased", "dead"):
                raise Violation("late success was dropped")

    # Requests

    def on_send(self, process: Process, held: Held) -> None:
        """The first byte leaves."""
        attempt = self._store.attempts.get((held.delivery_id, held.attempt))
        if attempt is None or attempt.token != held.token:
            raise Violation("I4: sent without an attempt row")
        self.in_hand[process.name][held.delivery_id] = held.attempt
        revoked = self.revoked_at.get(held.endpoint_id)
        if revoked is not None and self._engine.seconds > revoked + REVOCATION_SECONDS:
            raise Violation("misrouted: sent to a revoked endpoint")
        if process.stalled_until > self._engine.seconds - 1:
            self.excuse(held)  # it was stopped between its last look at the lease and the first byte
        row = self._store.rows[held.delivery_id]
        if row.state == "cancelled" and attempt.outcome is None:
            raise Violation("sent after it was cancelled")

    def on_place(self, held: Held, lane: Any) -> None:
        """An attempt took a place of its lane: here the order is decided, the first byte may still wait."""
        concurrency = lane.concurrency
        if lane.running > concurrency:
            raise Violation(f"bulkhead: {lane.running} at once, {concurrency} places")
        if held.urgency.value == "immediate":
            return
        kept = 0 if concurrency == 1 else max(1, concurrency // 4)
        if lane.running - lane.running_immediate > concurrency - kept:
            raise Violation("urgent first: the places of immediate notices are taken")
        if any(one.urgency.value == "immediate" for _, _, one in lane.queue):
            raise Violation("urgent first: an immediate notice waits behind another")

    def on_take(self, agency: UUID, held: Held, *, stored: bool) -> None:
        """A request reached an agency; ``stored`` when the agency has it now."""
        row = self._store.rows[held.delivery_id]
        if agency not in self.promised.get(row.alert, {}):
            raise Violation("I2: an agency got what was not planned for it")
        known = self.ids.setdefault((agency, row.alert, row.number), (row.id, held.digest))
        if known[0] != row.id:
            raise Violation("I5: the same notice under a new id")
        if known[1] != held.digest:
            raise Violation("I5: the same notice with other bytes")
        if stored:
            self.taken[row.id] += 1
            if self.taken[row.id] - 1 > len(self.excused[row.id]):
                raise Violation("I7: more repeats than ambiguous ends")

    def excuse(self, held: Held) -> None:
        """An ambiguous end was injected into this attempt."""
        self.excused[held.delivery_id].add(held.attempt)

    def excuse_process(self, process: Process) -> None:
        """Whatever this process has in hand may come again."""
        for delivery, attempt in self.in_hand[process.name].items():
            self.excused[delivery].add(attempt)

    def excuse_all(self) -> None:
        """Nothing that is in hand anywhere can be written now."""
        for hand in self.in_hand.values():
            for delivery, attempt in hand.items():
                self.excused[delivery].add(attempt)

    def _on_crash(self, process: Process) -> None:
        self.excuse_process(process)
        self.in_hand[process.name].clear()

    # The end

    def conservation(self, reported: Collection[tuple[str, UUID]]) -> None:
        """Planned = final + open, and nothing beside it.

        Args:
            reported: reader and event of everything that was written to an outbox.
        """
        self._check_planned()
        self._check_told()
        for reader, event in sorted({*reported, *self.effects}):
            times = self.effects[reader, event]
            if times != 1:
                raise Violation(f"inbox: {reader} took one event {times} times ({event})")

    def _check_planned(self) -> None:
        for row in self._store.rows.values():
            numbers = [
                one.number
                for one in self._store.rows.values()
                if (one.alert, one.agency) == (row.alert, row.agency)
            ]
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                raise Violation(f"conservation: notices {sorted(numbers)} of one alert to one agency")
        for alert, agencies in self.promised.items():
            planned = {row.agency for row in self._store.rows.values() if row.alert == alert}
            if planned != set(agencies):
                raise Violation(f"lost: {len(agencies)} agencies promised, {len(planned)} planned")
        told = Counter(delivery for act, delivery in self._store.acts if act == "transmitted")
        for row in self._store.rows.values():
            expected = 1 if row.transmitted_at is not None else 0
            if told[row.id] != expected:
                raise Violation(f"I6: transmitted {expected} times, written down {told[row.id]} times")

    def _check_told(self) -> None:
        for row in self._store.rows.values():
            if row.wakeup is not None and row.wakeup < self._engine.now - timedelta(seconds=60):
                raise Violation(f"I1: {row.state} overdue by {self._engine.now - row.wakeup}")
        reported = {one.payload[0] for one in self._store.outbox.values()}
        for row in self._store.rows.values():
            if row.transmitted_at is not None and row.id not in reported:
                raise Violation("lost: nobody was told that it was transmitted")

    def urgency(self, row: Row) -> None:
        """A delivery is as urgent as its strictest duty."""
        wanted = self.promised.get(row.alert, {}).get(row.agency)
        if wanted and row.number <= len(wanted) and row.urgency.value != wanted[row.number - 1]:
            raise Violation(f"urgency: {row.urgency}, promised {wanted[row.number - 1]}")


def _decided(row: Row) -> tuple[object, ...]:
    return (row.state, row.reason, row.wakeup, row.token, row.transmitted_at, row.endpoint)


def _ceiling(tier: Tier, deadline: datetime | None, at: datetime) -> timedelta:
    if deadline is None:
        return tier.delays[-1]
    return max(tier.floor, (deadline - at) / 6) if deadline > at else tier.overdue


def _longest_wait(tier: Tier, row: Row, now: datetime, asked: timedelta | None) -> timedelta:
    ceiling = _ceiling(tier, row.deadline, now - timedelta(hours=2) if row.deadline is None else now)
    usual = max(tier.floor, min(tier.delays[min(max(row.attempt, 1), len(tier.delays)) - 1], ceiling))
    if row.deadline is not None and row.deadline <= now:
        usual = tier.overdue
    if asked is not None and asked > usual:
        return max(usual, min(asked, ceiling))
    return usual
