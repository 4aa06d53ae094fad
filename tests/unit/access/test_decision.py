"""Every cell of the matrix, in every context, against a second copy written by hand."""

import csv
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from access import BODIES, TABLE, Alert, Conflict, Group, Level, Purpose, Reader, Row, Status, levels, may
from access.table import read_table

EXPECTED = Path(__file__).with_name("expected.csv")
DISTRICT = "KZ-75"
ALL = frozenset(Group)
SCHOOLS = {"SCHP", "SCHH"}
PLATFORM = {"OPS", "AUD"}
ONLY_IN_PLAN = {
    "HEA", "HELP", "GUA", "RCOM", "NCOM", "PSC", "FSC", "SCHP", "SCHH", "AKI", "OTH", "C111",
}  # fmt: skip
CONDITION = {"KDNM": "agenda_open", "PRO": "requested", "PAR": "parent_cleared"}


def expected_table() -> dict[tuple[str, Group, Status], Level]:
    lines = [line for line in EXPECTED.read_text("utf-8").splitlines() if not line.startswith("#")]
    table = dict.fromkeys(itertools.product(TABLE, Group, Status), Level.NOTHING)
    for line in csv.DictReader(lines):
        for status in Status:
            key = (line["row"], Group(line["group"]), status)
            assert key in table
            table[key] = Level(line[status])
    return table


EXPECTED_TABLE = expected_table()


def reader_of(row: Row) -> Reader:
    body = row.bodies[0] if row.bodies else "guardianship_body"
    return Reader(body=body, territory=DISTRICT, purpose=row.purposes[0])


def open_alert(row: str, status: Status) -> Alert:
    """Everything that a row asks for holds, nothing is granted on top."""
    facts = {"in_plan"} | ({CONDITION[row]} if row in CONDITION else set())
    return Alert(
        status=status,
        territory=DISTRICT,
        addressed=True,
        legal_ground=True,
        conflict=Conflict.NONE,
        stands_in=row == "GUAF",
        facts=frozenset(facts),
    )


def contexts() -> Iterator[tuple[str, Status, Conflict, bool, bool]]:
    return itertools.product(TABLE, Status, Conflict, (True, False), (True, False))


def disagreements(table: Mapping[str, Row]) -> list[tuple[str, str, str]]:
    return [
        (name, group, status)
        for (name, group, status), level in EXPECTED_TABLE.items()
        if table[name].lines[status][group] is not level
    ]


def test_every_cell_of_the_table_is_as_the_second_copy_says() -> None:
    assert len(EXPECTED_TABLE) == 25 * 19 * 7
    assert disagreements(TABLE) == []


def test_a_planted_fault_in_the_table_is_found() -> None:
    text = files("access").joinpath("table.yaml").read_text("utf-8")
    sound = '    S0: "R  R  R  R  R  ·  R  R  R  ·  ·  R  ·  ·  ·  ·  ·  ·  ·"'
    assert text.count(sound) == 1
    faulty = read_table(text.replace(sound, sound.replace("·  R  R  R  ·", "R  R  R  R  ·")))
    assert disagreements(faulty) == [("POL", Group.PLACEMENT, Status.RECEIVED)]


def test_one_flipped_cell_anywhere_is_found() -> None:
    for name, row in TABLE.items():
        for status, group in itertools.product(Status, Group):
            level = Level.WRITE if row.lines[status][group] is Level.NOTHING else Level.NOTHING
            lines = {**row.lines, status: {**row.lines[status], group: level}}
            assert disagreements({**TABLE, name: replace(row, lines=lines)}) == [(name, group, status)]


def answer(row: str, group: Group, alert: Alert) -> Level:
    """What the second copy and the rule of §4.1 come to, reckoned apart from the code."""
    cell = EXPECTED_TABLE[row, group, alert.status]
    match cell:
        case Level.GRANT:
            return Level.READ if group in alert.granted else Level.NOTHING
        case Level.TWO_PERSON:
            return Level.READ if group in alert.warranted else Level.NOTHING
        case Level.OWN:
            return Level.OWN if alert.supplied else Level.NOTHING
        case _:
            return cell


