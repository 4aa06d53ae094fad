"""Loading the law: what ships loads, and what would mislead is refused with its place."""

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from notifier.domain.evaluation import evaluate
from notifier.lawbook import LAW, Lawbook, LawUnreadable
from tests.factories.law import local, some_facts, the_lawbook


@pytest.fixture
def law(tmp_path: Path) -> Path:
    """A copy of the law that a test may damage."""
    return Path(shutil.copytree(LAW, tmp_path / "law"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_law_of_a_moment_is_every_act_in_its_edition_and_our_practice() -> None:
    edition = the_lawbook().edition_at(local("2026-06-13 00:00:00"))
    assert edition.id == "joint_order_2026+order_264_2025+practice_2026"
    assert edition.not_yet_in_force is None
    assert {rule.act: rule.edition for rule in edition.rules} == {
        "R136": "joint_order_2026",
        "R264": "order_264_2025",
    }


def test_an_act_is_used_before_its_assumed_date_and_everything_says_so() -> None:
    edition = the_lawbook().edition_at(local("2026-06-12 23:59:59"))
    assert edition.not_yet_in_force == "assumed"
    assert {act.id: act.early for act in edition.acts.values()} == {"R136": True, "R264": False}


def test_an_act_with_a_confirmed_date_binds_nobody_before_it(law: Path) -> None:
    change(law / "joint_order_2026" / "edition.yaml", "assumed: true", "assumed: false")
    before = Lawbook.load(law).edition_at(local("2026-06-12 23:59:59"))
    assert set(before.acts) == {"R264"}
    assert before.not_yet_in_force is None


@pytest.mark.parametrize("moment", ["2024-05-01 10:00:00", "2026-02-01 10:00:00", "2026-10-23 15:00:00"])
def test_an_open_obligation_finds_the_very_law_under_which_it_was_born(moment: str) -> None:
    edition = the_lawbook().edition_at(local(moment))
    assert the_lawbook().edition(edition.id) is edition


def test_the_id_of_one_acts_edition_means_the_law_at_its_beginning() -> None:
    edition = the_lawbook().edition("joint_order_2026")
    assert edition.rule("R264-16a").act == "R264"
    for unknown in ("nowhere", "practice_2026", "nowhere+practice_2026"):
        with pytest.raises(KeyError):
            the_lawbook().edition(unknown)


def amend(law: Path, **said: str) -> None:
    """An amendment of the joint order: three working days of ¶12(6) become five, ¶14(1) ends."""
    folder = law / "amended"
    folder.mkdir()
    head = (law / "joint_order_2026" / "edition.yaml").read_text(encoding="utf-8")
    head = head.replace("edition: joint_order_2026", "edition: joint_order_2027")
    head = head.replace("from: 2026-06-13, assumed: true", "from: 2027-01-11, assumed: false")
    tail = "".join(f"{key}: {value}\n" for key, value in said.items())
    (folder / "edition.yaml").write_text(head + tail, encoding="utf-8")
    rules = yaml.safe_load((law / "joint_order_2026" / "referrals.yaml").read_text(encoding="utf-8"))["rules"]
    rule = next(rule for rule in rules if rule["rule"] == "R136-12.6")
    rule["clock"]["working_days"] = 5
    (folder / "changed.yaml").write_text(yaml.safe_dump({"rules": [rule]}, allow_unicode=True), "utf-8")


def test_an_amendment_leaves_the_old_clock_to_alerts_before_it_and_gives_the_new_one_to_those_after(
    law: Path,
) -> None:
    amend(law, amends="joint_order_2026", repeals="[R136-14.1]")
    lawbook = Lawbook.load(law)
    found = {}
    for received in ("2027-01-10 23:59:59", "2027-01-11 00:00:00"):
        facts = some_facts(received=received, reporter="contact_centre_111")
        edition = lawbook.edition_at(facts.received_at)
        duties = {duty.rule: duty for duty in evaluate(edition, facts, lawbook.calendar).obligations}
        found[received] = duties
        assert lawbook.edition(edition.id).rule("R136-12.6").clock == duties["R136-12.6"].clock
    before, after = found.values()
    assert [duties["R136-12.6"].clock.amount for duties in (before, after)] == [3, 5]
    assert [duties["R136-12.6"].edition for duties in (before, after)] == [
        "joint_order_2026",
        "joint_order_2027",
    ]
    assert [duties["R136-12.1"].edition for duties in (before, after)] == [
        "joint_order_2026",
        "joint_order_2027",
    ]
    assert "R136-14.1" in before
    assert "R136-14.1" not in after
    assert [duties["R264-16a"].edition for duties in (before, after)] == ["order_264_2025"] * 2


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"amends": "nowhere"}, "amends no earlier edition"),
        ({"amends": "order_264_2025"}, "amends no earlier edition"),
        ({"amends": "joint_order_2026", "repeals": "[R136-99]"}, "did not stand"),
        ({"repeals": "[R136-14.1]"}, "amends nothing"),
    ],
)
def test_an_amendment_of_nothing_is_refused(law: Path, said: dict[str, str], complaint: str) -> None:
    amend(law, **said)
    with pytest.raises(LawUnreadable, match=complaint):
        Lawbook.load(law)


