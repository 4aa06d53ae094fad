"""Cut a content document down to what a decision allows: whole, masked, summarised or left out.

Every field of the document has its group here. A field that this list does not name is left out, so a
new field is hidden until somebody decides who may see it. An unknown value (``null``) that may be seen
stays ``null``; a value that may not be seen has no key at all.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from access.decision import Alert, Reader, may
from access.table import Group, Level

Content = Mapping[str, Any]
Path = tuple[str, ...]

_WHOLE: Final = frozenset({Level.READ, Level.WRITE, Level.OWN})
_STRENGTH: Final = {
    level: rank
    for rank, level in enumerate(
        (
            Level.NOTHING,
            Level.TASKS,
            Level.NUMBER,
            Level.MASKED,
            Level.SUMMARY,
            Level.OWN,
            Level.READ,
            Level.WRITE,
        )
    )
}
_CIRCLES: Final = {
    "parent": "relative",
    "guardian": "relative",
    "relative": "relative",
    "household_member": "relative",
    "peer": "peer",
    "education_staff": "staff",
    "organisation_staff": "staff",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the document.

    Attributes:
        path: keys from the root.
        group: decides who sees it.
        masked: its harmless form under ``m``, as path and value; ``None`` leaves it out.
        also: further levels under which it is shown whole.
    """

    path: Path
    group: Group
    masked: Callable[[Any], tuple[Path, Any]] | None = None
    also: frozenset[Level] = frozenset()


def _initials(name: Any) -> tuple[Path, Any]:
    words = name.split() if isinstance(name, str) else []
    return ("child", "initials"), " ".join(f"{word[0].upper()}." for word in words[:4]) or None


def _circle(relation: Any) -> tuple[Path, Any]:
    return ("alleged_offender", "circle"), _CIRCLES.get(str(relation), "other")


_MASKED: Final = frozenset({Level.MASKED})
_STATE: Final = frozenset({Level.NUMBER, Level.MASKED, Level.SUMMARY, Level.TASKS})

FIELDS: Final[tuple[Field, ...]] = (
    Field(("alert",), Group.EXISTENCE, also=_STATE),
    Field(("received_on",), Group.EXISTENCE),
    Field(("facts", "concerns"), Group.CATEGORY),
    Field(("facts", "cyber"), Group.CATEGORY),
    Field(("facts", "without_parental_care"), Group.CATEGORY),
    # Urgency and the lock are the part of the category that even a masked reader must know.
    Field(("facts", "direct_threat"), Group.CATEGORY, also=_MASKED),
    Field(("facts", "needs_medical_care"), Group.CATEGORY, also=_MASKED),
    Field(("facts", "parents_may_be_informed"), Group.CATEGORY, also=_MASKED),
    Field(("territory", "region"), Group.DISTRICT),
    Field(("territory", "kato"), Group.DISTRICT),
    Field(("child", "name"), Group.CHILD, masked=_initials),
    Field(("child", "age_band"), Group.CHILD, also=_MASKED),
    Field(("child", "birth_date"), Group.CHILD),
    Field(("child", "age"), Group.CHILD),
    Field(("child", "sex"), Group.CHILD),
    Field(("child", "iin"), Group.CHILD),
    Field(("child", "doubts"), Group.CHILD),
    Field(("child", "address"), Group.ADDRESS),
    Field(("child", "education_org"), Group.EDUCATION),
    Field(("narrative",), Group.NARRATIVE),
    Field(("summary",), Group.NARRATIVE, also=frozenset({Level.SUMMARY})),
    Field(("publication", "address"), Group.NARRATIVE),
    Field(("publication", "discovered_on"), Group.NARRATIVE),
    Field(("publication", "copy_digest"), Group.NARRATIVE),
    Field(("screening", "instrument"), Group.PSYCHOLOGICAL),
    Field(("screening", "result"), Group.PSYCHOLOGICAL),
    Field(("screening", "taken_on"), Group.PSYCHOLOGICAL),
    Field(("alleged_offender", "relation"), Group.RELATION, masked=_circle),
    Field(("alleged_offender", "agency"), Group.AGGRESSOR),
    Field(("source", "occasion"), Group.CHANNEL),
    Field(("source", "channel"), Group.CHANNEL),
    Field(("source", "received_at"), Group.CHANNEL),
)
"""Every field that a content document may have."""


def levels(told: Iterable[tuple[Reader, Alert]]) -> dict[Group, Level]:
    """The level of every group for an agency that was told under several roles: the widest of each.

    Args:
        told: the agency under each of its roles, with the alert as it stands for that role.
    """
    found = dict.fromkeys(Group, Level.NOTHING)
    for reader, alert in told:
        for group in Group:
            found[group] = max(found[group], may(reader, alert, group), key=_STRENGTH.__getitem__)
    return found


def shape(content: Content, allowed: Mapping[Group, Level]) -> dict[str, Any]:
    """What a reader with these levels sees of ``content``.

    Args:
        content: nested mapping with the keys of ``FIELDS``; others are dropped.
        allowed: level per group; a group that is missing shows nothing.
    """
    shown: dict[str, Any] = {}
    for field in FIELDS:
        level = allowed.get(field.group, Level.NOTHING)
        if level is Level.NOTHING or not _has(content, field.path):
            continue
        value = _get(content, field.path)
        if level in _WHOLE or level in field.also:
            _put(shown, field.path, value)
        elif level is Level.MASKED and field.masked is not None:
            _put(shown, *field.masked(value))
    return shown


def _has(content: Content, path: Path) -> bool:
    at: Any = content
    for key in path:
        if not isinstance(at, Mapping) or key not in at:
            return False
        at = at[key]
    return True


def _get(content: Content, path: Path) -> Any:
    at: Any = content
    for key in path:
        at = at[key]
    return at


def _put(shown: dict[str, Any], path: Path, value: Any) -> None:
    at = shown
    for key in path[:-1]:
        at = at.setdefault(key, {})
    at[path[-1]] = value
