"""The decisions under test: ours, as the services make them, each replaceable by a planted bug.

Nothing is written again here that can be called. What stands in SQL alone is stated by ``store`` and tied
to the real repository by ``test_contract``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from common.outbox import LEASE, pause_after
from notifier.domain.channel import Answer
from notifier.domain.delivery import RESULT, Fact, Outcome, Reason, State, states_before, step
from notifier.domain.planning import PlannedDelivery, load, next_check
from notifier.domain.receipt import Flaw, find_flaw
from notifier.domain.schedule import ORDER, TIERS, Tier, Urgency, next_alarm, next_attempt, urgency_of
from notifier.repository.claims import Result
from notifier.service import results as results_of_service
from notifier.service.dispatch import LOOK_AGAIN_AFTER
from notifier.service.lane import Lane


@dataclass
class Decisions:
    """What the actors ask. The defaults are the house's own functions."""

    step: Callable[[State, Fact], State | None] = step
    states_before: Callable[[Fact], tuple[State, ...]] = states_before
    result: Mapping[Outcome, tuple[Fact, Reason | None]] = field(default_factory=lambda: RESULT)
    next_attempt: Callable[..., datetime] = next_attempt
    next_alarm: Callable[..., datetime] = next_alarm
    urgency_of: Callable[[timedelta | None], Urgency] = urgency_of
    load: Callable[..., Sequence[PlannedDelivery]] = load
    next_check: Callable[..., datetime | None] = next_check
    find_flaw: Callable[..., Flaw | None] = find_flaw
    pause_after: Callable[[int], timedelta] = pause_after
    lane: Callable[..., Lane] = Lane
    rank: Callable[[Urgency], int] = ORDER.__getitem__
    tiers: Mapping[Urgency, Tier] = field(default_factory=lambda: TIERS)
    outbox_lease: timedelta = LEASE
    look_again_after: timedelta = LOOK_AGAIN_AFTER
    # Choices of the actors, which the services make in a line of code each.
    attempt_row_first: bool = True
    is_same_agency: Callable[[Any, Any], bool] = lambda one, other: bool(one == other)
    is_same_alert: Callable[[Any, Any], bool] = lambda one, other: bool(one == other)
    settle_after_confirm: bool = True
    inbox_before_effect: bool = True
    inbox_with_effect: bool = True
    effect_in_casework: Callable[[Any], bool] = lambda _event: True
    events_with_facts: bool = True
    lease_must_last: bool = True
    checks_endpoint: bool = True
    clock_of_database: bool = True
    repeats_stored_receipt: bool = True

    def judge(self, held: Any, answer: Answer, *, ended_at: datetime, chance: float) -> Result:
        """``service.results.judge`` with these rules and this chance."""
        module: Any = results_of_service
        kept = {name: getattr(module, name) for name in ("RESULT", "step", "next_attempt", "next_alarm")}
        module.RESULT, module.step = self.result, self.step
        module.next_attempt, module.next_alarm = self.next_attempt, self.next_alarm
        dice, module._CHANCE = module._CHANCE, SimpleNamespace(random=lambda: chance)
        try:
            made: Result = module.judge(SimpleNamespace(tiers=self.tiers), held, answer, ended_at=ended_at)
        finally:
            module._CHANCE = dice
            for name, value in kept.items():
                setattr(module, name, value)
        return made