def test_rules_stand_in_the_order_of_the_text() -> None:
    rules = [rule.id for rule in the_lawbook().edition("joint_order_2026").rules if rule.act == "R136"]
    assert rules[:6] == ["R136-2.2", "R136-6", "R136-8a", "R136-8b", "R136-8c", "R136-9"]
    assert rules[-1].startswith("R136-A2")
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
        ("../practice/practice_2026.yaml", "immediate_target: PT15M", "immediate_target: soon", "ISO 8601"),
        ("../practice/practice_2026.yaml", "from: 2025", "since: 2025", "from is missing"),
        ("../facts.yaml", "head.told:", "head.silent:", "no evidence meets it"),
        ("edition.yaml", "edition: joint_order_2026", "edition: order_264_2025", "said twice"),
        (
            "edition.yaml",
            "edition: joint_order_2026",
            "edition: joint_order_" + "of_the_five_ministers_" * 9 + "2026",
            "longer than",
        ),
        ("edition.yaml", "from: 2026-06-13", "from: soon", "from is not a date"),
        ("coordinating_body.yaml", "starts: notice", "starts: { after: [x] }", "after no fact"),
        ("coordinating_body.yaml", "starts: notice", "starts: later", "starts must be"),
        ("referrals.yaml", "dispatch: on_release", "dispatch: on_release\n    calls_out: true", "at once"),
        (
            "help.yaml",
            "evidence: case.closed",
            "evidence: [commission.decided, case.closed]",
            "a lasting duty",
        ),
        ("first_notices.yaml", "rules:", "rules: [", "first_notices.yaml"),
    ],
)
def test_a_misleading_file_is_refused_with_its_place(
    law: Path, file: str, old: str, new: str, complaint: str
) -> None:
    change(law / "joint_order_2026" / file, old, new)
    with pytest.raises(LawUnreadable, match=complaint) as refused:
        Lawbook.load(law)
    assert ": " in str(refused.value)  # a place, then what is wrong with it


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("days: []", "days: [{day: 2027-10-24, working: true}]", "another year"),
        ("days: []", "days: [{day: 2026-10-24, working: 1}]", "not true or false"),
        (
            "days: []",
            "days: [{day: 2026-10-24, working: true}, {day: 2026-10-24, working: false}]",
            "a day said twice",
        ),
        ("calendar: 2026", "calendar: 2027", "named after"),
        ("  act: Закон", "  law: Закон", "act is missing"),
        ("days: []", "days: []\nschool_year: {act: x, starts: 2025-09-01}", "another year"),
        ("days: []", "days: []\nschool_year: {starts: 2026-09-01}", "act is missing"),
    ],
)
def test_a_misleading_year_file_is_refused(law: Path, old: str, new: str, complaint: str) -> None:
    change(law / "calendar" / "2026.yaml", old, new)
    with pytest.raises(LawUnreadable, match=complaint):
        Lawbook.load(law)


def test_a_year_file_names_the_school_year_and_its_quarters(law: Path) -> None:
    year = "days: []\nschool_year: {act: № 1, starts: 2026-09-02, quarters: [{ends: 2026-12-25}]}"
    change(law / "calendar" / "2026.yaml", "days: []", year)
    calendar = Lawbook.load(law).calendar
    assert calendar.school_year_start(2026) == (date(2026, 9, 2), True)
    assert calendar.school_year_start(2027) == (date(2027, 9, 1), False)
    assert calendar.school_quarter_end(date(2026, 10, 1), date(2026, 12, 31)) == date(2026, 12, 25)


def test_duties_of_the_calendar_come_by_the_editions_in_force() -> None:
    of_2024 = {duty.id for duty in the_lawbook().periodic_at(local("2024-05-01 10:00:00"))}
    assert of_2024 == {"P748-2.2", "P748-3"}
    now = {duty.id for duty in the_lawbook().periodic_at(local("2026-11-21 10:00:00"))}
    assert {"R264-21a.quarter", "R264-21a.half_year", "R264-22a", "R264-23a", "R264-23b"} <= now


def test_no_law_at_all_is_refused(law: Path) -> None:
    for folder in ("joint_order_2026", "order_264_2025"):
        shutil.rmtree(law / folder)
    with pytest.raises(LawUnreadable, match="no edition"):
        Lawbook.load(law)
