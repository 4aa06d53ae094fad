"""What an obliged body may do with its duty, for every rule of the law as it stands."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.acting import Act, choice_of
from notifier.domain.edition import Rule
from tests.factories.notifier import LAWBOOK

EDITION = LAWBOOK.edition_at(datetime(2026, 10, 23, tzinfo=UTC))
rules = st.sampled_from(EDITION.rules)
owed = st.sampled_from(("pending", "open"))


def may(rule: Rule, state: str = "open", *, has_left: bool = False) -> tuple[Act, ...]:
    return choice_of(rule, EDITION.facts, state=state, has_left=has_left).may


@given(rules, st.sampled_from(("met", "waived", "cancelled")), st.booleans())
def test_with_what_is_over_nothing_can_be_done(rule: Rule, state: str, has_left: bool) -> None:
    assert may(rule, state, has_left=has_left) == ()


@given(rules, owed, st.booleans())
def test_what_is_owed_at_once_is_never_waived(rule: Rule, state: str, has_left: bool) -> None:
    if rule.clock.kind in ("immediately", "hours", "same_day") or rule.dispatch == "at_once" or rule.lasting:
        assert Act.WAIVER not in may(rule, state, has_left=has_left)


@given(rules, owed)
def test_what_has_left_is_neither_waived_nor_released(rule: Rule, state: str) -> None:
    assert not {Act.WAIVER, Act.RELEASE} & set(may(rule, state, has_left=True))


@given(rules, owed)
def test_only_waiting_notices_are_released(rule: Rule, state: str) -> None:
    assert (Act.RELEASE in may(rule, state)) == (rule.dispatch == "on_release")


@given(rules, owed, st.booleans())
def test_only_facts_that_no_service_records_are_stated(rule: Rule, state: str, has_left: bool) -> None:
    found = choice_of(rule, EDITION.facts, state=state, has_left=has_left)
    assert (Act.EVIDENCE in found.may) == bool(found.facts)
    assert set(found.facts) <= set(rule.evidence)
    assert all(EDITION.facts[code].source == "agency" for code in found.facts)


@pytest.mark.parametrize(
    ("rule", "can"),
    [
        ("R136-8a", set()),
        ("R136-11.3", {Act.RELEASE, Act.WAIVER}),
        ("R136-12.2", {Act.WAIVER}),
        ("R136-12.6", {Act.RELEASE, Act.WAIVER}),
    ],
)
def test_examples(rule: str, can: set[Act]) -> None:
    assert set(may(EDITION.rule(rule))) == can
