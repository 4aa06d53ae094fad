"""What a retired body owed, and what it was sent and did not answer, passes to its successor (ADR 12).

The successor is the one that the register names; without a name, whoever holds the role there now. Clocks
run on as they were: a body that takes another's place takes its time as well. Exclusions hold: for a
successor that must not know, the body above it takes the place. Locks are taken in the order of the whole
house: deliveries, duties, then the alert.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts.notifier import ObligationPassed
from common.db import Session, after_commit
from common.outbox import add as publish
from common.sealing import seal
from common.telemetry import log
from notifier.domain.planning import REPORTER_KNOWS, Party, party
from notifier.domain.resolution import COORDINATING, STAND_IN, Holder
from notifier.repository import alerts as alert_rows
from notifier.repository import exclusions as exclusion_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository import successions as succession_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.among import ALL, Among
from notifier.repository.directory import find_directory
from notifier.repository.obligations import UNMET, Row
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.exclusions import Guarded, guard
from notifier.service.passing import Work, carry_out
from notifier.service.planning import open_routing

ROWS = 20
SOON, LATER = timedelta(minutes=1), timedelta(days=1)
FRESH = timedelta(hours=1)
"""So long after a retirement alerts may still be planned that came before it."""
COORDINATORS = (COORDINATING, *STAND_IN.values())


async def find_retired(session: Session, *, now: datetime, among: Among = ALL, limit: int = 1) -> list[UUID]:
    """Retired bodies that are to be looked at."""
    return await succession_rows.find_retired(session, now=now, among=among, limit=limit)


async def pass_duties(session: Session, desk: Desk, *, now: datetime, among: Among = ALL) -> int:
    """Pass on what retired bodies left, as far as somebody takes their place; repeating changes nothing.

    Returns:
        How many bodies were looked at; as many as ``ROWS`` means that more may wait.
    """
    found = await succession_rows.lock_retired(session, now=now, limit=ROWS, among=among)
    named = await succession_rows.list_successors(session) if found else {}
    for former in found:
        left = await succession_rows.list_left(session, former.id, COORDINATORS)
        kept = 0
        for alert_id in left:
            kept += not await _succeed(session, desk, alert_id, former.id, named, now=now)
        if kept:
            log.warning("duty_without_holder", agency_id=str(former.id), count=kept)
        fresh = now - former.retired_at < FRESH
        await succession_rows.look_again(session, former.id, now + (SOON if fresh else LATER))
    return len(found)


async def _succeed(
    session: Session,
    desk: Desk,
    alert_id: UUID,
    former: UUID,
    named: Mapping[UUID, UUID],
    *,
    now: datetime,
) -> bool:
    """Everything of one alert; ``False`` when nobody takes the place."""
    await succession_rows.lock_ways(session, alert_id, former)
    duties = await obligation_rows.lock_of_alert(session, alert_id)
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None:
        return True
    # Looked at again under the alert's lock: a notice may have been planned while we waited for it.
    ways = await succession_rows.lock_ways(session, alert_id, former)
    reporter, _ = open_routing(desk, alert.id, alert.routing)
    heirs = await _heirs(session, former, named, now=now)
    if former in named and not heirs:
        return False  # who takes the place is known by name only, so far
    concerned = await exclusion_rows.list_concerned(session, alert.id)
    directory = await find_directory(session, alert.territory)
    guarded = await guard(session, alert.id, directory, [*concerned, *heirs, reporter], at=now)
    work = Inheritance(alert, guarded, reporter, duties, now, former, heirs[-1] if heirs else None)
    work.inherit_owed()
    ended = work.inherit_sent(ways)
    await exclusion_rows.shut_out_sent(session, ended, now=now)
    after_commit(session, lambda: desk.lanes.drop(ended))
    work.redirect_later()
    await carry_out(session, desk, work)
    await _tell(session, desk, alert, work, now=now)
    return not work.is_left


async def _heirs(session: Session, former: UUID, named: Mapping[UUID, UUID], *, now: datetime) -> list[UUID]:
    """The named successors, one after the other, to the first that is not retired itself.

    None while we have not heard of that one and of the body above it: events come in any order, and who takes
    the place must not depend on that.
    """
    heirs: list[UUID] = []
    heir = named.get(former)
    while heir is not None and heir not in heirs and heir != former:
        heirs.append(heir)
        if not await succession_rows.list_retired(session, [heir], now=now):
            return heirs if await succession_rows.is_placed(session, heir) else []
        heir = named.get(heir)
    return []


class Inheritance(Work):
    """Decides, without touching the store, what passes from a retired body to whom."""

    def __init__(
        self,
        alert: AlertRow,
        guarded: Guarded,
        reporter: UUID | None,
        duties: Sequence[Row],
        now: datetime,
        former: UUID,
        heir: UUID | None,
    ) -> None:
        super().__init__(alert, guarded, reporter, duties, now)
        self.former = former
        self.heirs: dict[str, UUID] = {}
        self.is_left = False
        self._heir = heir

    def inherit_owed(self) -> None:
        """Unmet duties pass as they are, clock and all; a coordinator's place passes with nothing owed."""
        for row in self.duties:
            if row.obliged_agency_id != self.former:
                continue
            to = self._successor(row.obliged)
            if to.agency is None:
                self.is_left |= row.state in UNMET
                continue
            self.heirs.setdefault(row.obliged, to.agency)
            if row.state not in UNMET:
                continue
            self.changes[row.id] = {"obliged_agency_id": to.agency}
            self.assignees[row.id] = to.agency
            self._load(row, to)
            if row.kind == "act" and row.delivery_id is None and row.dispatch_at is None:
                self.readdressed.add(row.id)

    def inherit_sent(self, ways: Sequence[Any]) -> list[UUID]:
        """What was not answered ends, and its successor hears the same; returns what ends."""
        ended = []
        for way in ways:
            to = self._successor(way.role)
            if to.agency is None:
                self.is_left = True
                continue
            ended.append(way.id)
            self.heirs.setdefault(way.role, to.agency)
            for row in self.duties:
                if row.delivery_id != way.id:
                    continue
                if to.agency == self._reporter and row.kind == "notice":
                    if row.state in UNMET:
                        self.withheld.append((row, REPORTER_KNOWS))
                    continue
                if row.id not in self.changes:
                    self._load(row, to)
                elif row.recipient_agency_id == self.former:
                    self.changes[row.id]["recipient_agency_id"] = to.agency
                if row.state in UNMET:
                    self.readdressed.add(row.id)
        return ended

    def redirect_later(self) -> None:
        """What is still to be sent to the retired body will go to its successor."""
        for row in self.duties:
            is_waiting = row.state in UNMET and row.delivery_id is None
            if row.recipient_agency_id != self.former or row.recipient is None or not is_waiting:
                continue
            to = self._successor(row.recipient)
            if to.agency is not None:
                self.changes.setdefault(row.id, {})["recipient_agency_id"] = to.agency

    def _successor(self, role: str) -> Party:
        directory, excluded = self._guarded.directory, self._guarded.excluded
        place = self.alert.territory
        holder = directory.holder(role, place, self.now)
        if self._heir is not None:
            holder = Holder(self._heir, role)
        if holder is None or holder.agency_id == self.former:
            return Party(None, role)
        found = party(holder, role, directory, place, self.now, excluded)
        if found.agency is None or found.agency == self.former:
            instead = directory.answering(COORDINATING, place, self.now, excluded)
            if instead is None or instead.agency_id == self.former:
                return Party(None, role)
            return Party(instead.agency_id, instead.role, is_substitute=True)
        return found


async def _tell(session: Session, desk: Desk, alert: AlertRow, work: Inheritance, *, now: datetime) -> None:
    if not work.heirs:
        return
    await succession_rows.add_successions(
        session,
        [
            {
                "alert_id": alert.id,
                "former_id": work.former,
                "role": role,
                "successor_id": heir,
                "passed_at": now,
            }
            for role, heir in sorted(work.heirs.items())
        ],
    )
    document = {"former": str(work.former), "heirs": {role: str(heir) for role, heir in work.heirs.items()}}
    sealed = seal(desk.keys.sealing_public("assignee"), json.dumps(document).encode(), str(alert.id).encode())
    event = ObligationPassed(
        alert_id=alert.id,
        obligations=tuple(sorted(work.assignees, key=str)),
        passed_at=now,
        passed=base64.b64encode(sealed).decode(),
    )
    await publish(session, event, subject=alert.id, now=lambda: now)
    acts = [act("duty.passed", at=now, alert_id=alert.id, subject_id=each) for each in work.assignees]
    await add_acts(session, acts)
    log.info("duties_passed", alert_id=str(alert.id), count=len(acts))
