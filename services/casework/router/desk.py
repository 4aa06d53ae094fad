"""What the doors are given by ``app``, and who may come in."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Depends, Request

from casework.errors import AgencyNotNamed
from casework.service import PersonSeals, RecordSeals
from common.http import CursorNotKnown
from common.identity import Principal, require


class Seals(PersonSeals, RecordSeals, Protocol):
    """All that the doors have sealed and opened."""

    def unseal_reason(self, sealed: bytes, place: UUID) -> str:
        """What is said of a breach, from the row with this id."""
        ...


@dataclass(frozen=True)
class Desk:
    """Neighbours of the doors."""

    seals: Seals


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskOf = Annotated[Desk, Depends(_desk)]


@dataclass(frozen=True)
class AgencyCaller:
    """An agency, by its token."""

    agency: UUID
    subject: str


async def _agency_caller(caller: Annotated[Principal, Depends(require("agency"))]) -> AgencyCaller:
    if caller.agency is None:
        raise AgencyNotNamed
    return AgencyCaller(caller.agency, caller.subject)


Agency = Annotated[AgencyCaller, Depends(_agency_caller)]
"""Only agencies have cases and tasks; 403 for everybody else."""


def read_moment(text: str) -> datetime:
    """A time out of a cursor; ``CursorNotKnown`` when none of ours could hold it."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not 1990 <= moment.year <= 2200:
            raise CursorNotKnown
        return moment.astimezone(UTC)
    except ValueError as error:
        raise CursorNotKnown from error


def read_id(text: str) -> UUID:
    """An id out of a cursor; ``CursorNotKnown`` when it is none."""
    try:
        return UUID(text)
    except ValueError as error:
        raise CursorNotKnown from error
