"""Every worked example in the law files holds, and planting a change in any rule makes one fail."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from notifier.domain.clock import Clock
from notifier.domain.edition import CONCERNS, Edition, Rule
from notifier.lawbook import ActEdition
from tests.factories.law import the_lawbook
from tests.law.examples import Example, all_examples

EXAMPLES = all_examples()


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


def _planted(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The rule with one thing wrong, many times over."""
    for concern in CONCERNS:
        yield f"scope ± {concern}", replace(rule, scope=rule.scope ^ {concern})
    for party in rule.obliged:
        others = tuple("prosecutor" if role == party else role for role in rule.obliged)
        yield f"obliged {party} → prosecutor", replace(rule, obliged=others)
    for party in rule.recipients:
        others = tuple("prosecutor" if role == party else role for role in rule.recipients)
        yield f"recipient {party} → prosecutor", replace(rule, recipients=others)
        fewer = tuple(role for role in rule.recipients if role != party)
        yield f"recipient {party} dropped", replace(rule, recipients=fewer)
    yield "another recipient", replace(rule, recipients=(*rule.recipients, "prosecutor"))
    for clock in _other_clocks(rule.clock):
        yield f"clock {rule.clock.code} → {clock.code}", replace(rule, clock=clock)
    for condition in rule.when:
        yield f"no condition on {condition.fact}", replace(rule, when=())
    if rule.advice:
        yield "no advice", replace(rule, advice=None)
    for withholding in rule.withheld:
        kept = tuple(other for other in rule.withheld if other != withholding)
        yield f"no longer withheld for {withholding.reason}", replace(rule, withheld=kept)
        for condition in withholding.when:
            for value in condition.values:
                fewer_values = tuple(other for other in condition.values if other != value)
                weaker = replace(withholding, when=(replace(condition, values=fewer_values),))
                yield f"{condition.fact} {value} no reason", replace(rule, withheld=(*kept, weaker))


def _other_clocks(clock: Clock) -> Iterator[Clock]:
    if clock.kind != "none":
        yield Clock("none")
    if clock.kind != "immediately":
        yield Clock("immediately")
    else:
        yield replace(clock, target=timedelta(minutes=30))
    if clock.kind == "hours":
        yield replace(clock, amount=clock.amount + 1)
    if clock.kind == "working_days":
        yield replace(clock, amount=clock.amount + 1)
        yield replace(clock, counted="from_day" if clock.counted == "from_moment" else "from_moment")


RULES = [
    (the_lawbook().edition(edition.id), edition.id, rule)
    for edition in the_lawbook().editions
    for rule in the_lawbook().edition(edition.id).rules
    if rule.edition == edition.id
]


@pytest.mark.parametrize(("edition", "act_edition", "rule"), RULES, ids=[rule.id for _, _, rule in RULES])
def test_a_change_planted_in_a_rule_makes_one_of_its_own_examples_fail(
    edition: Edition, act_edition: str, rule: Rule
) -> None:
    calendar = the_lawbook().calendar
    own = [example for example in EXAMPLES if (example.edition, example.rule) == (act_edition, rule.id)]
    unseen = []
    for change, wrong in _planted(rule):
        rules = tuple(wrong if other is rule else other for other in edition.rules)
        planted = replace(edition, rules=rules)
        if not any(next(example.failures(planted, calendar), None) for example in own):
            unseen.append(change)
    assert unseen == []
