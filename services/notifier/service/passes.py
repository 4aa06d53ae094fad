"""What a pass over due rows is: found without locks, then worked on many at a time, or one alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from common.db import Session
from notifier.repository.among import Among
from notifier.service.desk import Desk


class Find(Protocol):
    """What there is to do."""

    async def __call__(self, session: Session, *, now: datetime, among: Among, limit: int) -> Sequence[UUID]:
        """Ids of what is due, in the order of the work, without locks."""
        ...


class Work(Protocol):
    """One pass over due rows."""

    async def __call__(self, session: Session, desk: Desk, *, now: datetime, among: Among) -> int:
        """Work, and say how many rows were seen."""
        ...


@dataclass(frozen=True, slots=True)
class Pass:
    """A kind of work that time asks for.

    Attributes:
        rows: as many as this seen in one go mean that more may wait.
        of: what its ids are of, as the log names it.
    """

    find: Find
    work: Work
    rows: int
    of: str
