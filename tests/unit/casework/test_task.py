"""Copies and facts in any order, any number of times: one task."""

from datetime import datetime
from functools import reduce
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from casework.domain.task import Copy, Facts, State, Task
from tests.factories.casework import DAY, T0, a_copy

OBLIGATION = UUID("5b8ed9cf-6c5b-4f0a-8a55-2a3b7f7a1a01")


def test_a_started_clock_replaces_the_projected_one() -> None:
    projected = a_copy(OBLIGATION, due_at=T0 + DAY)
    started = a_copy(OBLIGATION, state=State.OPEN, starts_at=T0 + DAY / 4, due_at=T0 + 2 * DAY)
    assert Task(projected).with_copy(started) == Task(started).with_copy(projected) == Task(started)


def test_a_duty_that_is_met_is_met_even_if_an_older_copy_comes_later() -> None:
    task = (
        Task(a_copy(OBLIGATION)).with_facts(Facts(met_at=T0)).with_copy(a_copy(OBLIGATION, state=State.OPEN))
    )
    assert task.state is State.MET


def test_what_was_late_stays_late_when_it_is_met() -> None:
    task = Task(a_copy()).with_facts(Facts(breached_at=T0 + 2 * DAY)).with_facts(Facts(met_at=T0 + 3 * DAY))
    assert (task.state, task.is_late) == (State.MET, True)


def test_what_was_done_before_the_limit_and_heard_of_after_it_is_not_late() -> None:
    met, breached = Facts(met_at=T0 + DAY), Facts(breached_at=T0 + 2 * DAY)
    task = Task(a_copy(OBLIGATION, breach_at=T0 + 2 * DAY))
    for told in (task.with_facts(met).with_facts(breached), task.with_facts(breached).with_facts(met)):
        assert (told.state, told.is_late, told.breached_at) == (State.MET, False, None)


def test_a_waived_task_is_closed_whatever_copy_comes_later_and_done_is_more_than_waived() -> None:
    waived = Task(a_copy(OBLIGATION)).with_facts(Facts(waived_at=T0))
    assert waived.with_copy(a_copy(OBLIGATION, state=State.OPEN)).state is State.WAIVED
    assert waived.with_facts(Facts(met_at=T0)).state is State.MET


def test_time_alone_changes_nothing() -> None:
    long_ago = a_copy(state=State.OPEN, due_at=datetime.min.replace(tzinfo=T0.tzinfo))
    assert (Task(long_ago).state, Task(long_ago).is_late) == (State.OPEN, False)


instants = st.integers(0, 3).map(lambda n: T0 + n * DAY)
maybe = st.one_of(st.none(), instants)
copies = st.builds(
    a_copy,
    st.just(OBLIGATION),
    state=st.sampled_from(State),
    starts_at=instants,
    due_at=maybe,
    breach_at=maybe,
    assignee=st.sampled_from([None, UUID(int=1), UUID(int=2)]),
)
tellings = st.lists(st.one_of(copies, st.builds(Facts, maybe, maybe, maybe)), max_size=8)


def told(task: Task, telling: Copy | Facts) -> Task:
    return task.with_copy(telling) if isinstance(telling, Copy) else task.with_facts(telling)


@given(copies, tellings, st.data())
def test_the_order_of_arrival_does_not_matter(
    first: Copy, more: list[Copy | Facts], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(more))
    assert reduce(told, more, Task(first)) == reduce(told, shuffled, Task(first))


@given(copies, copies, tellings)
def test_which_copy_comes_first_does_not_matter(one: Copy, other: Copy, more: list[Copy | Facts]) -> None:
    assert reduce(told, more, Task(one).with_copy(other)) == reduce(told, more, Task(other).with_copy(one))


@given(copies, tellings)
def test_repeats_change_nothing(first: Copy, more: list[Copy | Facts]) -> None:
    once = reduce(told, more, Task(first))
    assert reduce(told, [first, *more], once) == once
