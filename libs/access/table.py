"""The table as values: rows, statuses, field groups and codes, read once from ``table.yaml``.

Source: anchors of the project, matrix §4.2–4.4, mapped to the role codes of the joint order
(registered 02.06.2026 No. 38874) and of Order 264.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import yaml


class Group(StrEnum):
    """A group of fields that is shown or withheld together."""

    EXISTENCE = "F0"
    CATEGORY = "F1"
    DISTRICT = "F2"
    CHILD = "F3"
    ADDRESS = "F4"
    PLACEMENT = "F5"
    NARRATIVE = "F6"
    AGGRESSOR = "F7"
    RELATION = "F8"
    MEDICAL = "F9"
    PSYCHOLOGICAL = "F10"
    EDUCATION = "F11"
    FAMILY = "F12"
    EVIDENCE = "F13"
    PROCEDURE = "F14"
    PLAN = "F15"
    REPORTER = "F16"
    CHANNEL = "F17"
    JOURNAL = "F18"


class Status(StrEnum):
    """Where the matter stands; decides which line of a row holds."""

    RECEIVED = "S0"
    ACCEPTED = "S1"
    IN_WORK = "S2"
    PLAN_RUNNING = "S3"
    CLOSED = "S4"
    UNFOUNDED = "S5"
    ERASED = "S6"


class Level(StrEnum):
    """How much of a group is shown. ``GRANT`` and ``TWO_PERSON`` are conditions, never an answer."""

    WRITE = "W"
    READ = "R"
    MASKED = "m"
    SUMMARY = "s"
    NUMBER = "n"
    TASKS = "t"
    OWN = "o"
    GRANT = "g"
    TWO_PERSON = "x"
    NOTHING = "·"


class Purpose(StrEnum):
    """What a body reads for: every read has one."""

    PROTECT = "protect"
    INVESTIGATE = "investigate"
    TREAT = "treat"
    SUPPORT = "support"
    DECIDE = "decide"
    SUPERVISE = "supervise"
    OPERATE = "operate"
    AUDIT = "audit"
    STATISTICS = "statistics"


Lines = Mapping[Status, Mapping[Group, Level]]

_GROUPS: Final = tuple(Group)


@dataclass(frozen=True, slots=True)
class Row:
    """The rights of one kind of reader.

    Attributes:
        name: as in the table, e.g. ``POL``.
        bodies: role codes that read by this row.
        purposes: what it may read for; the first is the one its duty under the law has.
        lines: level per status and group, complete: what the table leaves out is ``NOTHING``.
        widened: lines that replace the ordinary ones while the named fact holds.
        when: a fact that must hold, or nothing is shown.
        is_party: needs to be addressed and to cover the region.
        is_school: an unsure conflict counts as a conflict.
        needs_plan: in ``S3`` only when the plan names it.
    """

    name: str
    bodies: tuple[str, ...]
    purposes: tuple[Purpose, ...]
    lines: Lines
    widened: Mapping[str, Lines] = field(default_factory=dict)
    when: str | None = None
    is_party: bool = True
    is_school: bool = False
    needs_plan: bool = False


def read_table(text: str) -> Mapping[str, Row]:
    """Rows by name.

    Raises:
        ValueError: a line has not one known code for each of the 19 groups, or a body stands in two rows.
    """
    rows = {name: _row(name, raw) for name, raw in yaml.safe_load(text)["rows"].items()}
    bodies = [body for row in rows.values() for body in row.bodies]
    if len(bodies) != len(set(bodies)):
        raise ValueError("a body stands in two rows")
    return MappingProxyType(rows)


def _row(name: str, raw: Mapping[str, Any]) -> Row:
    lines = {
        status: _line(raw[status]) if status in raw else dict.fromkeys(_GROUPS, Level.NOTHING)
        for status in Status
    }
    return Row(
        name=name,
        bodies=tuple(raw["bodies"]),
        purposes=tuple(Purpose(purpose) for purpose in raw["purposes"]),
        lines=lines,
        widened={fact: _widened(lines, change) for fact, change in raw.get("widened", {}).items()},
        when=raw.get("when"),
        is_party=raw.get("party", True),
        is_school=raw.get("school", False),
        needs_plan=raw.get("in_plan", False),
    )


def _line(text: str) -> dict[Group, Level]:
    return dict(zip(_GROUPS, (Level(code) for code in text.split()), strict=True))


def _widened(lines: Lines, change: Mapping[str, str]) -> Lines:
    """``{S3: as S2}`` takes another line; ``{F3: R}`` changes one cell wherever it shows anything."""
    widened = {status: dict(line) for status, line in lines.items()}
    for key, value in change.items():
        if key in set(Status):
            widened[Status(key)] = dict(lines[Status(value.removeprefix("as "))])
        else:
            for line in widened.values():
                if line[Group(key)] is not Level.NOTHING:
                    line[Group(key)] = Level(value)
    return widened


TABLE: Final[Mapping[str, Row]] = read_table(files("access").joinpath("table.yaml").read_text("utf-8"))
"""Every row by name."""

BODIES: Final[Mapping[str, Row]] = MappingProxyType(
    {body: row for row in TABLE.values() for body in row.bodies}
)
"""The row of every role code."""
