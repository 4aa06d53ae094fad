"""Loading the law: what ships loads, and what would mislead is refused with its place."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from notifier.lawbook import LAW, Lawbook, LawUnreadable
from tests.factories.law import local, the_lawbook


@pytest.fixture
def law(tmp_path: Path) -> Path:
    """A copy of the law that a test may damage."""
    return Path(shutil.copytree(LAW, tmp_path / "law"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_edition_is_chosen_by_the_time_of_receipt() -> None:
    edition = the_lawbook().edition_at(local("2026-06-13 00:00:00"))
    assert (edition.id, edition.not_yet_in_force) == ("joint_order_2026", None)


def test_before_the_first_edition_the_first_is_used_and_says_so() -> None:
    edition = the_lawbook().edition_at(local("2026-06-12 23:59:59"))
    assert (edition.id, edition.not_yet_in_force) == ("joint_order_2026", "assumed")


def test_a_later_edition_leaves_the_earlier_one_to_earlier_alerts(law: Path) -> None:
    later = Path(shutil.copytree(law / "joint_order_2026", law / "amended"))
    change(later / "edition.yaml", "edition: joint_order_2026", "edition: amended")
    change(later / "edition.yaml", "date: 2026-06-13", "date: 2027-01-01")
    lawbook = Lawbook.load(law)
    assert lawbook.edition_at(local("2026-12-31 23:59:59")).id == "joint_order_2026"
    assert lawbook.edition_at(local("2027-01-01 00:00:00")).id == "amended"
    assert lawbook.edition("joint_order_2026").id == "joint_order_2026"
    with pytest.raises(KeyError):
        lawbook.edition("nowhere")


def test_rules_stand_in_the_order_of_the_text() -> None:
    rules = [rule.id for rule in the_lawbook().edition("joint_order_2026").rules if rule.act == "R136"]
    assert rules[:5] == ["R136-8a", "R136-8b", "R136-8c", "R136-9", "R136-10"]
    assert rules.index("R136-12.7b") < rules.index("R136-13") < rules.index("R136-29")


def test_citations_in_both_languages() -> None:
    citation = the_lawbook().edition("joint_order_2026").rule("R136-12.1").citation
    assert citation.kk == "Бірлескен бұйрық, 12-тармақтың 1) тармақшасы"
    assert citation.ru == "Совместный приказ, пп. 1) п. 12"


def test_a_moved_day_comes_from_the_file_of_its_year(law: Path) -> None:
    change(law / "calendar" / "2026.yaml", "days: []", "days: [{day: 2026-10-24, working: true}]")
    calendar = Lawbook.load(law).calendar
    assert calendar.is_working(date(2026, 10, 24))
    assert calendar.confirmed_years == {2026}


def test_without_any_calendar_file_the_library_counts_and_every_year_is_provisional(law: Path) -> None:
    shutil.rmtree(law / "calendar")
    calendar = Lawbook.load(law).calendar
    assert not calendar.is_working(date(2026, 10, 26))
    assert calendar.is_provisional(date(2026, 10, 26), date(2026, 10, 26))


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("first_notices.yaml", "recipient: internal_affairs", "recipient: police", "no such role: police"),
        ("first_notices.yaml", "recipient: internal_affairs", "recipient: legal_rep", "never contacts"),
        ("first_notices.yaml", "dispatch: at_once", "dispatch: none", "never sent"),
        ("first_notices.yaml", "dispatch: at_once", "dispatch: soon", "must be one of at_once"),
        ("first_notices.yaml", "rule: R136-8b", "rule: R136-8a", "said twice"),
        ("first_notices.yaml", "clock: immediately", "clock: soon", "clock unknown"),
        (
            "first_notices.yaml",
            "clock: immediately",
            "clock: {working_days: 0, counted: from_day}",
            "number of days",
        ),
        ("first_notices.yaml", "scope: [violence,", "scope: [poverty,", "unknown concern"),
        ("first_notices.yaml", "obliged: first_holder", "obliged: []", "nobody is obliged"),
        ("first_notices.yaml", 'paragraph: "8"', 'paragraph: "eight"', "paragraph unknown"),
        ("first_notices.yaml", "    kind: notice", "    kind: notice\n    note: x", "unknown: note"),
        ("first_notices.yaml", "    kind: notice", "    kind: notice\n    kind: act", "key said twice"),
        ("first_notices.yaml", "    kind: notice\n", "", "kind is missing"),
        ("first_notices.yaml", "ru: Незамедлительно", "rus: Незамедлительно", "ru is missing"),
        ("first_notices.yaml", "examples:", "samples:", "examples is missing"),
        ("education.yaml", "reason: do_not_notify_parents", "reason: because", "reason unknown"),
        ("education.yaml", "when: { reported_by: staff }", "when: { weather: bad }", "weather is no fact"),
        ("parameters.yaml", "immediate_target: PT15M", "immediate_target: soon", "ISO 8601"),
        ("edition.yaml", "in_force_with: R136", "in_force_with: R999", "names no act"),
        ("edition.yaml", "date: 2026-06-13", "date: soon", "date is not a date"),
        ("first_notices.yaml", "rules:", "rules: [", "first_notices.yaml"),
    ],
)
def test_a_misleading_file_is_refused_with_its_place(
    law: Path, file: str, old: str, new: str, complaint: str
) -> None:
    change(law / "joint_order_2026" / file, old, new)
    with pytest.raises(LawUnreadable, match=complaint) as refused:
        Lawbook.load(law)
    assert "joint_order_2026" in str(refused.value) or file in str(refused.value)


def test_a_calendar_day_of_another_year_is_refused(law: Path) -> None:
    change(law / "calendar" / "2026.yaml", "days: []", "days: [{day: 2027-10-24, working: true}]")
    with pytest.raises(LawUnreadable, match="another year"):
        Lawbook.load(law)


def test_no_law_at_all_is_refused(law: Path) -> None:
    shutil.rmtree(law / "joint_order_2026")
    with pytest.raises(LawUnreadable, match="no edition"):
        Lawbook.load(law)
