"""The decision: may this reader see this group of this alert, and how much of it.

One conjunction (matrix §4.1), no I/O, no clock, a handful of dictionary look-ups. What is missing is
refused. A conflict of interest refuses everything, whatever else holds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from access.table import BODIES, TABLE, Group, Level, Purpose, Row, Status

_STANDING_IN: Final = "guardianship_body"
_STEP_UP: Final = frozenset({Group.PLACEMENT, Group.AGGRESSOR, Group.REPORTER})
"""Sealed groups: a session that was not confirmed lately does not see them."""


class Conflict(StrEnum):
    """How the reader stands to the alleged offender (matrix §4.5)."""

    NONE = "none"
    ORGANISATION = "organisation"
    ROLE_IN_DISTRICT = "role_in_district"
    AFFILIATED = "affiliated"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks.

    Attributes:
        body: the role code under which it was told, e.g. ``internal_affairs``.
        territory: ISO 3166-2 code that it answers for; ``KZ`` is the whole country.
        purpose: what it reads for; ``None`` is refused.
        is_fresh: the session was confirmed lately enough for sealed groups.
    """

    body: str
    territory: str | None
    purpose: Purpose | None
    is_fresh: bool = True


@dataclass(frozen=True, slots=True)
class Alert:
    """What is known of the alert and of the reader's place in it; every default is the refusing one.

    Attributes:
        status: where the matter stands for this reader.
        territory: ISO 3166-2 code of the alert.
        addressed: routing made the reader a party, or a grant did.
        legal_ground: the ground of this read is on record.
        in_window: inside the time for which its status keeps content.
        conflict: deny wins over everything.
        stands_in: guardianship acts for a regional body that does not exist.
        supplied: the reader itself gave this alert.
        granted: groups opened to it by a grant that has not ended.
        warranted: groups opened by two persons on a written ground.
        facts: further facts that rows ask for: ``proceeding_open``, ``decision_pending``,
            ``agenda_open``, ``escalated``, ``requested``, ``parent_cleared``, ``in_plan``.
    """

    status: Status
    territory: str
    addressed: bool = False
    legal_ground: bool = False
    in_window: bool = True
    conflict: Conflict = Conflict.UNSURE
    stands_in: bool = False
    supplied: bool = False
    granted: frozenset[Group] = frozenset()
    warranted: frozenset[Group] = frozenset()
    facts: frozenset[str] = frozenset()


def may(reader: Reader, alert: Alert, group: Group) -> Level:
    """How much of ``group`` the reader sees; ``NOTHING`` for whatever is not allowed in so many words."""
    row = _row_of(reader, alert)
    if row is None or not _is_open(row, reader, alert):
        return Level.NOTHING
    if group in _STEP_UP and not reader.is_fresh:
        return Level.NOTHING
    return _settle(_level(row, alert, group), alert, group)


def _row_of(reader: Reader, alert: Alert) -> Row | None:
    if alert.stands_in and reader.body == _STANDING_IN:
        return TABLE["GUAF"]
    return BODIES.get(reader.body)


def _is_open(row: Row, reader: Reader, alert: Alert) -> bool:
    """Every condition of §4.1 that is the same for all groups."""
    if alert.conflict is not Conflict.NONE and (alert.conflict is not Conflict.UNSURE or row.is_school):
        return False
    if row.is_party and not (alert.addressed and reader.territory in {alert.territory, "KZ"}):
        return False
    if row.when is not None and row.when not in alert.facts:
        return False
    if row.needs_plan and alert.status is Status.PLAN_RUNNING and "in_plan" not in alert.facts:
        return False
    return reader.purpose in row.purposes and alert.legal_ground and alert.in_window


def _level(row: Row, alert: Alert, group: Group) -> Level:
    for fact, lines in row.widened.items():
        if fact in alert.facts:
            return lines[alert.status][group]
    return row.lines[alert.status][group]


def _settle(level: Level, alert: Alert, group: Group) -> Level:
    """Turn the conditional codes into what they come to here."""
    match level:
        case Level.GRANT:
            return Level.READ if group in alert.granted else Level.NOTHING
        case Level.TWO_PERSON:
            return Level.READ if group in alert.warranted else Level.NOTHING
        case Level.OWN:
            return Level.OWN if alert.supplied else Level.NOTHING
        case _:
            return level