@pytest.mark.parametrize("everything_granted", [False, True])
def test_every_cell_in_every_context(everything_granted: bool) -> None:
    checked = 0
    for name, status, conflict, own_region, addressed in contexts():
        row = TABLE[name]
        reader = replace(reader_of(row), territory=DISTRICT if own_region else "KZ-10")
        alert = replace(
            open_alert(name, status),
            conflict=conflict,
            addressed=addressed,
            supplied=everything_granted,
            granted=ALL if everything_granted else frozenset(),
            warranted=ALL if everything_granted else frozenset(),
        )
        conflicted = conflict is not Conflict.NONE and (conflict is not Conflict.UNSURE or name in SCHOOLS)
        reached = name in PLATFORM or (own_region and addressed)
        for group in Group:
            wanted = answer(name, group, alert) if reached and not conflicted else Level.NOTHING
            assert may(reader, alert, group) is wanted, (name, group, alert)
            checked += 1
    assert checked == 25 * 19 * 7 * 5 * 2 * 2  # 66,500


@pytest.mark.parametrize("conflict", [c for c in Conflict if c not in (Conflict.NONE, Conflict.UNSURE)])
def test_a_conflict_beats_every_grant_and_warrant(conflict: Conflict) -> None:
    for name, row in TABLE.items():
        for status, group in itertools.product(Status, Group):
            alert = replace(
                open_alert(name, status),
                conflict=conflict,
                supplied=True,
                granted=ALL,
                warranted=ALL,
                facts=frozenset(
                    {"in_plan", "agenda_open", "requested", "parent_cleared", "proceeding_open", "escalated"}
                ),
            )
            assert may(reader_of(row), alert, group) is Level.NOTHING


@pytest.mark.parametrize(
    "lost",
    [{"addressed": False}, {"legal_ground": False}, {"in_window": False}, {"territory": "KZ-10"}],
    ids=lambda lost: next(iter(lost)),
)
def test_each_condition_alone_closes_every_party(lost: dict[str, object]) -> None:
    for name, row in TABLE.items():
        if row.is_party:
            for status, group in itertools.product(Status, Group):
                alert = replace(open_alert(name, status), **lost)  # type: ignore[arg-type]  # one field each
                assert may(reader_of(row), alert, group) is Level.NOTHING


def test_a_read_without_a_purpose_of_the_role_shows_nothing() -> None:
    for name, row in TABLE.items():
        for purpose in (None, *(set(Purpose) - set(row.purposes))):
            reader = replace(reader_of(row), purpose=purpose)
            for status, group in itertools.product(Status, Group):
                assert may(reader, open_alert(name, status), group) is Level.NOTHING


def test_a_national_body_covers_every_region() -> None:
    reader = replace(reader_of(TABLE["NCOM"]), territory="KZ")
    assert may(reader, open_alert("NCOM", Status.RECEIVED), Group.CATEGORY) is Level.READ


def test_an_unconfirmed_session_sees_no_sealed_group() -> None:
    reader = replace(reader_of(TABLE["POL"]), is_fresh=False)
    alert = open_alert("POL", Status.IN_WORK)
    assert may(reader, alert, Group.AGGRESSOR) is Level.NOTHING
    assert may(reader, alert, Group.CHILD) is Level.READ


@pytest.mark.parametrize("name", sorted(CONDITION))
def test_a_row_with_a_condition_shows_nothing_without_it(name: str) -> None:
    for status, group in itertools.product(Status, Group):
        alert = replace(open_alert(name, status), facts=frozenset({"in_plan"}))
        assert may(reader_of(TABLE[name]), alert, group) is Level.NOTHING


def test_while_the_plan_runs_only_bodies_named_in_it_see_anything() -> None:
    for name, row in TABLE.items():
        alert = replace(open_alert(name, Status.PLAN_RUNNING), facts=frozenset({CONDITION.get(name, "")}))
        seen = [group for group in Group if may(reader_of(row), alert, group) is not Level.NOTHING]
        assert (seen == []) == (name in ONLY_IN_PLAN or name == "FMG"), name


def test_police_keep_the_content_while_a_proceeding_is_open() -> None:
    alert = open_alert("POL", Status.PLAN_RUNNING)
    police = reader_of(TABLE["POL"])
    assert may(police, alert, Group.NARRATIVE) is Level.NOTHING
    assert may(police, replace(alert, facts=frozenset({"proceeding_open"})), Group.NARRATIVE) is Level.READ


