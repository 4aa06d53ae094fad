"""Reads the yearly calendar files: what an act moved, and when the school year begins."""

from datetime import date
from pathlib import Path

from notifier.domain.calendar import WorkingCalendar
from notifier.lawbook.document import Document, read


def read_calendar(folder: Path) -> WorkingCalendar:
    """The working calendar with every year file of the folder. Raises ``LawUnreadable``."""
    overrides: dict[date, bool] = {}
    years: set[int] = set()
    starts: dict[int, date] = {}
    quarter_ends: set[date] = set()
    for path in sorted(folder.glob("*.yaml")):
        file = read(path)
        year = file.take("calendar")
        if not isinstance(year, int) or path.stem != str(year):
            raise file.fail("calendar is not the year that the file is named after")
        source = file.node("source")
        source.text("act")  # a year without a source is not confirmed
        source.take("note", default=None)
        source.end()
        for entry in file.nodes("days"):
            day, worked = entry.day("day"), entry.take("working")
            if day.year != year or not isinstance(worked, bool):
                raise entry.fail("a day of another year, or working is not true or false")
            if day in overrides:
                raise entry.fail("a day said twice")
            entry.end()
            overrides[day] = worked
        if "school_year" in file:
            starts[year], ends = _school_year(file.node("school_year"), year)
            quarter_ends |= ends
        file.end()
        years.add(year)
    return WorkingCalendar(overrides, frozenset(years), starts, frozenset(quarter_ends))


def _school_year(node: Document, year: int) -> tuple[date, set[date]]:
    node.text("act")
    starts = node.day("starts")
    ends = {entry.day("ends") for entry in node.nodes("quarters")}
    if any(day.year != year for day in (starts, *ends)):
        raise node.fail("a day of another year")
    node.end()
    return starts, ends
