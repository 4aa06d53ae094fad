"""Who is told and in which notice: pure rules over what the law says."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.evaluation import evaluate
from notifier.domain.facts import Facts
from notifier.domain.planning import Case, Freight, dispatch_at, load, next_check, plan
from notifier.domain.resolution import Absence, Directory, Holding
from notifier.domain.schedule import ORDER, Urgency
from notifier.domain.territory import chain
from notifier.lawbook import Lawbook

LAWBOOK = Lawbook.load()
NOW = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ROLES = (
    "internal_affairs", "regional_child_rights_body", "regional_child_ombudsman", "minors_commission",
    "psych_support_centre", "family_mobile_group", "family_support_centre", "child_violence_help_cabinet",
    "guardianship_body", "education_org", "health_org", "local_exec_body", "prosecutor",
)  # fmt: skip
NATIONAL = ("child_rights_authority", "national_child_ombudsman", "contact_centre_111", "central_state_body")
AGENCIES = {role: uuid4() for role in (*ROLES, *NATIONAL)}
WHOLE = Directory(
    tuple(Holding(AGENCIES[role], role, "KZ-75", LONG_AGO) for role in ROLES)
    + tuple(Holding(AGENCIES[role], role, "KZ", LONG_AGO) for role in NATIONAL)
)

facts_of = st.builds(
    lambda concerns, reporter, flags: Facts(
        received_at=NOW,
        territory="KZ-75",
        concerns=frozenset(concerns),
        reporter=reporter,
        direct_threat=flags[0],
        needs_medical_care=flags[1],
        without_parental_care=flags[2],
    ),
    st.sets(
        st.sampled_from(
            [
                "violence",
                "cruelty",
                "bullying",
                "witness_of_violence",
                "suicidal_behaviour",
                "crisis",
                "other",
            ]
        ),
        min_size=1,
    ),
    st.sampled_from([*ROLES, "contact_centre_111", "child", "anonymous", "parent"]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
excluded_of = st.sets(st.sampled_from(sorted(AGENCIES.values())), max_size=4).map(frozenset)


def a_plan(facts: Facts, excluded: frozenset[UUID] = frozenset(), directory: Directory = WHOLE):  # type: ignore[no-untyped-def]  # a test's shorthand
    edition = LAWBOOK.edition_at(facts.received_at)
    case = Case(
        territory=facts.territory,
        received_at=facts.received_at,
        reporter_agency=AGENCIES.get(facts.reporter),
        excluded=excluded,
        auto_dispatch_before=edition.parameters.auto_dispatch_before,
    )
    return plan(evaluate(edition, facts, LAWBOOK.calendar), directory, case, uuid4)


@given(facts_of, excluded_of)
def test_an_excluded_agency_is_in_no_delivery_and_owes_nothing_it_was_not_told_of(
    facts: Facts, excluded: frozenset[UUID]
) -> None:
    planned = a_plan(facts, excluded)
    assert not {delivery.agency for delivery in planned.deliveries} & excluded
    reporter = AGENCIES.get(facts.reporter)
    assert not ({duty.obliged_agency for duty in planned.duties} - {reporter}) & excluded


@given(facts_of, excluded_of)
def test_every_duty_is_planned_or_withheld_and_carried_at_most_once(
    facts: Facts, excluded: frozenset[UUID]
) -> None:
    edition = LAWBOOK.edition_at(facts.received_at)
    owed = evaluate(edition, facts, LAWBOOK.calendar).obligations
    planned = a_plan(facts, excluded)
    assert len(planned.duties) + len(planned.withheld) == len(owed)
    carried = [obligation for delivery in planned.deliveries for obligation in delivery.obligations]
    assert len(carried) == len(set(carried))
    assert set(carried) <= {duty.id for duty in planned.duties}
    assert {duty.id for duty in planned.duties if duty.delivery_id} == set(carried)


@given(facts_of)
def test_one_notice_an_agency_and_the_urgent_ones_first(facts: Facts) -> None:
    planned = a_plan(facts)
    addressees = [delivery.agency or delivery.role for delivery in planned.deliveries]
    assert len(addressees) == len(set(addressees))
    assert all(delivery.number == (1 if delivery.agency else 0) for delivery in planned.deliveries)
    ranks = [ORDER[delivery.urgency] for delivery in planned.deliveries]
    assert ranks == sorted(ranks)


@given(facts_of, st.sampled_from(sorted(AGENCIES)))
def test_an_agency_more_or_less_changes_nothing_for_the_others(facts: Facts, gone: str) -> None:
    smaller = Directory(tuple(one for one in WHOLE.holdings if one.role != gone))

    def told(directory: Directory) -> set[tuple[object, ...]]:
        found = a_plan(facts, directory=directory).deliveries
        return {(d.role, d.agency, d.urgency, d.deadline) for d in found if d.agency is not None}

    assert {one for one in told(WHOLE) if one[1] != AGENCIES[gone]} == told(smaller)


def test_nobody_holds_the_role_is_a_delivery_all_the_same() -> None:
    facts = Facts(
        received_at=NOW, territory="KZ-75", concerns=frozenset({"violence"}), reporter="education_org"
    )
    planned = a_plan(facts, directory=Directory(()))
    assert planned.withheld == ()
    assert {delivery.agency for delivery in planned.deliveries} == {None}
    assert "internal_affairs" in {delivery.role for delivery in planned.deliveries}


freight_of = st.lists(
    st.builds(
        lambda agency, role, urgency, hours: Freight(
            obligation_id=uuid4(),
            role=role,
            agency=agency,
            urgency=urgency,
            due_at=None if hours is None else NOW + timedelta(hours=hours),
        ),
        st.one_of(st.none(), st.sampled_from(sorted(AGENCIES.values())[:3])),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(Urgency),
        st.one_of(st.none(), st.integers(0, 100)),
    ),
    max_size=12,
)


@given(freight_of)
def test_loading_keeps_every_duty_and_the_strictest_time(freight: list[Freight]) -> None:
    last = dict.fromkeys(list(AGENCIES.values())[:2], 4)
    loaded = load(freight, last, uuid4)
    by_id = {item.obligation_id: item for item in freight}
    assert sorted(str(o) for d in loaded for o in d.obligations) == sorted(map(str, by_id))
    for delivery in loaded:
        items = [by_id[one] for one in delivery.obligations]
        assert {item.agency for item in items} == {delivery.agency}
        assert delivery.urgency == min((item.urgency for item in items), key=ORDER.__getitem__)
        dues = [item.due_at for item in items if item.due_at]
        assert delivery.deadline == min(dues, default=None)
        assert set(delivery.bodies) == {item.role for item in items}
        if delivery.agency is None:
            assert (delivery.number, len(delivery.bodies)) == (0, 1)
        else:
            assert delivery.number == last.get(delivery.agency, 0) + 1


def test_only_unreleased_notices_leave_by_themselves() -> None:
    due = NOW + timedelta(days=3)
    before = timedelta(hours=4)
    assert dispatch_at("on_release", due, before) == due - before
    assert dispatch_at("at_once", due, before) is None
    assert dispatch_at("none", due, before) is None
    assert dispatch_at("on_release", None, before) is None


@pytest.mark.parametrize(
    ("state", "alarmed", "breached", "expected"),
    [
        ("open", False, False, "due"),
        ("open", True, False, "breach"),
        ("open", True, True, None),
        ("pending", False, False, "due"),
        ("pending", True, False, None),
        ("met", False, False, None),
        ("waived", False, False, None),
        ("cancelled", False, False, None),
    ],
)
def test_the_next_look_at_a_duty(state: str, *, alarmed: bool, breached: bool, expected: str | None) -> None:
    due, breach = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    moments = {"due": due, "breach": breach, None: None}
    found = next_check(
        state=state, dispatch=None, due_at=due, breach_at=breach, alarmed=alarmed, breached=breached
    )
    assert found == moments[expected]


# Territories and holders


@pytest.mark.parametrize(
    ("territory", "levels"),
    [
        ("KZ", ("KZ",)),
        ("KZ-75", ("KZ-75", "KZ")),
        ("750000000", ("750000000", "KZ-75", "KZ")),
        ("751200000", ("751200000", "750000000", "KZ-75", "KZ")),
        ("751210000", ("751210000", "751200000", "750000000", "KZ-75", "KZ")),
        ("751210123", ("751210123", "751210000", "751200000", "750000000", "KZ-75", "KZ")),
        ("nonsense", ("nonsense", "KZ")),
    ],
)
def test_territories_lie_in_one_another(territory: str, levels: tuple[str, ...]) -> None:
    assert chain(territory) == levels


def test_the_nearest_primary_holder_upward_answers() -> None:
    near, far, second = uuid4(), uuid4(), uuid4()
    directory = Directory(
        (
            Holding(far, "police", "KZ-75", LONG_AGO),
            Holding(second, "police", "751200000", LONG_AGO, is_primary=False),
            Holding(near, "police", "751200000", LONG_AGO),
            Holding(second, "police", "751210000", LONG_AGO, is_primary=False),
            Holding(second, "education_org", "KZ-75", LONG_AGO, is_primary=False),
        )
    )

    def who(territory: str) -> UUID | None:
        holder = directory.holder("police", territory, NOW)
        return holder.agency_id if holder else None

    assert who("751210000") == near
    assert who("KZ-75") == far
    assert who("KZ-10") is None
    assert directory.holder("education_org", "KZ-75", NOW) is None  # nobody is told by its place alone


@given(st.integers(-3, 3))
def test_a_mandate_holds_from_its_first_moment_until_before_its_last(minutes: int) -> None:
    end = NOW + timedelta(minutes=minutes)
    directory = Directory((Holding(uuid4(), "police", "KZ-75", NOW, end),))
    assert (directory.holder("police", "KZ-75", NOW) is not None) == (minutes > 0)
    assert directory.holder("police", "KZ-75", NOW - timedelta(microseconds=1)) is None
    assert directory.holder("police", "KZ-75", end) is None


def test_guardianship_stands_in_for_a_declared_absence_and_never_for_silence() -> None:
    guardian = uuid4()
    held = (Holding(guardian, "guardianship_body", "KZ-75", LONG_AGO),)
    role = "regional_child_rights_body"
    assert Directory(held).holder(role, "KZ-75", NOW) is None
    absent = Directory(held, (Absence(role, "KZ-75", LONG_AGO, NOW + timedelta(days=1)),))
    holder = absent.holder(role, "751200000", NOW)
    assert holder is not None
    assert (holder.agency_id, holder.role) == (guardian, "guardianship_body")
    assert absent.holder(role, "KZ-75", NOW + timedelta(days=1)) is None
    district_only = Directory(held, (Absence(role, "751200000", LONG_AGO),))
    assert district_only.holder(role, "KZ-75", NOW) is None
