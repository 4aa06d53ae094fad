"""Matrix E of the joint order, typed a second time by hand: which paragraph names whom, cell by cell.

V subjected to violence, C to cruelty, B to bullying, W witness of violence. A small ``b`` is advisory.
"""

from functools import cache

import pytest

from notifier.domain.evaluation import Evaluation, evaluate, follow
from notifier.domain.facts import Facts, Occurrence
from tests.factories.law import local, some_facts, the_lawbook

LETTERS = {"V": "violence", "C": "cruelty", "B": "bullying", "W": "witness_of_violence"}

MATRIX_E = {
    "2(2)": "VCBW",
    "8": "VCBW",
    "9": "B",
    "10": "VCW",
    "11": "VCW",
    "12(1)": "VCWb",
    "12(2)": "VCWb",
    "13": "VCWb",
    "14": "VCW",
    "16": "VC",
    "17": "VCBW",
    "18": "VCBW",
    "19": "B",
    "20": "VC",
    "21": "VCWb",
    "29": "VCBW",
}
"""Every row of matrix E that can be executed and names its statuses."""

UNSPECIFIED = {
    "6": "C",  # signs of cruelty
    "12(3)": "VCW",  # the information of ¶12(1)–(2)
    "12(4)": "VCBW",  # threat and absence of care speak for themselves, for every child of the order
    "12(5)": "VCBW",
    "12(6)": "VCWb",  # for bullying the coordinating body decides (J19)
    "12(7)": "VCW",
    "15": "VCBW",  # whatever reached the police by ¶8
    "22": "VCBW",  # follows a signed assessment, so bullying only where one was made
    "23": "VCBW",
    "24": "VCBW",
    "25": "VCBW",
    "26": "VCBW",
    "27": "VCBW",
    "28": "VCBW",
    "App. 1": "VCBW",
    "App. 2": "VCBW",
    "32": "VCBW",
}
"""Paragraphs that name no status, and our reading of them."""

MATRIX = {**MATRIX_E, **UNSPECIFIED}
NO_RULE = {"3", "4", "5", "7", "30", "31", "33", "34"}
"""Identification, signs, other acts, secrecy: no event sets them off (docs/law.md says where they live)."""

EVERY_REPORTER = (
    "education_org_staff",
    "health_org",
    "minors_commission",
    "regional_child_ombudsman",
    "regional_child_rights_body",
    "internal_affairs",
    "child",
)


def matrix_row(paragraph: str) -> str:
    """``11(3)`` stands in row ``11``, ``12(3)`` in its own."""
    return paragraph if paragraph in MATRIX else paragraph.partition("(")[0]


@cache
def said(concern: str) -> tuple[frozenset[str], frozenset[str]]:
    """Rules owed and advised for a concern, whoever reports, at receipt and by every later fact."""
    lawbook = the_lawbook()
    law = lawbook.edition("joint_order_2026")
    owed: set[str] = set()
    advised: set[str] = set()
    for reporter in EVERY_REPORTER:
        facts = some_facts(
            concerns=[concern],
            reporter=reporter,
            needs_medical_care=True,
            direct_threat=True,
            without_parental_care=True,
        )
        answers = [evaluate(law, facts, lawbook.calendar), *later_answers(facts)]
        owed |= {duty.rule for answer in answers for duty in answer.obligations}
        advised |= {entry.duty.rule for answer in answers for entry in answer.advisories}
    return frozenset(owed), frozenset(advised)


def later_answers(facts: Facts) -> list[Evaluation]:
    lawbook = the_lawbook()
    law = lawbook.edition("joint_order_2026")
    at = local("2026-10-27 12:00:00")
    codes = {fact for rule in law.rules for fact in rule.after}
    return [follow(law, facts, Occurrence(fact, at), lawbook.calendar) for fact in sorted(codes)]


RULES = [rule for rule in the_lawbook().edition("joint_order_2026").rules if rule.act == "R136" and rule.row]
"""Those of the joint order itself; a practice of ours has no row and no cell."""


def test_every_rule_of_the_joint_order_stands_in_the_matrix_and_every_row_has_a_rule() -> None:
    assert {matrix_row(rule.paragraph) for rule in RULES} == set(MATRIX)
    assert not NO_RULE & set(MATRIX)


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("row", MATRIX)
def test_the_cell(row: str, letter: str) -> None:
    owed, advised = said(LETTERS[letter])
    own = {rule.id for rule in RULES if matrix_row(rule.paragraph) == row}
    assert own & owed == (own if letter in MATRIX[row] else set())
    assert own & advised == (own if letter.lower() in MATRIX[row] else set())


@pytest.mark.parametrize("concern", ["suicidal_behaviour", "crisis", "other"])
def test_the_joint_order_lays_no_duty_for_what_it_does_not_name(concern: str) -> None:
    owed, advised = said(concern)
    complaints_are_for_every_alert = {"R136-32"}
    assert owed & {rule.id for rule in RULES} == complaints_are_for_every_alert
    assert not advised


def test_the_two_kinds_of_mobile_group_are_never_mixed() -> None:
    """The families' group is ¶5(6) of the joint order, the centre's own ¶11(6) and 17 of Order 264 (X7)."""
    law = the_lawbook().edition_at(local("2026-10-23 15:00:00"))
    family, centres = "family_mobile_group", "psc_mobile_response_group"
    named: dict[str, set[str]] = {family: set(), centres: set()}
    for rule in law.rules:
        for role in {*rule.obliged, *rule.recipients} & named.keys():
            named[role].add(rule.act)
            assert not {family, centres} <= {*rule.obliged, *rule.recipients}, rule.id
    assert named == {family: {"R136"}, centres: {"R264"}}
    assert law.parameters.within[centres] == "psych_support_centre"
    assert family not in law.parameters.within
    for one, other in zip(
        law.name_of(family).trilingual().values(),
        law.name_of(centres).trilingual().values(),
        strict=True,
    ):
        assert one != other
