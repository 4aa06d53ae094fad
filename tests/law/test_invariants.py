"""What must hold for every alert, on a few hundred; ``python -m tests.law.invariants`` runs 100,000."""

from dataclasses import replace
from random import Random

import pytest

from notifier.domain.evaluation import evaluate
from tests.factories.law import some_facts, the_lawbook
from tests.law.invariants import THE_LAW, broken, broken_plan, run


@pytest.mark.parametrize("seed", range(2))
def test_nothing_breaks_on_random_facts(seed: int) -> None:
    assert not run(200, seed)


def test_a_planted_break_is_seen() -> None:
    facts = some_facts(needs_medical_care=True)
    answer = evaluate(THE_LAW, facts, the_lawbook().calendar)
    assert broken(facts, answer) == []
    assert "trio of ¶8" in broken(facts, replace(answer, obligations=answer.obligations[1:]))
    assert "guardianship stands in" in broken(replace(facts, regional_body=False), answer)
    assert "a parent under the lock" in broken(replace(facts, offender_relation="parent"), answer)
    for wrong, name in (
        ({"recipient": "legal_rep", "dispatch": "at_once"}, "a message to somebody never contacted"),
        ({"recipient": "education_org"}, "a body notifies itself"),
        ({"breach_at": facts.received_at}, "due after breach"),
        ({"due_at": facts.received_at.replace(year=2025)}, "due before its start"),
    ):
        first, *rest = answer.obligations
        spoilt = replace(answer, obligations=(replace(first, **wrong), *rest))
        assert name in broken(facts, spoilt)
    assert broken_plan(facts, answer, Random(1)) == []
