"""Reads the law from its YAML files. The only place of the law that does I/O; called once, at the start.

A file that cannot be understood stops the load (``LawUnreadable``): a rule that is silently lost is an agency
that is silently not told. A calendar year without a file stops nothing (see ``domain.calendar``).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from notifier.domain.calendar import WorkingCalendar
from notifier.domain.edition import Edition
from notifier.lawbook.document import LawUnreadable, read
from notifier.lawbook.editions import read_edition

LAW = Path(__file__).parent.parent / "law"

__all__ = ["LAW", "LawUnreadable", "Lawbook"]


@dataclass(frozen=True, slots=True)
class Lawbook:
    """Every edition that we hold, and the working calendar.

    Attributes:
        editions: in the sequence in which they came into force.
        calendar: working days with the moved days of every year file.
    """

    editions: tuple[Edition, ...]
    calendar: WorkingCalendar

    @classmethod
    def load(cls, folder: Path = LAW) -> "Lawbook":
        """Read every edition and calendar year under ``folder``. Raises ``LawUnreadable``."""
        role_names = read(folder / "roles.yaml").node("roles").phrases()
        editions = [read_edition(path.parent, role_names) for path in sorted(folder.glob("*/edition.yaml"))]
        if not editions:
            raise LawUnreadable(f"{folder}: no edition")
        editions.sort(key=lambda edition: edition.effective_from)
        return cls(tuple(editions), _calendar(folder / "calendar"))

    def edition_at(self, received_at: datetime) -> Edition:
        """The edition in force at that aware instant.

        Before the first one, the first one marked ``not_yet_in_force="assumed"``: an alert about a child is
        never left without duties because a date is not confirmed.
        """
        for edition in reversed(self.editions):
            if edition.effective_from <= received_at:
                return edition
        return replace(self.editions[0], not_yet_in_force="assumed")

    def edition(self, edition_id: str) -> Edition:
        """The edition under which an obligation was born; ``KeyError`` when we do not hold it."""
        for edition in self.editions:
            if edition.id == edition_id:
                return edition
        raise KeyError(edition_id)


def _calendar(folder: Path) -> WorkingCalendar:
    overrides: dict[date, bool] = {}
    years: set[int] = set()
    for path in sorted(folder.glob("*.yaml")):
        file = read(path)
        year = file.take("calendar")
        file.node("source").text("act")  # a year without a source is not confirmed
        for entry in file.nodes("days"):
            day, worked = entry.day("day"), entry.take("working")
            if day.year != year or not isinstance(worked, bool):
                raise entry.fail("a day of another year, or working is not true or false")
            entry.end()
            overrides[day] = worked
        file.end()
        years.add(year)
    return WorkingCalendar(overrides, frozenset(years))