def test_the_commission_keeps_the_content_until_it_has_decided() -> None:
    alert = open_alert("KDN", Status.PLAN_RUNNING)
    commission = reader_of(TABLE["KDN"])
    assert may(commission, alert, Group.CHILD) is Level.NOTHING
    assert may(commission, replace(alert, facts=frozenset({"decision_pending"})), Group.CHILD) is Level.READ


def test_escalation_opens_the_childs_identity_to_the_head_and_nothing_else() -> None:
    alert = open_alert("RABH", Status.IN_WORK)
    escalated = replace(alert, facts=alert.facts | {"escalated"})
    head = reader_of(TABLE["RABH"])
    changed = [group for group in Group if may(head, alert, group) is not may(head, escalated, group)]
    assert changed == [Group.CHILD]
    assert may(head, escalated, Group.CHILD) is Level.READ


def test_guardianship_reads_as_the_regional_body_only_while_it_stands_in() -> None:
    guardianship = reader_of(TABLE["GUA"])
    alert = open_alert("GUA", Status.RECEIVED)
    standing_in = replace(alert, stands_in=True)
    reader = replace(guardianship, purpose=Purpose.PROTECT)
    assert may(reader, alert, Group.NARRATIVE) is Level.NOTHING
    assert may(reader, standing_in, Group.NARRATIVE) is Level.READ


@pytest.mark.parametrize("body", ["", "nobody", "measles", "education_org_", "POL"])
def test_a_body_that_no_row_names_sees_nothing(body: str) -> None:
    for status, group in itertools.product(Status, Group):
        reader = Reader(body=body, territory="KZ", purpose=Purpose.PROTECT)
        assert may(reader, open_alert("POL", status), group) is Level.NOTHING


def test_by_default_an_alert_refuses() -> None:
    for name, row in TABLE.items():
        if row.is_party:
            bare = Alert(status=Status.IN_WORK, territory=DISTRICT)
            assert all(may(reader_of(row), bare, group) is Level.NOTHING for group in Group), name


def test_nobody_ever_gets_a_condition_as_an_answer() -> None:
    answers = {
        may(reader_of(TABLE[name]), open_alert(name, status), group)
        for name, status, group in itertools.product(TABLE, Status, Group)
    }
    assert answers.isdisjoint({Level.GRANT, Level.TWO_PERSON})


def test_no_parent_ever_sees_placement_aggressor_or_reporter() -> None:
    for status in Status:
        alert = replace(open_alert("PAR", status), supplied=True, granted=ALL, warranted=ALL)
        for group in (Group.PLACEMENT, Group.AGGRESSOR, Group.REPORTER, Group.CHANNEL):
            assert may(reader_of(TABLE["PAR"]), alert, group) is Level.NOTHING


def test_nobody_writes_or_reads_content_of_an_erased_child() -> None:
    for name, row in TABLE.items():
        for group in set(Group) - {Group.EXISTENCE, Group.JOURNAL}:
            assert may(reader_of(row), open_alert(name, Status.ERASED), group) is Level.NOTHING


def test_an_agency_told_under_two_roles_gets_the_wider_of_each_group() -> None:
    received = open_alert("POL", Status.RECEIVED)
    together = levels([(reader_of(TABLE["NCOM"]), received), (reader_of(TABLE["POL"]), received)])
    assert together[Group.CHILD] is Level.READ
    assert together[Group.MEDICAL] is Level.NOTHING


def test_every_body_stands_in_one_row_and_every_line_has_all_groups() -> None:
    assert len(BODIES) == sum(len(row.bodies) for row in TABLE.values())
    for row in TABLE.values():
        assert set(row.lines) == set(Status)
        assert all(set(line) == ALL for line in row.lines.values())


@pytest.mark.parametrize(
    "text",
    [
        'rows: {A: {bodies: [x], purposes: [protect], S0: "R R"}}',
        'rows: {A: {bodies: [x], purposes: [protect], S0: "Z · · · · · · · · · · · · · · · · · ·"}}',
        "rows: {A: {bodies: [x], purposes: [gossip]}}",
        "rows: {A: {bodies: [x], purposes: [protect]}, B: {bodies: [x], purposes: [protect]}}",
    ],
    ids=["short line", "unknown code", "unknown purpose", "body twice"],
)
def test_a_broken_table_does_not_load(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_table(text)
