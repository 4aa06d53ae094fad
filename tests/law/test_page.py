"""``docs/law.md``: fresh, and with an answer to every row of the list of obligations."""

from collections import Counter
from pathlib import Path

import pytest

from notifier.lawbook.page import page
from tests.factories.law import the_lawbook

JOINT_ORDER = """
R136-2.2 R136-3 R136-4 R136-5 R136-6 R136-7 R136-8a R136-8b R136-8c R136-9 R136-10 R136-11.1 R136-11.2
R136-11.3 R136-12.1 R136-12.2 R136-12.3a R136-12.3b R136-12.3c R136-12.4 R136-12.5 R136-12.6 R136-12.7a
R136-12.7b R136-13 R136-14.1 R136-14.2a R136-14.2b R136-14.2c R136-14.2d R136-14.3 R136-15a R136-15b
R136-16.1 R136-16.2a R136-16.2b R136-17 R136-18 R136-19 R136-20 R136-21 R136-A1.sign R136-A1.appr R136-22
R136-A2.appr R136-A2.cons R136-A2.exec R136-23 R136-24 R136-25a R136-25b R136-26 R136-27 R136-28 R136-29
R136-30 R136-31 R136-32 R136-33 R136-34
"""
"""Part A of the list of obligations, in its own sequence."""

ORDER_264 = """
R264-2 R264-3 R264-4 R264-5 R264-6 R264-8.1 R264-8.2 R264-8.3 R264-8.4 R264-8.5 R264-9 R264-10 R264-11.1
R264-11.2 R264-11.3 R264-11.4 R264-11.5 R264-11.6 R264-12a R264-12b R264-13 R264-14 R264-15a R264-15b
R264-15c R264-16a R264-16b R264-17a R264-17b R264-17c R264-17d R264-17e R264-18a R264-18b R264-18c
R264-18d R264-19 R264-20a R264-20b R264-20c R264-20d R264-21a R264-21b R264-21c R264-21d R264-22a
R264-22b R264-23a R264-23b R264-23c R264-24a R264-24b R264-24c R264-24d R264-25 R264-26a R264-26b R264-27
R264-28
"""
"""Part C."""

OF_THE_ISSUERS = """
O264-2.1 O264-2.2 O264-2.3 O264-3 O264-4 O136-2.1 O136-2.2 O136-2.3 O136-3 O136-4
"""
"""Part D."""

OF_THE_PLAN = """
R136-26.1 R136-26.2 R136-26.3 R136-26.4 R136-27.1 R136-27.2 R136-28.1 R136-28.2 R136-28.3 R136-28.4 R136-28.5
R136-28.6 R136-28.7
"""
"""Part B: items within a kind of help. A plan assigns the kind."""

ROWS = f"{JOINT_ORDER} {ORDER_264} {OF_THE_ISSUERS}".split()
WRITTEN = Path("docs/law.md").read_text(encoding="utf-8")
SPLIT = {"R136-12.3a": 2, "R136-A2.cons": 2, "R264-15a": 2, "R264-15c": 2, "R264-21a": 2}
"""Rows that say two things: to call the partners out and to go; to have a consent and to ask the parents for
it; whom to tell of the help; the quarter and the half-year."""


def answers() -> Counter[str]:
    found = Counter[str]()
    for edition in the_lawbook().editions:
        found.update(rule.row for rule in edition.rules if rule.row)
        found.update(duty.row for duty in edition.periodic)
        found.update(row.id for row in edition.rows)
    return found


def test_the_page_is_fresh() -> None:
    assert page(the_lawbook()) == WRITTEN, "make contracts"


def test_every_row_has_one_answer_and_there_is_none_for_a_row_that_is_not() -> None:
    of_the_orders = {row: count for row, count in answers().items() if not row.startswith("P748")}
    assert of_the_orders == {row: SPLIT.get(row, 1) for row in ROWS}


@pytest.mark.parametrize("row", ROWS)
def test_the_row_stands_on_the_page(row: str) -> None:
    assert f"| {row} | " in WRITTEN
    assert f"### {row} · " in WRITTEN or f"### {row}." in WRITTEN


def test_the_page_says_that_the_items_of_the_plan_have_no_rows() -> None:
    assert "Part B, the thirteen kinds of help under ¶26–28" in WRITTEN
    assert len(OF_THE_PLAN.split()) == 13
    assert [row for row in OF_THE_PLAN.split() if f"| {row} | " in WRITTEN] == []
    assert {row.rpartition(".")[0] for row in OF_THE_PLAN.split()} <= set(ROWS)


def test_nothing_on_the_page_is_left_empty() -> None:
    lines = WRITTEN.splitlines()
    assert not [line for line in lines if line.startswith("- **") and not line.partition(": ")[2].strip()]
    assert not [line for line in lines if line.startswith("> ") and len(line.strip("> *")) < 5]
    assert "None" not in WRITTEN


def test_rules_that_are_no_row_say_that_they_are_ours() -> None:
    for edition in the_lawbook().editions:
        for rule in edition.rules:
            assert bool(rule.row) == (rule.force != "internal practice")
