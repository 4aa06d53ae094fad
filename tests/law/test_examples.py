"""Every worked example in the law files holds, and planting a change in any rule makes one fail."""

import pytest

from notifier.domain.edition import CONCERNS, Edition, Rule
from notifier.lawbook import ActEdition
from tests.factories.law import the_lawbook
from tests.law.examples import Example, all_examples
from tests.law.mutation import all_rules, is_seen, mutants

EXAMPLES = all_examples()
RULES = all_rules()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.rule}: {example.name}")
def test_the_example_holds(example: Example) -> None:
    lawbook = the_lawbook()
    assert list(example.failures(lawbook.edition(example.edition), lawbook.calendar)) == []


@pytest.mark.parametrize("edition", the_lawbook().editions, ids=lambda edition: edition.id)
def test_every_rule_has_a_case_that_opens_it_and_one_for_every_concern(edition: ActEdition) -> None:
    for rule in edition.rules:
        own = [example for example in EXAMPLES if (example.edition, example.rule) == (edition.id, rule.id)]
        assert any(example.expect for example in own), rule.id
        assert any(set(example.by_concern or ()) == set(CONCERNS) for example in own), rule.id


@pytest.mark.parametrize(("edition", "rule"), RULES, ids=[rule.id for _, rule in RULES])
def test_a_change_planted_in_a_rule_makes_one_of_its_own_examples_fail(edition: Edition, rule: Rule) -> None:
    unseen = [f"{each.aspect}: {each.change}" for each in mutants(rule) if not is_seen(edition, each)]
    assert unseen == []
