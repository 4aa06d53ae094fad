"""The store's time, carried on by a steady clock: whatever this machine believes, answers bound the error."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.timing import MEASURED_EVERY, ClockUnknown, StoreClock

START = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
MICROSECOND = 1e-6


class Machine:
    """Its steady clock runs a little fast or slow; the store's time is the truth."""

    def __init__(self, drift: float, booted: float) -> None:
        self.drift, self.booted, self.passed = drift, booted, 0.0
        self.clock = StoreClock(lambda: self.booted + self.passed * (1 + self.drift))

    @property
    def truth(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    @property
    def error(self) -> float:
        return abs((self.clock() - self.truth).total_seconds())

    def ask(self, there: float, back: float) -> float:
        """One question; returns how long the answer took by the machine's own clock."""
        asked = self.clock.seconds()
        self.passed += there
        said = self.truth
        self.passed += back
        answered = self.clock.seconds()
        self.clock.take(said, asked=asked, answered=answered)
        return answered - asked


ways = st.floats(0, 5)
questions = st.lists(st.tuples(ways, ways, st.floats(0, 60)), min_size=1, max_size=12)


@given(drift=st.floats(-1e-4, 1e-4), booted=st.floats(0, 1e8), asked=questions)
def test_an_answer_bounds_the_error_by_the_time_that_it_took(
    drift: float, booted: float, asked: list[tuple[float, float, float]]
) -> None:
    machine = Machine(drift, booted)
    for there, back, pause in asked:
        took = machine.ask(there, back)
        assert machine.error <= took * (1 + 2 * abs(drift)) + 1e-4  # floats of large uptimes are coarse
        machine.passed += pause


@given(drift=st.floats(-1e-4, 1e-4), quick=st.floats(0, 0.01), slow=st.floats(0, 5))
def test_a_slow_answer_does_not_spoil_what_a_quick_one_said(drift: float, quick: float, slow: float) -> None:
    machine = Machine(drift, 0)
    machine.ask(quick / 2, quick / 2)
    machine.passed += 1
    machine.ask(0, slow)
    assert machine.error <= quick + 2 * abs(drift) * (1 + slow) + 10 * MICROSECOND


def test_a_store_that_moved_to_a_machine_with_another_time_is_followed() -> None:
    machine = Machine(0, 0)
    machine.ask(0.001, 0.001)
    asked = machine.clock.seconds()
    machine.clock.take(machine.truth - timedelta(hours=1), asked=asked, answered=asked)
    assert machine.clock() == machine.truth - timedelta(hours=1)


def test_it_is_asked_again_in_time() -> None:
    machine = Machine(0, 1000)
    assert machine.clock.is_stale
    machine.ask(0, 0)
    assert not machine.clock.is_stale
    machine.passed += MEASURED_EVERY + 1
    assert machine.clock.is_stale


def test_nobody_knows_the_time_before_the_first_answer() -> None:
    with pytest.raises(ClockUnknown):
        StoreClock()()
