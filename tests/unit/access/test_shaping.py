"""What is left of a content document at each level."""

import itertools
import json
from typing import Any

import pytest

from access import FIELDS, TABLE, Alert, Conflict, Group, Level, Reader, Status, levels, may, shape

CONTENT: dict[str, Any] = {
    "alert": "5f0c1c0e-0000-4000-8000-000000000001",
    "received_on": "2026-10-23",
    "facts": {
        "concerns": ["violence"],
        "cyber": False,
        "direct_threat": True,
        "needs_medical_care": False,
        "without_parental_care": False,
        "parents_may_be_informed": None,
    },
    "territory": {"region": "KZ-75", "kato": "751210000"},
    "child": {
        "name": "Әлия Серікқызы Қанарейка",
        "age_band": "7-11",
        "birth_date": "2016-02-29",
        "age": None,
        "sex": "female",
        "iin": "160229600011",
        "doubts": ["check_digit"],
        "address": "Абай даңғылы 1, пәтер 2",
        "education_org": "№ 999 мектеп",
    },
    "narrative": "ұрып-соққан",
    "summary": "summary by the case manager",
    "publication": {
        "address": "https://news.example/1",
        "discovered_on": "2026-10-23",
        "copy_digest": "a" * 64,
    },
    "screening": {"instrument": "phq-a", "result": "critical", "taken_on": "2026-10-22"},
    "alleged_offender": {"relation": "education_staff", "agency": "7d0c1c0e-0000-4000-8000-00000000000a"},
    "source": {"occasion": "own_duties", "channel": "system", "received_at": "2026-10-23T10:00:00Z"},
}


def at(level: Level) -> dict[Group, Level]:
    return dict.fromkeys(Group, level)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    return [path]


def test_every_field_of_the_document_has_a_group_and_all_of_it_is_readable_at_read() -> None:
    assert sorted(leaves(CONTENT)) == sorted(field.path for field in FIELDS)
    assert shape(CONTENT, at(Level.READ)) == CONTENT


@pytest.mark.parametrize("level", [Level.NOTHING, Level.GRANT, Level.TWO_PERSON])
def test_nothing_and_unsettled_conditions_show_nothing(level: Level) -> None:
    assert shape(CONTENT, at(level)) == {}
    assert shape(CONTENT, {}) == {}


def test_masked_leaves_initials_band_circle_and_urgency() -> None:
    assert shape(CONTENT, at(Level.MASKED)) == {
        "alert": CONTENT["alert"],
        "facts": {"direct_threat": True, "needs_medical_care": False, "parents_may_be_informed": None},
        "child": {"initials": "Ә. С. Қ.", "age_band": "7-11"},
        "alleged_offender": {"circle": "staff"},
    }


def test_a_summary_never_brings_the_narrative() -> None:
    shown = shape(CONTENT, {Group.NARRATIVE: Level.SUMMARY})
    assert shown == {"summary": "summary by the case manager"}


def test_without_a_summary_there_is_nothing_at_summary_level() -> None:
    without = {key: value for key, value in CONTENT.items() if key != "summary"}
    assert shape(without, {Group.NARRATIVE: Level.SUMMARY}) == {}


def test_a_field_that_nobody_decided_on_is_left_out() -> None:
    new = {**CONTENT, "diary": "secret", "child": {**CONTENT["child"], "nickname": "secret"}}
    assert "secret" not in json.dumps(shape(new, at(Level.WRITE)))


def test_unknown_stays_null_and_hidden_has_no_key() -> None:
    unknown = {"child": {"name": None, "address": None}}
    assert shape(unknown, {Group.CHILD: Level.READ}) == {"child": {"name": None}}
    assert shape(unknown, {Group.CHILD: Level.MASKED}) == {"child": {"initials": None}}


@pytest.mark.parametrize(
    ("relation", "circle"),
    [
        ("parent", "relative"),
        ("guardian", "relative"),
        ("relative", "relative"),
        ("household_member", "relative"),
        ("peer", "peer"),
        ("education_staff", "staff"),
        ("organisation_staff", "staff"),
        ("other_adult", "other"),
        ("online_unknown", "other"),
        ("unknown", "other"),
    ],
)
def test_a_masked_relation_is_one_of_four_circles(relation: str, circle: str) -> None:
    shown = shape({"alleged_offender": {"relation": relation}}, {Group.RELATION: Level.MASKED})
    assert shown == {"alleged_offender": {"circle": circle}}


def test_no_reader_gets_a_byte_that_its_cells_do_not_allow() -> None:
    """Every row, every status: a field shown whole has a level that shows it whole."""
    facts = frozenset({"in_plan", "agenda_open", "requested", "parent_cleared"})
    for (name, row), status in itertools.product(TABLE.items(), Status):
        reader = Reader(row.bodies[0] if row.bodies else "guardianship_body", "KZ-75", row.purposes[0])
        alert = Alert(
            status,
            "KZ-75",
            addressed=True,
            legal_ground=True,
            conflict=Conflict.NONE,
            stands_in=name == "GUAF",
            facts=facts,
        )
        shown = leaves(shape(CONTENT, levels([(reader, alert)])))
        for field in FIELDS:
            level = may(reader, alert, field.group)
            whole = level in {Level.READ, Level.WRITE, Level.OWN} or level in field.also
            assert (field.path in shown) == whole, (name, status, field.path)
