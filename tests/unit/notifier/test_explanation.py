"""The law told to a person."""

from typing import Any

import pytest

from notifier.domain.explanation import Language, explain, explain_obligation
from tests.factories.law import local, some_facts, the_lawbook


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


def test_nothing_owed_is_told_as_such_and_asks_for_a_person() -> None:
    text = told(concerns=["other"])
    assert "lays no duty on anybody" in text
    assert "a person must look" in text


def test_every_act_is_told_with_its_edition() -> None:
    text = told()
    assert (
        "Joint order: edition joint_order_2026, in force from Sat 13.06.2026 (date of entry into force"
        in text
    )
    assert "Order 264: edition order_264_2025, in force from Mon 08.12.2025" in text


def test_one_stored_obligation_is_told_with_its_clock_and_its_edition() -> None:
    lawbook = the_lawbook()
    edition = lawbook.edition("joint_order_2026")

    def tell(rule: str, language: Language = "en", **given: Any) -> str:
        said = {
            "obliged": "regional_child_rights_body",
            "recipient": None,
            "starts_at": local("2026-10-23 15:00:00"),
            "pending": False,
            **given,
        }
        return "\n".join(
            explain_obligation(edition, rule, calendar=lawbook.calendar, language=language, **said)
        )

    assert tell("R136-21").splitlines() == [
        "R136-21 · Joint order, ¶21 · joint order",
        "    regional child rights body: Carry out the initial assessment of the child's situation on the "
        "form of Appendix 1",
        "    Reading: Runs in parallel with the appointment of the case manager and does not wait for it "
        "[J2, J10, J12]",
        "    Working days from the moment: 1; by Tue 27.10.2026 15:00:00",
        "    A breach is recorded after Tue 27.10.2026 23:59:59 (the day of receipt not counted)",
        "    Days off: Sat 24.10.2026, Sun 25.10.2026, Mon 26.10.2026",
        "    Met by: the assessment was signed",
        "    Joint order: edition joint_order_2026, in force from Sat 13.06.2026 "
        "(date of entry into force assumed)",
    ]
    assert "26-тармақ" in tell("R136-26", "kk", obliged="measure_org", recipient="child")
    assert "бағалауға қол қойылды" in tell("R136-21", "kk")
    assert "оценка подписана" in tell("R136-21", "ru")
    assert "Accompanies the case" in tell("R136-17")
    target = tell("R136-22", obliged="case_manager")
    assert "target: working days 10, day 1 is Fri 23.10.2026, by Fri 06.11.2026 23:59:59" in target
    assert "breach" not in target
    assert "The clock starts when the notice reaches: regional child rights body" in tell(
        "R136-21", pending=True
    )
    assert "the guardianship body stands in" in tell("R136-21", obliged="guardianship_body")
    with pytest.raises(KeyError):
        tell("R136-99")


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_every_rule_is_told_in_every_language(language: Language) -> None:
    lawbook = the_lawbook()
    edition = lawbook.edition("joint_order_2026")
    for rule in edition.rules:
        lines = explain_obligation(
            edition,
            rule.id,
            obliged=rule.obliged[0],
            recipient=None,
            starts_at=local("2026-12-31 23:30:00"),
            pending=True,
            calendar=lawbook.calendar,
            language=language,
        )
        assert all(line.strip() for line in lines)
        assert rule.id in lines[0]


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_every_language_tells_the_same_number_of_lines(language: Language) -> None:
    case: dict[str, Any] = {"concerns": ["bullying", "violence"], "reporter": "child", "regional_body": False}
    assert len(told(language, **case).splitlines()) == len(told("en", **case).splitlines())


@pytest.mark.parametrize(("language", "word"), [("kk", "қорғаншылық органы"), ("ru", "орган опеки")])
def test_roles_are_named_in_the_language_of_the_reader(language: Language, word: str) -> None:
    text = told(language, regional_body=False)
    assert word in text
    assert "guardianship_body" not in text
