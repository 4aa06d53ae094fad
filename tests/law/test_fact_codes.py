"""The codes that casework may record are those of which the law says that casework signs them."""

import pytest

from casework.domain.record import APPOINTED, OF_THE_CASE, OF_THE_CENTRE, OF_THE_COORDINATOR
from common.contracts.casework import EVENT_OF
from common.contracts.vocabulary import CaseFactCode
from notifier.lawbook import Lawbook
from tests.factories.law import the_lawbook

TOWARDS_PARENTS = {"parents.informed", "parents.not_informed"}
"""Under the lock nobody is asked whether the parents are told: they are not."""
RULES = the_lawbook().edition("joint_order_2026").rules
USED = {code for rule in RULES for code in (*rule.evidence, *rule.after)} | {
    code for edition in the_lawbook().editions for duty in edition.periodic for code in duty.evidence
}


def test_casework_records_what_the_law_leaves_to_it() -> None:
    lawbook = Lawbook.load()
    signed = {code for code, fact in lawbook.names.facts.items() if fact.source == "casework"}
    assert {code.value for code in CaseFactCode} == signed
    assert set(EVENT_OF) <= signed


def test_every_fact_that_can_be_told_meets_or_opens_something() -> None:
    assert set(the_lawbook().names.facts) <= USED


@pytest.mark.parametrize("code", sorted({code.value for code in CaseFactCode} - TOWARDS_PARENTS))
def test_somebody_may_record_it_whatever_is_withheld_from_the_parents(code: str) -> None:
    """A fact that only a withheld duty asks for could be recorded by nobody, just where it is needed most."""
    asked = {fact for rule in RULES if not rule.withheld for fact in rule.evidence}
    assert code in asked | OF_THE_COORDINATOR | OF_THE_CENTRE | OF_THE_CASE | {APPOINTED}
