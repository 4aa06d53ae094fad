"""Who is shut out, and who takes its place."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access import BODIES
from notifier.domain.evaluation import evaluate
from notifier.domain.exclusion import SCHOOLS, Exclusion, district_of, implied, is_near
from notifier.domain.facts import Facts
from notifier.domain.planning import Case, Plan, plan
from notifier.domain.resolution import Directory, Holding
from notifier.lawbook import Lawbook

LAWBOOK = Lawbook.load()
NOW = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ALERT = uuid4()
ROLES = (
    "internal_affairs", "regional_child_rights_body", "regional_child_ombudsman", "psych_support_centre",
    "family_mobile_group", "minors_commission", "education_org", "child_violence_help_cabinet",
)  # fmt: skip
HELD = {role: uuid4() for role in ROLES}
MINISTRY, SECOND = uuid4(), uuid4()
DIRECTORY = Directory(
    tuple(Holding(agency, role, "KZ-75", LONG_AGO) for role, agency in HELD.items()),
    superiors={HELD["internal_affairs"]: SECOND, SECOND: MINISTRY},
)


def a_plan(excluded: set[UUID], directory: Directory = DIRECTORY, **facts: object) -> Plan:
    told = Facts(
        received_at=NOW, territory="KZ-75", concerns=frozenset({"violence"}),
        **{"reporter": "education_org", **facts},  # type: ignore[arg-type]  # a test's shorthand
    )  # fmt: skip
    case = Case(
        territory="KZ-75",
        received_at=NOW,
        reporter_agency=HELD.get(told.reporter),
        excluded=frozenset(excluded),
        auto_dispatch_before=timedelta(hours=4),
    )
    evaluation = evaluate(LAWBOOK.edition_at(NOW), told, LAWBOOK.calendar)
    return plan(evaluation, directory, case, uuid4)


def test_the_schools_are_those_of_the_access_table() -> None:
    assert {body for body, row in BODIES.items() if row.is_school} == SCHOOLS


def test_a_named_organisation_is_shut_out_alone() -> None:
    [only] = implied(ALERT, relation="education_staff", implicated=[HELD["education_org"]], place="KZ-75")
    assert only.covers(HELD["education_org"], [])
    assert not only.covers(uuid4(), [("education_org", "KZ-75")])


@pytest.mark.parametrize("relation", ["education_staff", "organisation_staff"])
@pytest.mark.parametrize(
    ("place", "school", "is_meant"),
    [
        ("KZ-75", "KZ-75", True),
        ("KZ-75", "751110000", True),
        ("KZ-75", "KZ-10", False),
        ("751110000", "KZ-75", True),
        ("751110100", "751110200", True),
        ("751110000", "751310000", False),
        ("751110000", "KZ", True),
    ],
)
def test_an_unknown_organisation_is_every_school_of_the_district(
    relation: str, place: str, school: str, is_meant: bool
) -> None:
    found = implied(ALERT, relation=relation, implicated=(), place=place)
    assert {each.role for each in found} == SCHOOLS
    assert any(each.covers(uuid4(), [("education_org", school)]) for each in found) is is_meant
    assert not any(each.covers(uuid4(), [("internal_affairs", school)]) for each in found)


@pytest.mark.parametrize("relation", ["parent", "peer", "unknown", "online_unknown"])
def test_nobody_is_shut_out_where_no_staff_is_suspected(relation: str) -> None:
    assert implied(ALERT, relation=relation, implicated=(), place="KZ-75") == ()


@given(st.from_regex(r"[1-7][0-9][0-9]{7}", fullmatch=True))
def test_a_place_is_near_its_own_district(place: str) -> None:
    assert is_near(place, district_of(place))
    assert is_near(f"KZ-{place[:2]}", district_of(place))


def test_one_exclusion_has_one_mark() -> None:
    school = uuid4()
    assert Exclusion(ALERT, agency_id=school).mark == f"agency:{school}"
    assert Exclusion(ALERT, role="education_org", territory="KZ-75").mark == "role:education_org"


def test_an_addressee_that_is_shut_out_is_replaced_by_the_body_above_it() -> None:
    planned = a_plan({HELD["internal_affairs"]})
    [told] = [each for each in planned.deliveries if each.role == "internal_affairs"]
    assert told.agency == SECOND
    planned = a_plan({HELD["internal_affairs"], SECOND})
    [told] = [each for each in planned.deliveries if each.role == "internal_affairs"]
    assert told.agency == MINISTRY
    planned = a_plan({HELD["internal_affairs"], SECOND, MINISTRY})
    [lost] = [each for each in planned.deliveries if each.role == "internal_affairs"]
    assert lost.agency is None


def test_a_circle_in_the_register_does_not_hang() -> None:
    police = HELD["internal_affairs"]
    round_and_round = Directory(DIRECTORY.holdings, superiors={police: SECOND, SECOND: police})
    planned = a_plan({police, SECOND}, round_and_round)
    assert [each.agency for each in planned.deliveries if each.role == "internal_affairs"] == [None]


def test_the_next_holder_upward_stands_in_where_the_register_names_no_superior() -> None:
    above = uuid4()
    holdings = (*DIRECTORY.holdings, Holding(above, "internal_affairs", "KZ", LONG_AGO))
    planned = a_plan({HELD["internal_affairs"]}, Directory(holdings))
    assert [each.agency for each in planned.deliveries if each.role == "internal_affairs"] == [above]


def test_what_an_implicated_school_owed_passes_to_the_coordinating_body_and_the_trio_stays_whole() -> None:
    school, body = HELD["education_org"], HELD["regional_child_rights_body"]
    normal, planned = a_plan(set()), a_plan({school})
    assert school in {each.obliged_agency for each in normal.duties}
    assert school not in {each.obliged_agency for each in planned.duties}
    owed = [each for each in planned.duties if each.duty.obliged_body == "education_org"]
    assert {each.duty.rule for each in owed} >= {"R136-8a", "R136-8b", "R136-8c", "R136-11.1"}
    assert {each.obliged_agency for each in owed} == {body}
    assert {each.state for each in owed} == {"pending"}
    trio = {"internal_affairs", "regional_child_rights_body", "regional_child_ombudsman"}
    assert {HELD[role] for role in trio} <= {each.agency for each in planned.deliveries}
    [told] = [each for each in planned.deliveries if each.agency == body]
    carried = {each.duty.rule for each in planned.duties if each.delivery_id == told.id}
    assert {"R136-8b", "R136-11.1"} <= carried or {"R136-8c", "R136-11.1"} <= carried


def test_nobody_is_bound_to_tell_the_head_of_an_implicated_school() -> None:
    planned = a_plan({HELD["education_org"]}, reported_by="staff")
    assert ("R136-10", "implicated") in {(each.duty.rule, each.reason) for each in planned.withheld}
    assert "R136-10" not in {each.duty.rule for each in planned.duties}
    assert "R136-10" in {each.duty.rule for each in a_plan(set(), reported_by="staff").duties}
