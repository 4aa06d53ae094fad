"""What an amendment changes, told line by line."""

from dataclasses import replace
from datetime import date, timedelta

from notifier.domain.clock import Clock
from notifier.domain.comparison import diff
from notifier.domain.edition import Edition
from tests.factories.law import the_lawbook

BEFORE = the_lawbook().edition("joint_order_2026")


def amended(rule_id: str, **changed: object) -> Edition:
    rules = tuple(
        replace(rule, **changed) if rule.id == rule_id else rule  # type: ignore[arg-type]  # any field
        for rule in BEFORE.rules
    )
    return replace(BEFORE, rules=rules)


def test_the_same_law_differs_in_nothing() -> None:
    assert diff(BEFORE, BEFORE) == []


def test_a_longer_clock_is_one_line_under_its_paragraph() -> None:
    title, change = diff(BEFORE, amended("R136-12.6", clock=Clock("working_days", 5, "from_day")))
    assert title.startswith("~ R136-12.6 · Joint order, ¶12(6): Pass the information to the commission")
    assert change == "    clock: 3wd_from_day → 5wd_from_day"
    assert diff(BEFORE, amended("R136-12.6", clock=Clock("none")), "ru")[0].startswith(
        "~ R136-12.6 · Совместный приказ, пп. 6) п. 12"
    )


def test_scope_parties_conditions_and_reasons_are_told_by_their_codes() -> None:
    changed = amended("R136-11.1", scope=frozenset({"violence"}), obliged=("education_org",), withheld=())
    assert diff(BEFORE, changed)[1:] == [
        "    scope: cruelty, violence, witness_of_violence → violence",
        "    withheld: do_not_notify_parents (offender_relation = parent, guardian, relative, "
        "household_member), against_the_childs_interests (parents_may_be_informed = False) → –",
        "    obliged: education_org_head → education_org",
    ]


def test_rules_that_come_and_go() -> None:
    fewer = replace(BEFORE, rules=tuple(rule for rule in BEFORE.rules if rule.id != "R136-14.1"))
    [gone] = diff(BEFORE, fewer)
    [came] = diff(fewer, BEFORE)
    assert gone.startswith("- R136-14.1 · Joint order, ¶14(1)")
    assert came == "+" + gone[1:]


def test_editions_and_our_own_parameters() -> None:
    act = replace(BEFORE.acts["R136"], edition="joint_order_2027", effective_from=date(2027, 1, 11))
    parameters = replace(BEFORE.parameters, immediate_target=timedelta(minutes=10))
    after = replace(BEFORE, acts={**BEFORE.acts, "R136": act}, parameters=parameters)
    assert diff(BEFORE, after) == [
        "~ Joint order: joint_order_2026 (2026-06-13) → joint_order_2027 (2027-01-11)",
        "~ immediate_target: 0:15:00 → 0:10:00",
    ]


def test_another_target_of_at_once_is_told_as_such() -> None:
    changed = amended("R136-8a", clock=Clock("immediately", target=timedelta(minutes=5)))
    assert "    target: 0:15:00 → 0:05:00" in diff(BEFORE, changed)


def test_an_act_that_was_not_there() -> None:
    without = replace(BEFORE, acts={"R264": BEFORE.acts["R264"]})
    assert "~ Joint order: – → joint_order_2026 (2026-06-13)" in diff(without, BEFORE)
