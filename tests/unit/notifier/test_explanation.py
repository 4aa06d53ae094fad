"""The law told to a person."""

from typing import Any

import pytest

from notifier.domain.explanation import Language, explain
from tests.factories.law import some_facts, the_lawbook


def told(language: Language = "en", **given: Any) -> str:
    facts = some_facts(**given)
    lawbook = the_lawbook()
    return "\n".join(explain(lawbook.edition_at(facts.received_at), facts, lawbook.calendar, language))


def test_a_clock_in_days_is_told_step_by_step() -> None:
    text = told()
    assert "R136-12.6 · Joint order, ¶12(6) · joint order" in text
    assert "Working days from the day: 3; day 1 is Fri 23.10.2026; by Wed 28.10.2026 23:59:59" in text
    assert "A breach is recorded after Thu 29.10.2026 23:59:59" in text
    assert "Days off: Sat 24.10.2026, Sun 25.10.2026, Mon 26.10.2026" in text
    assert "[J8, J12, J13, J19]" in text
    assert "Provisional" not in text


def test_a_target_is_never_told_as_law() -> None:
    assert "At once: target 15 min, by Fri 23.10.2026 15:15:00; a target, not a limit of the law" in told()


def test_an_unconfirmed_year_is_told() -> None:
    assert "Provisional: the moved working days of this year are not confirmed yet" in told(
        received="2026-12-31 23:30:00"
    )


def test_what_is_withheld_or_only_advised_stands_apart_with_its_reason() -> None:
    text = told(concerns=["violence"], offender_relation="parent")
    assert "Withheld: 1" in text
    assert "parents must not be told" in text
    assert "For guidance, not binding: 5" in told(concerns=["bullying"])


def test_an_assumed_date_an_early_alert_and_a_stand_in_are_told() -> None:
    text = told(received="2026-06-01 10:00:00", regional_body=False)
    assert "date of entry into force assumed" in text
    assert "not yet in force" in text
    assert "the guardianship body stands in" in text


def test_nothing_owed_is_told_as_such() -> None:
    assert "lays no duty on anybody" in told(concerns=["other"])


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_every_language_tells_the_same_number_of_lines(language: Language) -> None:
    case: dict[str, Any] = {"concerns": ["bullying", "violence"], "reporter": "child", "regional_body": False}
    assert len(told(language, **case).splitlines()) == len(told("en", **case).splitlines())


@pytest.mark.parametrize(("language", "word"), [("kk", "қорғаншылық органы"), ("ru", "орган опеки")])
def test_roles_are_named_in_the_language_of_the_reader(language: Language, word: str) -> None:
    text = told(language, regional_body=False)
    assert word in text
    assert "guardianship_body" not in text
