"""Placement (¶12(5)) and the help cabinet (¶20): a message goes out, the act stays owed."""

from datetime import timedelta
from uuid import UUID, uuid4, uuid5

from notifier.domain.evaluation import evaluate
from notifier.domain.planning import Case, Plan, plan
from notifier.domain.resolution import Directory, Holding
from tests.factories.law import local, some_facts, the_lawbook

CABINET, PLACEMENT = "child_violence_help_cabinet", "child_protection_org"


def agency(role: str) -> UUID:
    return uuid5(UUID(int=0), role)


def planned(*, one_house: bool = False, reporter: str = "education_org") -> Plan:
    """``one_house``: the regional body keeps the help cabinet itself."""
    facts = some_facts(reporter=reporter, without_parental_care=True)
    lawbook = the_lawbook()
    evaluation = evaluate(lawbook.edition_at(facts.received_at), facts, lawbook.calendar)
    roles = {duty.obliged_body for duty in evaluation.obligations} | {
        duty.recipient for duty in evaluation.obligations if duty.recipient
    }
    holders = {role: agency(role) for role in roles}
    if one_house:
        holders[CABINET] = agency("regional_child_rights_body")
    directory = Directory(
        tuple(
            Holding(holder, role, "KZ-75", local("2026-01-01 00:00:00")) for role, holder in holders.items()
        )
    )
    case = Case(
        territory="KZ-75",
        received_at=facts.received_at,
        reporter_agency=agency(reporter),
        excluded=frozenset(),
        auto_dispatch_before=timedelta(hours=4),
    )
    return plan(evaluation, directory, case, uuid4)


def test_the_cabinet_and_the_placement_are_told_at_once_by_an_act() -> None:
    told = planned()
    by_id = {delivery.id: delivery for delivery in told.deliveries}
    acts = {each.duty.rule: each for each in told.duties if each.duty.rule in {"R136-20", "R136-12.5"}}
    assert {each.duty.kind for each in acts.values()} == {"act"}
    for rule, role in (("R136-20", CABINET), ("R136-12.5", PLACEMENT)):
        delivery_id = acts[rule].delivery_id
        assert delivery_id is not None
        assert by_id[delivery_id].agency == agency(role)


def test_a_body_that_keeps_the_cabinet_tells_itself_nothing_and_still_owes_the_act() -> None:
    told = planned(one_house=True)
    cabinet = [each for each in told.duties if each.duty.rule == "R136-20"]
    assert [each.delivery_id for each in cabinet] == [None]
    assert "R136-20" not in {each.duty.rule for each in told.withheld}


def test_acts_of_persons_are_never_sent() -> None:
    assert not {"legal_rep", "child", "emergency_medical", "case_manager"} & {
        role for delivery in planned().deliveries for role in delivery.bodies
    }
