"""Matrix E of the joint order, typed a second time by hand: which paragraph names whom.

V subjected to violence, C to cruelty, B to bullying, W witness of violence. A small ``b`` is advisory.
"""

import pytest

from notifier.domain.evaluation import evaluate
from tests.factories.law import some_facts, the_lawbook

LETTERS = {"V": "violence", "C": "cruelty", "B": "bullying", "W": "witness_of_violence"}

MATRIX = {
    "R136-8a": "VCBW",
    "R136-8b": "VCBW",
    "R136-8c": "VCBW",
    "R136-9": "B",
    "R136-10": "VCW",
    "R136-11.1": "VCW",
    "R136-11.2": "VCW",
    "R136-11.3": "VCW",
    "R136-12.1": "VCWb",
    "R136-12.2": "VCWb",
    "R136-12.3a": "VCW",
    "R136-12.3b": "VCW",
    "R136-12.3c": "VCW",
    "R136-12.4": "VCBW",
    "R136-12.5": "VCBW",
    "R136-12.6": "VCWb",
    "R136-12.7a": "VCW",
    "R136-12.7b": "VCW",
    "R136-13": "VCWb",
    "R136-14.1": "VCW",
    "R136-14.2a": "VCW",
    "R136-14.2b": "VCW",
    "R136-14.2c": "VCW",
    "R136-14.2d": "VCW",
    "R136-16.1": "VC",
    "R136-16.2a": "VC",
    "R136-16.2b": "VC",
    "R136-19": "B",
    "R136-20": "VC",
    "R136-21": "VCWb",
    "R136-29": "VCBW",
}

EVERY_REPORTER = (
    "education_org_staff",
    "health_org",
    "minors_commission",
    "regional_child_ombudsman",
    "regional_child_rights_body",
    "internal_affairs",
    "child",
)


def test_the_matrix_names_every_rule_of_the_joint_order() -> None:
    rules = the_lawbook().edition("joint_order_2026").rules
    assert {rule.id for rule in rules if rule.act == "R136"} == set(MATRIX)


@pytest.mark.parametrize(("letter", "concern"), LETTERS.items())
def test_each_paragraph_names_exactly_its_own_statuses(letter: str, concern: str) -> None:
    owed, advised = set(), set()
    for reporter in EVERY_REPORTER:
        facts = some_facts(
            concerns=[concern],
            reporter=reporter,
            needs_medical_care=True,
            direct_threat=True,
            without_parental_care=True,
        )
        lawbook = the_lawbook()
        evaluation = evaluate(lawbook.edition_at(facts.received_at), facts, lawbook.calendar)
        owed |= {duty.rule for duty in evaluation.obligations if duty.rule in MATRIX}
        advised |= {entry.duty.rule for entry in evaluation.advisories if entry.duty.rule in MATRIX}
    assert owed == {rule for rule, letters in MATRIX.items() if letter in letters}
    assert advised == {rule for rule, letters in MATRIX.items() if letter.lower() in letters}


@pytest.mark.parametrize("concern", ["suicidal_behaviour", "crisis", "other"])
def test_the_joint_order_lays_no_duty_for_what_it_does_not_name(concern: str) -> None:
    lawbook = the_lawbook()
    for reporter in EVERY_REPORTER:
        facts = some_facts(concerns=[concern], reporter=reporter, direct_threat=True)
        evaluation = evaluate(lawbook.edition_at(facts.received_at), facts, lawbook.calendar)
        assert not {duty.rule for duty in evaluation.obligations} & set(MATRIX)
        assert not evaluation.advisories
