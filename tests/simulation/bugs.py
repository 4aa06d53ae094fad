"""Planted bugs: one small change each, of a decision or of a clause of the store. All must be found."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from notifier.domain.delivery import FINAL, OPEN, RESULT, Fact, Outcome, State, step
from notifier.domain.planning import PlannedDelivery, load, next_check
from notifier.domain.receipt import Flaw, find_flaw
from notifier.domain.schedule import ORDER, TIERS, Tier, Urgency, next_alarm, next_attempt
from notifier.repository.claims import Result
from notifier.service.lane import Lane
from tests.simulation.store import Row, Store


@dataclass(frozen=True)
class Bug:
    """Rules that replace the house's, and perhaps a store with a clause less."""

    rules: Mapping[str, object] = field(default_factory=dict)
    store: type[Store] = Store


# The store


class _FenceIgnored(Store):
    def fence_stands(self, row: Row, result: Result) -> bool:
        return row.state is State.LEASED


class _NoAttemptRow(Store):
    def write_attempt(self, row: Row, now: datetime) -> None:
        return


class _LateSuccessDropped(Store):
    def may_be_late(self, row: Row, result: Result) -> bool:
        return False


class _LateSuccessReopens(Store):
    def may_be_late(self, row: Row, result: Result) -> bool:
        return result.outcome is Outcome.ACCEPTED


class _LeaseNeverEnds(Store):
    def is_watched(self, row: Row) -> bool:
        return row.state is not State.LEASED and super().is_watched(row)


class _SilenceUnseen(Store):
    def is_watched(self, row: Row) -> bool:
        return row.state is not State.TRANSMITTED and super().is_watched(row)


class _ClaimsEarly(Store):
    def is_sendable(self, row: Row, now: datetime) -> bool:
        return row.state is State.WAITING and row.endpoint is not None


class _ClaimsTwice(Store):
    def is_sendable(self, row: Row, now: datetime) -> bool:
        return row.state in (State.WAITING, State.LEASED) and row.endpoint is not None


class _OnlyWakeups(Store):
    def find_sendable(
        self, urgency: Urgency, *, now: datetime, without: Collection[UUID], limit: int
    ) -> list[tuple[UUID, UUID]]:
        return []


class _NewIdForTheSame(Store):
    def reap(self, row: Row, *, now: datetime) -> None:
        super().reap(row, now=now)
        number = row.number
        row.state, row.reason, row.wakeup, row.number = State.CANCELLED, None, None, -row.attempt
        again = replace(
            row, id=UUID(int=row.id.int ^ 1), number=number, state=State.WAITING, wakeup=now, attempt=0
        )
        again.reason = RESULT[Outcome.LEASE_EXPIRED][1]
        self.rows[again.id] = again
        self._put(again)


class _SleepsAfterReaping(Store):
    def reap(self, row: Row, *, now: datetime) -> None:
        super().reap(row, now=now + timedelta(hours=1))


class _CancelsWhatWasSent(Store):
    def may_cancel(self, row: Row) -> bool:
        return row.state in OPEN


class _RevokedKeepsItsRows(Store):
    def take_from_endpoint(self, endpoint: UUID, *, to: UUID | None, now: datetime) -> int:
        return 0


class _RevokedKeepsItsLeases(Store):
    def take_from_endpoint(self, endpoint: UUID, *, to: UUID | None, now: datetime) -> int:
        held = {one.id: replace(one) for one in self.rows.values() if one.state is State.LEASED}
        for row in held.values():
            self.rows[row.id].endpoint = None
        moved = super().take_from_endpoint(endpoint, to=to, now=now)
        for row in held.values():
            self.rows[row.id].endpoint = row.endpoint
        return moved

    def is_held(self, delivery: UUID, token: UUID) -> bool:
        return True


class _BodyRenderedAgain(Store):
    def reap(self, row: Row, *, now: datetime) -> None:
        row.digest += "'"
        super().reap(row, now=now)


class _InboxForgets(Store):
    def first_time(self, consumer: str, event_id: UUID) -> bool:
        super().first_time(consumer, event_id)
        return True


# Decisions


def _no_wakeup(**given: Any) -> Any:
    return None if given["attempt"] > 3 else next_attempt(**given)


def _unclamped(**given: Any) -> datetime:
    wish = given.pop("retry_after", None)
    at = next_attempt(**given)
    return max(at, given["now"] + wish) if wish is not None else at


def _wish_ignored(**given: Any) -> datetime:
    return next_attempt(**given | {"retry_after": None})


def _jitter_later(**given: Any) -> datetime:
    plain = next_attempt(**given | {"chance": 0.0})
    now: datetime = given["now"]
    later: datetime = plain + (plain - now) * 0.2 * given["chance"]
    return later


def _stops_at_deadline(**given: Any) -> datetime:
    deadline = given["deadline"]
    if deadline is not None and deadline <= given["now"]:
        return next_attempt(**given) + timedelta(days=30)
    return next_attempt(**given)


def _deadline_ignored(**given: Any) -> datetime:
    return next_attempt(**given | {"deadline": None})


def _rejection_counts_as_receipt(state: State, fact: Fact) -> State | None:
    return step(state, Fact.RECEIPT if fact is Fact.REJECTION else fact)


def _final_is_not_final(state: State, fact: Fact) -> State | None:
    return State.ACKNOWLEDGED if state in FINAL and fact is Fact.RECEIPT else step(state, fact)


def _before(fact: Fact) -> tuple[State, ...]:
    return tuple(state for state in State if _final_is_not_final(state, fact) is not None)


def _digest_unchecked(receipt: Any, **given: Any) -> Flaw | None:
    return find_flaw(receipt, **given | {"notice_digest": receipt.notice_digest})


