"""The content behind a notice, field by field."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import access
from access import Conflict, Group, Level, Reader, Status
from common import outbox
from common.contracts.intake import ContentOpened
from common.db import Session, after_commit
from common.identity import Principal
from common.ids import new_id
from common.telemetry import log
from intake import repository
from intake.domain import report as reports
from intake.domain.seals import Grant
from intake.domain.standing import standing_of
from intake.errors import (
    ContentUnknown,
)
from intake.repository import Alert
from intake.service.alerts import Room, find_denied


async def open_content(
    session: Session, room: Room, delivery_id: UUID, *, token: str | None, caller: Principal
) -> dict[str, Any]:
    """The content behind a notice, cut down to what this agency may see; every look is written down.

    Raises:
        ContentUnknown: no grant, another's grant, an ended one, a conflict of interest, or nothing to see.
        ContentNotOpenable: the key that opens is away.
    """
    grant = room.seals.open_grant(token) if token else None
    if grant is None or not _holds(grant, room, delivery_id, caller):
        raise ContentUnknown
    alert = await repository.find_alert(session, grant.alert_id)
    record = await repository.find_record(session, grant.alert_id)
    if alert is None or record is None:
        raise ContentUnknown
    correction = await repository.find_correction(session, grant.alert_id)
    if correction is not None:
        # The newest version is served; the former stay on record and are shown to nobody by this way.
        alert, record = replace(alert, facts=correction.facts), correction.record
    levels = await _levels(session, room, alert, grant, caller)
    if levels[Group.EXISTENCE] is Level.NOTHING:
        raise ContentUnknown
    now = room.now()
    handle = room.seals.handle(alert.id, grant.agency_id)
    content = reports.content_of(
        alert.facts, room.seals.open_record(alert.id, record), handle=handle, received_at=alert.received_at
    )
    shown = access.shape(content, levels)
    shown["version"] = {
        "no": record.no,
        "corrected_at": correction.corrected_at if correction else None,
        "withdrawn_at": await repository.find_withdrawal(session, alert.id),
    }
    await repository.add_opening(
        session,
        opening_id=new_id(),
        alert_id=alert.id,
        delivery_id=delivery_id,
        handle=handle,
        subject=caller.subject,
        groups=[group for group in Group if levels[group] is not Level.NOTHING],
        opened_at=now,
    )
    event = ContentOpened(delivery_id=delivery_id, opened_at=now, person=caller.subject)
    await outbox.add(session, event, subject=alert.id, now=room.now)
    after_commit(session, lambda: log.info("content_opened", delivery_id=str(delivery_id)))
    return shown


def _holds(grant: Grant, room: Room, delivery_id: UUID, caller: Principal) -> bool:
    return (
        caller.agency is not None
        and grant.agency_id == caller.agency
        and grant.delivery_id == delivery_id
        and grant.expires_at > room.now()
    )


async def _levels(
    session: Session, room: Room, alert: Alert, grant: Grant, caller: Principal
) -> dict[Group, Level]:
    """What each role under which the agency was told allows, together."""
    shut = await find_denied(session, room, [alert.id], caller)
    supplied = room.seals.handle(alert.id, grant.agency_id) == alert.handle
    told = []
    for body in grant.bodies:
        standing = standing_of(body)
        row = access.BODIES.get(body)
        reader = Reader(
            body=body,
            territory=caller.territory,
            # The duty under which it was told is what it reads for.
            purpose=row.purposes[0] if row else None,
        )
        stands = access.Alert(
            status=Status(standing.status),
            territory=alert.facts["territory"],
            addressed=True,
            legal_ground=True,
            conflict=Conflict.ORGANISATION if shut else Conflict.NONE,
            stands_in=standing.stands_in,
            supplied=supplied,
            granted=frozenset(Group(group) for group in standing.granted),
        )
        told.append((reader, stands))
    return access.levels(told)
