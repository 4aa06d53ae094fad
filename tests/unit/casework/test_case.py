from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from casework.domain.case import COORDINATING, Coordinator, choose_coordinator

REGIONAL, GUARDIAN = COORDINATING


def test_nobody_is_known_to_coordinate_at_first() -> None:
    assert choose_coordinator([]) is None


def test_the_regional_body_goes_before_guardianship() -> None:
    regional, guardian = Coordinator(REGIONAL, UUID(int=1)), Coordinator(GUARDIAN, UUID(int=9))
    assert choose_coordinator([guardian, regional]) == regional


@given(st.lists(st.builds(Coordinator, st.sampled_from(COORDINATING), st.uuids()), max_size=5))
def test_the_choice_does_not_depend_on_the_order(candidates: list[Coordinator]) -> None:
    one_by_one: Coordinator | None = None
    for candidate in reversed(candidates):
        one_by_one = choose_coordinator([c for c in (one_by_one, candidate) if c])
    assert choose_coordinator(candidates) == one_by_one
