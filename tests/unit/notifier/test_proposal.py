"""The second person: whatever is tried, in whatever order, one person alone never does it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.proposal import LIFETIME, Kind, Proposal, State, Verdict, judge

NOW = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
THING = UUID(int=1)
BODY = UUID(int=2)
PERSONS = ("anar", "bolat", "dina")

persons = st.sampled_from(PERSONS)
bodies = st.sampled_from((BODY, UUID(int=3), None))
moments = st.timedeltas(min_value=timedelta(0), max_value=2 * LIFETIME).map(lambda later: NOW + later)


def a_proposal(by: str = "anar", agency: UUID | None = BODY, state: State = State.PROPOSED) -> Proposal:
    confirmed = state is State.CONFIRMED
    return Proposal(
        id=UUID(int=9),
        kind=Kind.WAIVER,
        subject_id=THING,
        agency_id=agency,
        proposed_by=by,
        proposed_at=NOW,
        expires_at=NOW + LIFETIME,
        state=state,
        confirmed_by="bolat" if confirmed else None,
        confirmed_at=NOW if confirmed else None,
    )


def attempt(proposal: Proposal | None, by: str, agency: UUID | None, now: datetime) -> Verdict:
    return judge(proposal, kind=Kind.WAIVER, subject_id=THING, agency_id=agency, by=by, now=now)


@given(st.sampled_from(State), persons, bodies, moments)
def test_who_proposed_never_confirms(state: State, person: str, agency: UUID | None, now: datetime) -> None:
    verdict = attempt(a_proposal(person, agency, state), person, agency, now)
    assert verdict is Verdict.SAME_PERSON


@given(st.sampled_from(State), persons, bodies, bodies, moments)
def test_another_body_never_learns_that_there_is_a_proposal(
    state: State, person: str, mine: UUID | None, theirs: UUID | None, now: datetime
) -> None:
    if mine != theirs:
        assert attempt(a_proposal("anar", theirs, state), person, mine, now) is Verdict.UNKNOWN


@given(persons, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_what_has_expired_is_never_carried_out(person: str, later: timedelta) -> None:
    verdict = attempt(a_proposal(), person, BODY, NOW + LIFETIME + later)
    assert verdict is (Verdict.SAME_PERSON if person == "anar" else Verdict.EXPIRED)


@given(st.sampled_from(Kind), st.uuids(), persons)
def test_a_proposal_serves_only_its_own_kind_and_thing(kind: Kind, thing: UUID, person: str) -> None:
    verdict = judge(a_proposal(), kind=kind, subject_id=thing, agency_id=BODY, by=person, now=NOW)
    assert verdict is Verdict.UNKNOWN


@given(st.lists(st.tuples(persons, bodies, moments), max_size=12))
def test_of_all_attempts_in_any_order_one_at_most_has_an_effect(
    attempts: list[tuple[str, UUID | None, datetime]],
) -> None:
    proposal = a_proposal()
    carried_out = 0
    for person, agency, now in attempts:
        if attempt(proposal, person, agency, now) is Verdict.CARRIED_OUT:
            carried_out += 1
            assert (person != "anar", agency, now < NOW + LIFETIME) == (True, BODY, True)
            proposal = replace(proposal, state=State.CONFIRMED, confirmed_by=person, confirmed_at=now)
    valid = [one for one in attempts if one[0] != "anar" and one[1] == BODY and one[2] < NOW + LIFETIME]
    assert carried_out == min(1, len(valid))


def test_a_replaced_proposal_is_gone() -> None:
    assert attempt(a_proposal(state=State.REPLACED), "bolat", BODY, NOW) is Verdict.UNKNOWN
    assert attempt(None, "bolat", BODY, NOW) is Verdict.UNKNOWN
