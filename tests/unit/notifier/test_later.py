"""Which facts meet a duty: the earliest that counts, whatever the order of telling."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.later import LaterFact, evidence_for, standing

T0 = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
BODY, OTHER = uuid4(), uuid4()

facts = st.builds(
    LaterFact,
    id=st.uuids(version=4),
    code=st.sampled_from(("visit.recorded", "assessment.signed")),
    at=st.integers(0, 48).map(lambda hours: T0 + timedelta(hours=hours)),
    agency=st.sampled_from((None, BODY, OTHER)),
)


def a_fact(hours: int, code: str = "visit.recorded", **more: UUID | None) -> LaterFact:
    return LaterFact(id=more.pop("id", None) or uuid4(), code=code, at=T0 + timedelta(hours=hours), **more)  # type: ignore[arg-type]  # only UUIDs are handed in


def met(told: list[LaterFact], since: datetime | None = None) -> LaterFact | None:
    return evidence_for(("visit.recorded",), standing(told), obliged=BODY, since=since)


@given(st.lists(facts, max_size=8), st.randoms(use_true_random=False))
def test_the_order_and_the_number_of_tellings_change_nothing(told: list[LaterFact], chance: object) -> None:
    again = [*told, *told]
    chance.shuffle(again)  # type: ignore[attr-defined]  # hypothesis' Random
    assert met(again) == met(told)


def test_the_first_that_happened_counts() -> None:
    early, late = a_fact(1), a_fact(5)
    assert met([late, early]) == early


def test_what_happened_before_the_duty_stood_does_not_meet_it() -> None:
    early, late = a_fact(1), a_fact(5)
    assert met([early, late], since=T0 + timedelta(hours=2)) == late
    assert met([early], since=T0 + timedelta(hours=2)) is None


def test_one_body_does_not_meet_the_duty_of_another() -> None:
    assert met([a_fact(1, agency=OTHER)]) is None
    assert met([a_fact(1, agency=BODY)]) is not None
    assert met([a_fact(1, agency=None)]) is not None


def test_a_superseded_fact_counts_no_more_in_whatever_order() -> None:
    first = a_fact(1)
    second = LaterFact(id=uuid4(), code=first.code, at=T0 + timedelta(hours=3), replaces=first.id)
    assert met([first, second]) == met([second, first]) == second
