"""What the doors are given by ``app``, and who may come in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from common.http import CursorNotKnown, read_cursor
from common.identity import Principal, require
from registry.domain.role import Roles


@dataclass(frozen=True)
class Desk:
    """Values and neighbours of the doors.

    Attributes:
        roles: the bodies that agencies may hold.
        loopback: whether endpoints on this machine itself may be registered.
        stop_sending: returns once nothing more goes to an endpoint; raises ``RevocationNotPossible``.
    """

    roles: Roles
    loopback: bool
    stop_sending: Callable[[UUID], Awaitable[None]]


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskOf = Annotated[Desk, Depends(_desk)]

Registrar = Annotated[Principal, Depends(require("registrar"))]
RegistrarOrAgency = Annotated[Principal, Depends(require("registrar", "agency"))]
ServiceCaller = Annotated[Principal, Depends(require("service"))]


def read_id_cursor(cursor: str | None) -> UUID | None:
    """The id a cursor stands for; ``CursorNotKnown`` when it is none of ours."""
    key = read_cursor(cursor, 1)
    if key is None:
        return None
    try:
        return UUID(key[0])
    except ValueError as error:
        raise CursorNotKnown from error
