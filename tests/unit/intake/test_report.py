"""What is fact and what is sealed, and who is shut out."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from access import BODIES, FIELDS, Group, Level, Status, shape
from common.contracts.vocabulary import AgeBand
from intake.domain import report as reports
from intake.domain.child import Child
from intake.domain.conflict import SCHOOLS, excluded, marks_of
from intake.domain.report import Report
from intake.domain.source import Publication, Screening
from intake.domain.standing import standing_of
from intake.domain.territory import REGIONS, Territory, read_territory

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 10, 23, 20, 30, tzinfo=UTC)
AGENCY = UUID("7d0c1c0e-0000-4000-8000-00000000000a")
SCHOOL = UUID("7d0c1c0e-0000-4000-8000-00000000000b")
SECRETS = (
    "Әлия Қанарейка",
    "160229600016",
    "Абай даңғылы 1",
    "№ 999 мектеп",
    "ұрып-соққан",
    "REF-77",
    "child-777",
    "canary",
)
REPORT = Report(
    territory=Territory("KZ-75", "751210000"),
    concerns=("violence",),
    canonical=b"{}",
    offender_relation="education_staff",
    offender_agency=SCHOOL,
    reference="REF-77",
    child=Child(
        name="Әлия Қанарейка",
        birth_date=date(2016, 2, 29),
        iin="160229600016",
        address="Абай даңғылы 1",
        education_org="№ 999 мектеп",
    ),
    narrative="ұрып-соққан",
    publication=Publication("https://news.example/child-777", date(2026, 10, 23), "a" * 64),
    screening=Screening("phq-a-canary", "critical", date(2026, 10, 22)),
)


def test_facts_name_nobody() -> None:
    facts = json.dumps(reports.facts_of(REPORT, reporter="education_org", received_at=AT), ensure_ascii=False)
    for secret in (*SECRETS, str(SCHOOL), "2016"):
        assert secret not in facts


def test_a_report_does_not_print_what_it_holds() -> None:
    for secret in (*SECRETS, str(SCHOOL)):
        assert secret not in repr(REPORT)


def test_what_is_opened_has_exactly_the_fields_that_access_knows() -> None:
    facts = reports.facts_of(REPORT, reporter="education_org", received_at=AT)
    content = reports.content_of(facts, reports.child_record(REPORT), handle=AGENCY, received_at=AT)
    shown = shape(content, dict.fromkeys(Group, Level.READ))
    assert shown == content
    missing = [field.path for field in FIELDS if field.path[0] not in content]
    assert missing == [("summary",)]


def test_the_day_is_the_local_one_and_the_hour_is_the_reporters() -> None:
    content = reports.content_of(
        reports.facts_of(REPORT, reporter="health_org", received_at=AT),
        reports.child_record(REPORT),
        handle=AGENCY,
        received_at=AT,
    )
    assert content["received_on"] == "2026-10-24"
    shown = shape(content, dict.fromkeys(set(Group) - {Group.CHANNEL}, Level.READ))
    assert "source" not in shown
    assert "20:30" not in json.dumps(shown)


def test_the_reporter_is_in_no_document_but_the_vaults() -> None:
    vault = json.loads(reports.reporter_record(REPORT, agency=AGENCY, subject="client-1"))
    assert vault == {"agency": str(AGENCY), "subject": "client-1", "reference": "REF-77"}
    assert "REF-77" not in reports.child_record(REPORT).decode()
    assert str(AGENCY) not in reports.child_record(REPORT).decode()


def test_routing_names_the_reporter_and_the_implicated() -> None:
    assert json.loads(reports.routing_record(REPORT, agency=AGENCY)) == {
        "reporter_agency": str(AGENCY),
        "implicated": [str(SCHOOL)],
    }


@pytest.mark.parametrize(
    ("told", "reporter", "taken"),
    [
        (None, "education_org", "head"),
        ("staff", "education_org", "staff"),
        (None, "internal_affairs", None),
        ("staff", "health_org", "staff"),
    ],
)
def test_a_schools_system_speaks_for_its_head(told: str | None, reporter: str, taken: str | None) -> None:
    assert reports.reported_by(told, reporter) == taken


@pytest.mark.parametrize(
    ("bodies", "reporter"),
    [
        (("education_org",), "education_org"),
        (("child_rights_agency", "health_org", "prosecutor"), "health_org"),
        (("child_violence_help_cabinet",), "other_prevention_subject"),
        ((), "other_prevention_subject"),
    ],
)
def test_an_agency_reports_as_one_of_the_sixteen(bodies: tuple[str, ...], reporter: str) -> None:
    assert len(reports.IDENTIFYING) == 16
    assert reports.reporter_of(bodies) == reporter


def test_the_age_band_is_a_word_of_the_published_language() -> None:
    for age in (None, *range(20)):
        AgeBand(Child(age=age).age_band_on(date(2026, 1, 1)))


@pytest.mark.parametrize("relation", ["education_staff", "organisation_staff"])
def test_an_unknown_organisation_shuts_out_every_school(relation: str) -> None:
    marks = excluded(relation, None)
    assert set(marks) == {f"role:{role}" for role in SCHOOLS}
    assert set(marks) & set(marks_of(SCHOOL, ("education_org",)))
    assert not set(marks) & set(marks_of(AGENCY, ("internal_affairs", "regional_child_rights_body")))


def test_a_known_organisation_is_shut_out_alone_whatever_the_relation() -> None:
    for relation in ("education_staff", "other_adult", "unknown"):
        marks = set(excluded(relation, SCHOOL))
        assert marks & set(marks_of(SCHOOL, ("education_org",)))
        assert not marks & set(marks_of(AGENCY, ("education_org",)))


def test_nobody_is_shut_out_without_a_suspicion_against_staff() -> None:
    for relation in ("parent", "peer", "unknown", "online_unknown"):
        assert excluded(relation, None) == ()


def test_every_school_of_the_access_table_is_a_school_here() -> None:
    schools = {body for body, row in BODIES.items() if row.is_school}
    assert schools == set(SCHOOLS)


def test_every_body_of_the_access_table_has_a_standing_that_opens_something() -> None:
    for body, row in BODIES.items():
        if row.is_party and row.name not in {"REP", "RABH"}:
            standing = standing_of(body)
            line = row.lines[Status(standing.status)]
            if standing.stands_in:
                continue
            assert line[Group.EXISTENCE] is not Level.NOTHING, body


def test_the_first_circle_reads_at_once_and_the_visit_by_its_grant() -> None:
    assert standing_of("internal_affairs").status == "S0"
    assert standing_of("guardianship_body").stands_in
    assert standing_of("family_mobile_group").granted == ("F0", "F1", "F2", "F3", "F4", "F8")
    assert standing_of("child_violence_help_cabinet").status == "S1"
    assert standing_of("minors_commission").status == "S2"


@pytest.mark.parametrize(
    ("code", "territory"),
    [
        ("KZ-75", Territory("KZ-75")),
        ("750000000", Territory("KZ-75")),
        ("751210000", Territory("KZ-75", "751210000")),
        ("KZ-10", Territory("KZ-10")),
        ("103220100", Territory("KZ-10", "103220100")),
    ],
)
def test_a_place_is_named_by_either_code(code: str, territory: Territory) -> None:
    assert read_territory(code) == territory


@pytest.mark.parametrize(
    "code",
    ["", "KZ", "KZ-99", "kz-75", "75", "990000000", "75121000", "7512100000", "７５１２１００００", "XX-75"],
)
def test_another_code_is_no_place(code: str) -> None:
    assert read_territory(code) is None


def test_the_regions_are_those_of_the_registry() -> None:
    seed = (ROOT / "services/registry/seed/territories.csv").read_text("utf-8").splitlines()[1:]
    assert {line.split(",")[0] for line in seed} - {"KZ"} == REGIONS
