"""Reads the law from its YAML files. The only place of the law that does I/O; called once, at the start.

A file that cannot be understood stops the load (``LawUnreadable``): a rule that is silently lost is an agency
that is silently not told.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from notifier.domain.calendar import WorkingCalendar
from notifier.domain.edition import Edition

LAW = Path(__file__).parent / "law"


class LawUnreadable(Exception):
    """A law file does not say what it must; the message names file and place."""


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
        raise NotImplementedError

    def edition_at(self, received_at: datetime) -> Edition:
        """The edition in force at that instant.

        Before the first one, the first one marked ``not_yet_in_force="assumed"``: an alert about a child is
        never left without duties because a date is not confirmed.
        """
        raise NotImplementedError

    def edition(self, edition_id: str) -> Edition:
        """The edition under which an obligation was born; ``KeyError`` when we do not hold it."""
        raise NotImplementedError
