"""A body takes hold of its own duties; whoever may not look at the alert may not act on it either."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.db import Session
from common.identity import Principal
from notifier.domain.acting import Choice, choice_of
from notifier.errors import AlertUnknown, ObligationUnknown
from notifier.repository import alerts as alert_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.obligations import Row
from notifier.service.desk import Desk
from notifier.service.reading import Seen, see_alert


@dataclass(frozen=True, slots=True)
class Held:
    """Duties of one alert that bind the caller, locked until the transaction ends."""

    seen: Seen
    rows: Sequence[Row]


async def take_hold(session: Session, caller: Principal, ids: Collection[UUID]) -> Held:
    """Lock these duties for their obliged body.

    Raises:
        ObligationUnknown: one of them is not there, binds another body, belongs to another alert, or
            the caller may not look at the alert. The four cannot be told apart.
    """
    if caller.agency is None:
        raise ObligationUnknown
    rows = await obligation_rows.lock_owned(session, caller.agency, ids)
    alerts = {row.alert_id for row in rows}
    if len(rows) != len(set(ids)) or len(alerts) != 1:
        raise ObligationUnknown
    known = await alert_rows.handle_of(session, alerts.pop(), caller.agency)
    if known is None:
        raise ObligationUnknown
    try:
        seen = await see_alert(session, caller, known.handle)
    except AlertUnknown as error:
        raise ObligationUnknown from error
    return Held(seen, rows)


def choice(desk: Desk, *, edition: str, rule: str, state: str, has_left: bool) -> Choice:
    """What the obliged body may do with a duty, by the edition under which it was born."""
    law = desk.lawbook.edition(edition)
    return choice_of(law.rule(rule), law.facts, state=state, has_left=has_left)


def offered(desk: Desk, seen: Seen, row: Mapping[str, Any]) -> dict[str, Any]:
    """A duty as it is shown, with what this caller may do with it: nothing, unless it is its own."""
    found = Choice((), ())
    if seen.viewer.agency is not None and row["obliged_agency"] == seen.viewer.agency:
        found = choice(
            desk,
            edition=row["edition"],
            rule=row["rule"],
            state=row["state"],
            has_left=row["delivery"] is not None,
        )
    return {**row, "may": found.may, "facts": found.facts}
