"""Stories out of seeds: whatever fails, stalls, doubles or lies, I1-I7 and the law of conservation hold."""

import os
import sys
from collections.abc import Callable

import pytest

from tests.simulation.__main__ import repeat
from tests.simulation.bugs import BUGS
from tests.simulation.store import Violation
from tests.simulation.world import World, play

SEEDS = int(os.environ.get("DABYL_SIMULATION_SEEDS", "300"))
"""``make faults`` plays ten thousand."""

FIND_WITHIN = 1000
"""Seeds in which every planted bug must be found; most need fewer than ten."""


@pytest.mark.timeout(1800)
def test_no_seed_breaks_an_invariant(record_property: Callable[[str, object], None]) -> None:
    steps = 0
    for seed in range(SEEDS):
        try:
            steps += play(seed).engine.steps
        except Violation as violation:
            pytest.fail(f"{violation}; repeat: {repeat(seed)}")
    record_property("simulation", f"{SEEDS} seeds, {steps} steps, 0 violations")


@pytest.mark.parametrize("seed", [1, 22, 333])
def test_the_same_seed_is_the_same_story(seed: int) -> None:
    first, again, other = play(seed), play(seed), play(seed + 1)
    assert first.engine.hash == again.engine.hash
    assert first.engine.hash != other.engine.hash
    assert first.store.rows == again.store.rows


def test_the_stories_hold_what_they_are_for() -> None:
    """Crashes, repeats, late answers, cancellations, every final state: a tame simulation proves nothing."""
    worlds = [play(seed) for seed in range(100)]
    assert sum(each.process.crashes for one in worlds for each in one.workers) > 50
    assert sum(count - 1 for one in worlds for count in one.oracle.taken.values() if count > 1) > 10
    states = {row.state.value for one in worlds for row in one.store.rows.values()}
    assert states >= {"acknowledged", "rejected", "cancelled", "dead", "transmitted"}
    outcomes = {each.outcome.value for one in worlds for each in one.store.attempts.values() if each.outcome}
    assert outcomes >= {
        "accepted", "refused", "redirected", "throttled", "failed", "unreachable", "no_answer", "gone",
        "lease_expired", "unsendable",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["worker-1", "intake-1"])
def test_a_process_may_die_at_any_await_point(name: str) -> None:
    """One story without chance, ended and begun again at each of its first steps in turn."""
    calm = World(5, crash_at=(name, 10**9))
    calm.play()
    [steps] = [each.steps for each in calm.processes if each.name == name]
    points = range(1, min(steps, int(os.environ.get("DABYL_SIMULATION_POINTS", "80"))))
    assert len(points) > 20
    for step in points:
        try:
            play(5, crash_at=(name, step))
        except Violation as violation:
            pytest.fail(f"{name} ended at its step {step}: {violation}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str, record_property: Callable[[str, object], None]) -> None:
    bug = BUGS[name]
    for seed in range(FIND_WITHIN):
        try:
            play(seed, bug.rules, bug.store)
        except Violation as violation:
            found = f"seed {seed}, after {seed + 1}: {violation}"
            record_property(name, found)
            sys.stdout.write(f"{name}: {found}\n")  # shown by `pytest -rP`
            return
    pytest.fail(f"not found in {FIND_WITHIN} seeds: {name}")
