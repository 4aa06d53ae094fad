"""Who holds a role: examples from the law, then the rules for every register there can be."""

from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.agency import STAND_INS, Absence, Interval, Mandate, resolve
from registry.errors import IntervalInverted
from tests.factories.registry import DAY, T0, a_mandate, an_absence

ALMATY = ("KZ-75", "KZ")
BODY = "regional_child_rights_body"
GUARDIAN = "guardianship_body"


def test_the_holder_of_the_territory_is_found() -> None:
    police = a_mandate()
    found = resolve("internal_affairs", ALMATY, T0, [police, a_mandate(territory="KZ-71")], [])
    assert found is not None
    assert (found.agency_id, found.territory, found.stands_in) == (police.agency_id, "KZ-75", False)


def test_the_nearest_territory_wins_and_else_the_one_above() -> None:
    ministry, police = a_mandate(territory="KZ"), a_mandate()
    near = resolve("internal_affairs", ALMATY, T0, [ministry, police], [])
    above = resolve("internal_affairs", ("KZ-71", "KZ"), T0, [ministry, police], [])
    assert near is not None
    assert above is not None
    assert (near.agency_id, above.agency_id) == (police.agency_id, ministry.agency_id)


def test_a_holder_that_is_not_primary_is_never_told() -> None:
    school = a_mandate("education_org", primary=False)
    assert resolve("education_org", ALMATY, T0, [school], []) is None


def test_a_mandate_counts_from_its_first_instant_until_just_before_its_end() -> None:
    mandates = [a_mandate(valid_from=T0, valid_until=T0 + DAY)]
    seen = [
        resolve("internal_affairs", ALMATY, at, mandates, []) is not None
        for at in (T0 - DAY / 1000, T0, T0 + DAY - DAY / 1000, T0 + DAY)
    ]
    assert seen == [False, True, True, False]


def test_guardianship_stands_in_where_the_regional_body_is_declared_absent() -> None:
    guardian = a_mandate(GUARDIAN)
    found = resolve(BODY, ALMATY, T0, [guardian, a_mandate(BODY)], [an_absence()])
    assert found is not None
    assert (found.agency_id, found.role, found.stands_in) == (guardian.agency_id, GUARDIAN, True)


def test_a_missing_regional_body_is_a_gap_and_no_absence() -> None:
    assert resolve(BODY, ALMATY, T0, [a_mandate(GUARDIAN)], []) is None


def test_an_absence_counts_only_in_its_territory_and_time() -> None:
    mandates = [a_mandate(GUARDIAN)]
    elsewhere = an_absence(territory="KZ-71")
    over = an_absence(valid_until=T0 + DAY)
    assert resolve(BODY, ALMATY, T0, mandates, [elsewhere]) is None
    assert resolve(BODY, ALMATY, T0 + DAY, mandates, [over]) is None


def test_an_absence_speaks_for_the_territories_below_and_not_above() -> None:
    mandates = [a_mandate(GUARDIAN), a_mandate(BODY, "KZ")]
    everywhere, here = an_absence(territory="KZ"), an_absence()
    below = resolve(BODY, ALMATY, T0, mandates, [everywhere])
    above = resolve(BODY, ("KZ",), T0, mandates, [here])
    assert below is not None
    assert below.stands_in
    assert above is not None
    assert not above.stands_in


def test_nobody_stands_in_for_other_bodies() -> None:
    absent = an_absence("child_violence_help_cabinet")
    assert resolve("child_violence_help_cabinet", ALMATY, T0, [a_mandate(GUARDIAN)], [absent]) is None


def test_where_the_stand_in_is_missing_too_there_is_no_route() -> None:
    assert resolve(BODY, ALMATY, T0, [a_mandate(BODY)], [an_absence()]) is None


def test_an_interval_cannot_end_before_it_begins() -> None:
    with pytest.raises(IntervalInverted):
        Interval(T0, T0 - DAY)


instants = st.integers(-3, 3).map(lambda n: T0 + n * DAY)
intervals = st.builds(
    lambda start, length: Interval(start, None if length is None else start + length * DAY),
    instants,
    st.one_of(st.none(), st.integers(0, 4)),
)
roles = st.sampled_from([BODY, GUARDIAN, "internal_affairs"])
places = st.sampled_from(["KZ", "KZ-75", "KZ-71"])
mandate_lists = st.lists(
    st.builds(Mandate, st.uuids(version=4), roles, places, intervals, st.booleans()), max_size=12
)
absence_lists = st.lists(st.builds(Absence, roles, places, intervals), max_size=4)
lineages = st.sampled_from([("KZ",), ("KZ-75", "KZ"), ("KZ-71", "KZ")])


@given(roles, lineages, instants, mandate_lists, absence_lists)
def test_only_a_valid_primary_mandate_of_the_lineage_is_ever_answered(
    role: str, lineage: tuple[str, ...], at: datetime, mandates: list[Mandate], absences: list[Absence]
) -> None:
    found = resolve(role, lineage, at, mandates, absences)
    if found is None:
        return
    assert found.territory in lineage
    assert any(
        m.agency_id == found.agency_id
        and m.role == found.role
        and m.territory == found.territory
        and m.primary
        and m.during.covers(at)
        for m in mandates
    )


@given(roles, lineages, instants, mandate_lists, absence_lists)
def test_a_stand_in_answers_exactly_where_the_body_is_declared_absent(
    role: str, lineage: tuple[str, ...], at: datetime, mandates: list[Mandate], absences: list[Absence]
) -> None:
    found = resolve(role, lineage, at, mandates, absences)
    without = resolve(role, lineage, at, mandates, [])
    declared = [a for a in absences if a.role == role and a.territory in lineage and a.during.covers(at)]
    if role in STAND_INS and declared:
        expected = resolve(STAND_INS[role], lineage, at, mandates, [])
        assert (found and found.agency_id) == (expected and expected.agency_id)
        assert found is None or found.stands_in
    else:
        assert found == without
        assert found is None or not found.stands_in


@given(roles, lineages, instants, mandate_lists, absence_lists)
def test_the_answer_does_not_depend_on_the_order_of_the_register(
    role: str,
    lineage: tuple[str, ...],
    at: datetime,
    mandates: list[Mandate],
    absences: list[Absence],
) -> None:
    shuffled = sorted(mandates, key=lambda m: m.agency_id.bytes, reverse=True)
    assert resolve(role, lineage, at, mandates, absences) == resolve(
        role, lineage, at, shuffled, absences[::-1]
    )


@given(intervals, intervals, instants)
def test_intervals_that_share_an_instant_overlap(one: Interval, other: Interval, at: datetime) -> None:
    assert one.overlaps(other) == other.overlaps(one)
    if one.covers(at) and other.covers(at):
        assert one.overlaps(other)


def test_two_primaries_in_a_copy_give_everybody_the_same_answer() -> None:
    low, high = (a_mandate(agency_id=UUID(int=n, version=4)) for n in (1, 2))
    answers = {resolve("internal_affairs", ALMATY, T0, held, []) for held in ([low, high], [high, low])}
    assert len(answers) == 1
