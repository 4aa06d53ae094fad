"""The life of a delivery: every state and every fact, none left to chance."""

from itertools import product

import pytest

from notifier.domain.delivery import FINAL, OPEN, RESULT, Fact, Outcome, Reason, State, states_before, step

EXPECTED = {
    (State.WAITING, Fact.CLAIMED): State.LEASED,
    (State.WAITING, Fact.ACCEPTED): State.TRANSMITTED,
    (State.WAITING, Fact.PULLED): State.TRANSMITTED,
    (State.WAITING, Fact.ROUTED): State.WAITING,
    (State.WAITING, Fact.ROUTE_LOST): State.WAITING,
    (State.WAITING, Fact.SILENT): State.WAITING,
    (State.WAITING, Fact.RECEIPT): State.ACKNOWLEDGED,
    (State.WAITING, Fact.REJECTION): State.REJECTED,
    (State.WAITING, Fact.CANCELLED): State.CANCELLED,
    (State.WAITING, Fact.SUPERSEDED): State.SUPERSEDED,
    (State.WAITING, Fact.REDRIVEN): State.WAITING,
    (State.LEASED, Fact.ACCEPTED): State.TRANSMITTED,
    (State.LEASED, Fact.PULLED): State.TRANSMITTED,
    (State.LEASED, Fact.FAILED): State.WAITING,
    (State.LEASED, Fact.UNANSWERED): State.WAITING,
    (State.LEASED, Fact.LEASE_EXPIRED): State.WAITING,
    (State.LEASED, Fact.ROUTE_LOST): State.WAITING,
    (State.LEASED, Fact.GONE): State.DEAD,
    (State.LEASED, Fact.RECEIPT): State.ACKNOWLEDGED,
    (State.LEASED, Fact.REJECTION): State.REJECTED,
    (State.TRANSMITTED, Fact.SILENT): State.TRANSMITTED,
    (State.TRANSMITTED, Fact.BOUNCED): State.WAITING,
    (State.TRANSMITTED, Fact.GONE): State.DEAD,
    (State.TRANSMITTED, Fact.RECEIPT): State.ACKNOWLEDGED,
    (State.TRANSMITTED, Fact.REJECTION): State.REJECTED,
    (State.DEAD, Fact.ACCEPTED): State.TRANSMITTED,
    (State.DEAD, Fact.PULLED): State.TRANSMITTED,
    (State.DEAD, Fact.RECEIPT): State.ACKNOWLEDGED,
    (State.DEAD, Fact.REJECTION): State.REJECTED,
    (State.DEAD, Fact.REDRIVEN): State.WAITING,
    **{(state, Fact.SHUT_OUT): State.CANCELLED for state in (*OPEN, State.DEAD)},
}


@pytest.mark.parametrize(("state", "fact"), list(product(State, Fact)))
def test_each_fact_leads_exactly_where_the_table_says(state: State, fact: Fact) -> None:
    assert step(state, fact) == EXPECTED.get((state, fact))


def test_nothing_leads_out_of_an_answer() -> None:
    for state, fact in product((State.ACKNOWLEDGED, State.REJECTED, State.CANCELLED, State.SUPERSEDED), Fact):
        assert step(state, fact) is None


def test_open_and_final_are_all_states_and_share_none() -> None:
    assert frozenset(State) == OPEN | FINAL
    assert not OPEN & FINAL


def test_only_a_claim_leads_into_leased() -> None:
    for state, fact in product(State, Fact):
        if step(state, fact) is State.LEASED:
            assert fact is Fact.CLAIMED


def test_no_failure_ends_a_delivery_except_the_agency_saying_gone() -> None:
    for outcome, (fact, reason) in RESULT.items():
        after = step(State.LEASED, fact)
        assert after is not None
        assert (after is State.WAITING) == (reason is not None)
        if after in FINAL:
            assert outcome is Outcome.GONE


def test_every_outcome_means_something() -> None:
    assert set(RESULT) == set(Outcome)


def test_silence_after_sending_is_an_unknown_outcome_and_no_failure() -> None:
    assert RESULT[Outcome.NO_ANSWER][1] is Reason.UNKNOWN_OUTCOME
    assert RESULT[Outcome.LEASE_EXPIRED][1] is Reason.UNKNOWN_OUTCOME
    assert RESULT[Outcome.UNREACHABLE][1] is Reason.RETRY


def test_states_before_a_fact_are_the_guard_of_its_update() -> None:
    for fact in Fact:
        assert set(states_before(fact)) == {state for state in State if step(state, fact) is not None}
