"""Who has confirmed a change of an alert and who has not."""

from typing import Any

from common.db import Session
from notifier.domain.change import ChangeKind
from notifier.domain.delivery import State
from notifier.repository import changes as change_rows
from notifier.repository.changes import Change, Told
from notifier.service.desk import Desk
from notifier.service.reading import Seen, list_deliveries

_ANSWERED = (State.ACKNOWLEDGED, State.REJECTED)


async def list_changes(session: Session, desk: Desk, seen: Seen) -> list[dict[str, Any]]:
    """The changes that this caller may know of, each with the bodies that were told of it.

    The operator, the supervisor, the reporter and whoever said it know that there was one; of the bodies
    everybody sees those whose deliveries it may see anyhow.
    """
    every = [one for one in await change_rows.list_changes(session, [seen.alert.id]) if one.applied_at]
    told = await change_rows.list_told(session, [one.id for one in every])
    visible = {each["agency"] for each in await list_deliveries(session, desk, seen)}
    found = []
    for change in every:
        notices = [
            one
            for one in told
            if one.change_id == change.id and (seen.viewer.sees_all or one.agency_id in visible)
        ]
        if notices or _knows(seen, change):
            found.append(_shown(change, notices))
    return found


def _knows(seen: Seen, change: Change) -> bool:
    own = change.agency_id is not None and change.agency_id == seen.viewer.agency
    return seen.viewer.sees_all or own or (seen.is_reporter and change.kind != ChangeKind.RERATED)


def _shown(change: Change, notices: list[Told]) -> dict[str, Any]:
    return {
        "change": change.kind,
        "no": change.no,
        "at": change.at,
        "told": len(notices),
        "confirmed": len([one for one in notices if one.state in _ANSWERED]),
        "bodies": [
            {
                "delivery": one.delivery_id,
                "agency": one.agency_id,
                "role": one.role,
                "state": one.state.value,
                "transmitted_at": one.transmitted_at,
                "confirmed_at": one.acknowledged_at,
            }
            for one in notices
        ],
    }
