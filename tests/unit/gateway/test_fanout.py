from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from gateway.domain.fanout import (
    AlertRow,
    Attempt,
    Delivery,
    Duty,
    Outcome,
    axis_for,
    clock_of,
    count_states,
    instants_of,
    lanes_of,
    outcome_of,
    tally,
)

START = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
NOW = START + timedelta(seconds=8)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_delivery(state: str = "waiting", *, role: str = "internal_affairs", **facts: object) -> Delivery:
    return Delivery(id=uuid4(), role=role, state=state, **{"urgency": "immediate", **facts})  # type: ignore[arg-type]  # facts of the test


def test_an_axis_ends_at_a_round_time_after_the_last_thing_that_happened() -> None:
    assert axis_for(START, [after(1.2)], NOW).span == 2
    assert axis_for(START, [after(3), after(40)], after(50)).span == 60
    assert axis_for(START, [], after(500)).span == 600


def test_an_axis_stands_still_while_nothing_happens() -> None:
    assert axis_for(START, [after(9)], after(10)) == axis_for(START, [after(9)], after(300))


def test_early_and_late_marks_both_have_room() -> None:
    axis = axis_for(START, [after(80_000)], after(80_000))
    assert 0.05 < axis.share(after(1)) < axis.share(after(10)) < axis.share(after(600)) < 1
    assert axis.share(START - timedelta(seconds=5)) == 0
    assert axis.share(after(10_000_000)) == 1
    shares = [tick.share for tick in axis.ticks()]
    assert shares == sorted(shares)


def test_an_accepted_attempt_stands_for_the_transmission() -> None:
    told = a_delivery(
        "transmitted", transmitted_at=after(1), attempts=(Attempt(1, after(0.2), after(1), "accepted", 200),)
    )
    lane = lanes_of([told], axis_for(START, instants_of(told), NOW), NOW)[0]
    assert [mark.kind for mark in lane.marks] == ["accepted"]
    assert lane.marks[0].at == after(1)
    assert lane.marks[0].began is not None
    assert lane.marks[0].began < lane.marks[0].share


def test_what_still_waits_stands_on_top_and_the_order_is_steady() -> None:
    answered = a_delivery("acknowledged", role="a", acknowledged_at=after(2))
    waiting = a_delivery("waiting", role="z")
    dead = a_delivery("dead", role="m")
    axis = axis_for(START, [], NOW)
    assert [lane.delivery.role for lane in lanes_of([answered, waiting, dead], axis, NOW)] == ["m", "z", "a"]


@pytest.mark.parametrize(
    ("delivery", "calls"),
    [
        (a_delivery("dead"), True),
        (a_delivery("rejected"), True),
        (a_delivery("waiting", reason="blocked:no_route"), True),
        (a_delivery("transmitted", transmitted_at=after(1), escalation_level=1), True),
        (a_delivery("waiting", reason="retry"), False),
        (a_delivery("acknowledged", acknowledged_at=after(1), escalation_level=2), False),
    ],
)
def test_a_lane_calls_for_a_person_when_nothing_moves_by_itself(delivery: Delivery, *, calls: bool) -> None:
    assert lanes_of([delivery], axis_for(START, [], NOW), NOW)[0].calls_for_a_person is calls


def test_before_it_is_told_the_strictest_duty_gives_the_clock_and_then_the_answer() -> None:
    duties = (Duty("R136-8a", due_at=after(900)), Duty("R136-12.1", due_at=after(3600)))
    waiting = clock_of(a_delivery("waiting", duties=duties), NOW)
    assert waiting is not None
    assert (waiting.kind, waiting.due_at, waiting.overdue) == ("send", after(900), False)
    told = clock_of(
        a_delivery("transmitted", duties=duties, transmitted_at=after(1), ack_due_at=after(5)), NOW
    )
    assert told is not None
    assert (told.kind, told.overdue) == ("answer", True)
    assert clock_of(a_delivery("acknowledged", acknowledged_at=after(2)), NOW) is None


def test_an_outcome_that_is_newer_than_this_code_is_drawn_as_unknown() -> None:
    assert outcome_of(Attempt(1, START, START, "teleported")) is Outcome.UNKNOWN
    assert outcome_of(Attempt(1, START)) is Outcome.RUNNING


def test_counts_begin_with_what_is_worst() -> None:
    states = [a_delivery(state) for state in ("acknowledged", "waiting", "dead", "acknowledged")]
    assert list(count_states(states).items()) == [("dead", 1), ("waiting", 1), ("acknowledged", 2)]


def test_a_row_counts_what_counts() -> None:
    row = AlertRow(uuid4(), START, states={"acknowledged": 2, "dead": 1, "cancelled": 3})
    assert (row.total, row.answered, row.stuck) == (3, 2, 1)
    assert tally([row, row]).stuck == 2