def _loosest_duty(*given: Any) -> Sequence[PlannedDelivery]:
    freight, last, new_id = given
    loose = list(freight)
    by_agency = {item.agency: max(
        (one.urgency for one in loose if one.agency == item.agency), key=ORDER.__getitem__
    ) for item in loose}  # fmt: skip
    return [replace(one, urgency=by_agency[one.agency]) for one in load(loose, last, new_id)]


def _numbers_begin_again(*given: Any) -> Sequence[PlannedDelivery]:
    freight, _, new_id = given
    return load(freight, {}, new_id)


def _numbers_jump(*given: Any) -> Sequence[PlannedDelivery]:
    freight, last, new_id = given
    return load(freight, {agency: number + 1 for agency, number in last.items()}, new_id)


def _one_is_forgotten(*given: Any) -> Sequence[PlannedDelivery]:
    planned = load(*given)
    return planned[:2]


def _no_breach_after_alarm(**given: Any) -> datetime | None:
    return None if given["alarmed"] else next_check(**given)


class _NoKeptPlaces(Lane):
    def has_place(self, urgency: Urgency) -> bool:
        return self.running < self.concurrency


class _NoBulkhead(Lane):
    def has_place(self, urgency: Urgency) -> bool:
        return True


class _ShortLease(Tier):
    @property
    def lease(self) -> timedelta:
        return self.timeout / 20


def _short(tier: Tier) -> Tier:
    return _ShortLease(tier.delays, tier.floor, tier.overdue, tier.timeout, tier.acknowledge_within)


_404_IS_DEATH = {**RESULT, Outcome.REFUSED: RESULT[Outcome.GONE]}
_SILENCE_IS_SUCCESS = {**RESULT, Outcome.NO_ANSWER: RESULT[Outcome.ACCEPTED]}

BUGS: dict[str, Bug] = {
    "a result counts without its fence": Bug(store=_FenceIgnored),
    "the attempt row is written after the sending": Bug({"attempt_row_first": False}, _NoAttemptRow),
    "late success is dropped": Bug(store=_LateSuccessDropped),
    "late success opens what was final": Bug(store=_LateSuccessReopens),
    "a lease that ran out is never reaped": Bug(store=_LeaseNeverEnds),
    "a reaped delivery sleeps for an hour": Bug(store=_SleepsAfterReaping),
    "rows are claimed before their time": Bug(store=_ClaimsEarly),
    "leased rows are claimed again": Bug(store=_ClaimsTwice),
    "only wake-ups find rows": Bug(store=_OnlyWakeups),
    "the same notice under a new id": Bug(store=_NewIdForTheSame),
    "the body is rendered again for a repeat": Bug(store=_BodyRenderedAgain),
    "cancelled after it was sent": Bug(store=_CancelsWhatWasSent),
    "a revoked endpoint keeps what waits": Bug(store=_RevokedKeepsItsRows),
    "a revoked endpoint keeps its leases": Bug({"checks_endpoint": False}, _RevokedKeepsItsLeases),
    "silence after transmission is not watched": Bug(store=_SilenceUnseen),
    "an event takes effect twice": Bug(store=_InboxForgets),
    "an event is marked and never takes effect": Bug({"effect_in_casework": lambda one: one.int % 7 != 0}),
    "a withdrawal takes other alerts along": Bug({"is_same_alert": lambda *_: True}),
    "the inbox is marked in a transaction of its own": Bug({"inbox_with_effect": False}),
    "a fact commits without its event": Bug({"events_with_facts": False}),
    "the outbox is marked before the confirm": Bug({"settle_after_confirm": False}),
    "a fourth failure has no wake-up": Bug({"next_attempt": _no_wakeup}),
    "Retry-After is not clamped": Bug({"next_attempt": _unclamped}),
    "Retry-After is ignored": Bug({"next_attempt": _wish_ignored}),
    "jitter makes later": Bug({"next_attempt": _jitter_later}),
    "trying stops at the deadline": Bug({"next_attempt": _stops_at_deadline}),
    "the deadline does not speed up": Bug({"next_attempt": _deadline_ignored}),
    "silence never climbs": Bug({"next_alarm": lambda **given: next_alarm(**given) + timedelta(days=30)}),
    "404 is death": Bug({"result": _404_IS_DEATH}),
    "no answer is taken for success": Bug({"result": _SILENCE_IS_SUCCESS}),
    "a rejection counts as a receipt": Bug({"step": _rejection_counts_as_receipt}),
    "a receipt opens what was final": Bug({"step": _final_is_not_final, "states_before": _before}),
    "another agency's receipt counts": Bug({"is_same_agency": lambda *_: True}),
    "the digest of a receipt is not checked": Bug({"find_flaw": _digest_unchecked}),
    "a receipt that came before is refused": Bug({"repeats_stored_receipt": False}),
    "urgent notices wait in line": Bug({"rank": lambda _: 0}),
    "no places are kept for immediate notices": Bug({"lane": _NoKeptPlaces}),
    "one endpoint may take every place": Bug({"lane": _NoBulkhead}),
    "as urgent as the loosest duty": Bug({"load": _loosest_duty}),
    "a further notice takes an old number": Bug({"load": _numbers_begin_again}),
    "numbers of notices have gaps": Bug({"load": _numbers_jump}),
    "the third agency is forgotten": Bug({"load": _one_is_forgotten}),
    "an alarm hides the breach": Bug({"next_check": _no_breach_after_alarm}),
    "a lease is shorter than an attempt": Bug(
        {"tiers": {urgency: _short(tier) for urgency, tier in TIERS.items()}, "lease_must_last": False}
    ),
    "a worker trusts its own clock": Bug({"clock_of_database": False}),
}
