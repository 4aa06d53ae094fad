"""What an organisation was sent or owed passes to another body when it turns out that it must not know.

Locks are taken in the order of the whole house: deliveries, duties, then the alert.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session, after_commit
from notifier.domain.exclusion import SCHOOLS
from notifier.domain.planning import IMPLICATED, REPORTER_KNOWS, Freight, Party, next_check, party
from notifier.domain.resolution import COORDINATING, Holder
from notifier.domain.schedule import urgency_of
from notifier.repository import alerts as alert_rows
from notifier.repository import exclusions as exclusion_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.directory import find_directory
from notifier.repository.exclusions import Sent
from notifier.repository.obligations import UNMET, Row
from notifier.service.breaches import tell_instead
from notifier.service.desk import Desk
from notifier.service.exclusions import Guarded, guard, shut_out
from notifier.service.planning import open_routing
from notifier.service.routing import send_freight, tell_assignees, withhold_duties


@dataclass(frozen=True, slots=True)
class Passed:
    """What the exclusions of an alert have taken from whom.

    Attributes:
        agencies: those of the alert's parties that are shut out.
        sent: what they had been sent, or was on its way.
        assignees: who owes now what they owed.
    """

    agencies: frozenset[UUID]
    sent: Sequence[Sent]
    assignees: Mapping[UUID, UUID]


async def pass_on(
    session: Session, desk: Desk, alert_id: UUID, already: Collection[UUID], *, now: datetime
) -> Passed:
    """Make the exclusions that stand in the store true for everything that exists of an alert.

    Args:
        already: agencies for which that was done before.
    """
    _, shut = await _shut_out(session, alert_id, already)
    await exclusion_rows.lock_sent(session, alert_id, shut)
    duties = await obligation_rows.lock_of_alert(session, alert_id)
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None:
        return Passed(shut, (), {})
    # Looked at again under the alert's lock: while we waited for it a notice may have been planned, also to a
    # body that had nothing to do with the alert before. Whoever tells a further body holds this lock.
    concerned, shut = await _shut_out(session, alert_id, already)
    duties = await obligation_rows.lock_of_alert(session, alert_id)
    sent = await exclusion_rows.lock_sent(session, alert_id, shut)
    await exclusion_rows.shut_out_sent(session, [each.delivery_id for each in sent], now=now)
    stopped = [each.delivery_id for each in sent]
    after_commit(session, lambda: desk.lanes.drop(stopped))
    reporter, _ = open_routing(desk, alert.id, alert.routing)
    directory = await find_directory(session, alert.territory)
    guarded = await guard(session, alert.id, directory, [*concerned, reporter], at=now)
    work = Work(alert, guarded, reporter, duties, now)
    work.pass_owed(shut)
    work.pass_sent(sent)
    await carry_out(session, desk, work)
    await tell_instead(session, desk, alert, stopped, duties, now=now)
    return Passed(shut, sent, work.assignees)


async def _shut_out(
    session: Session, alert_id: UUID, already: Collection[UUID]
) -> tuple[set[UUID], frozenset[UUID]]:
    concerned = await exclusion_rows.list_concerned(session, alert_id)
    pairs = await shut_out(session, concerned, alerts=[alert_id])
    return concerned, frozenset(agency for _, agency in pairs) - set(already)


class Work:
    """Decides, without touching the store, what passes to whom."""

    def __init__(
        self,
        alert: AlertRow,
        guarded: Guarded,
        reporter: UUID | None,
        duties: Sequence[Row],
        now: datetime,
    ) -> None:
        self.alert = alert
        self.now = now
        self.duties = duties
        self.freight: list[Freight] = []
        self.withheld: list[tuple[Row, str]] = []
        self.changes: dict[UUID, dict[str, Any]] = {}
        self.assignees: dict[UUID, UUID] = {}
        self.readdressed: set[UUID] = set()
        self._guarded = guarded
        self._reporter = reporter

    def pass_owed(self, shut: Collection[UUID]) -> None:
        """Unmet duties of those who are shut out: another body owes them, from when it is told."""
        for row in self.duties:
            if row.state not in UNMET or row.obliged_agency_id is None or row.obliged_agency_id not in shut:
                continue
            if row.recipient in SCHOOLS and row.obliged in SCHOOLS:
                self.withheld.append((row, IMPLICATED))
                continue
            new = self._instead(row.obliged_agency_id, row.obliged, is_owner=True)
            self.changes[row.id] = {
                "obliged_agency_id": new.agency,
                "state": "pending",
                "next_check_at": next_check(
                    state="pending",
                    dispatch=row.dispatch_at,
                    due_at=row.due_at,
                    breach_at=row.breach_at,
                    alarmed=row.alarmed_at is not None,
                ),
            }
            if new.agency is None:
                continue
            self.assignees[row.id] = new.agency
            self._load(row, new)
            if row.kind == "act" and row.delivery_id is None:
                self.readdressed.add(row.id)

    def pass_sent(self, sent: Sequence[Sent]) -> None:
        """Notices of those who are shut out: whoever takes their place must hear the same."""
        for each in sent:
            carried = [row for row in self.duties if row.delivery_id == each.delivery_id]
            carried = [row for row in carried if row.id not in self.changes]
            to = self._instead(each.agency_id, each.role)
            for row in carried:
                reason = self._why_not(each, to)
                if reason is not None:
                    if row.state in UNMET and row.kind == "notice":
                        self.withheld.append((row, reason))
                    continue
                self._load(row, to)
                if row.state in UNMET:
                    self.readdressed.add(row.id)

    def _why_not(self, each: Sent, to: Party) -> str | None:
        if each.role in SCHOOLS:
            return IMPLICATED
        return REPORTER_KNOWS if to.agency is not None and to.agency == self._reporter else None

    def _instead(self, agency: UUID, role: str, *, is_owner: bool = False) -> Party:
        directory, excluded = self._guarded.directory, self._guarded.excluded
        place = self.alert.territory
        found = party(Holder(agency, role), role, directory, place, self.now, excluded)
        if is_owner and found.agency is None:
            instead = directory.answering(COORDINATING, place, self.now, excluded)
            return found if instead is None else Party(instead.agency_id, instead.role, is_substitute=True)
        return found

    def _load(self, row: Row, to: Party) -> None:
        self.freight.append(
            Freight(
                obligation_id=row.id,
                role=to.role,
                agency=to.agency,
                urgency=urgency_of(None if row.due_at is None else row.due_at - self.now),
                due_at=row.due_at,
            )
        )


async def carry_out(session: Session, desk: Desk, work: Work) -> None:
    """Store what was decided, send what it says, and tell casework who owes what now."""
    for obligation_id, changed in work.changes.items():
        await obligation_rows.set_obligation(session, obligation_id, changed)
    await withhold_duties(session, work.alert.id, work.withheld, now=work.now)
    far = max((each.due_at for each in work.freight if each.due_at is not None), default=work.now)
    freight = sorted(work.freight, key=lambda each: (each.due_at is None, each.due_at or far))
    planned = await send_freight(session, desk, work.alert, freight, work.duties, now=work.now)
    for delivery in planned:
        for obligation_id in delivery.obligations:
            if obligation_id not in work.readdressed:
                continue
            values: dict[str, Any] = {"delivery_id": delivery.id}
            if delivery.agency is not None and obligation_id not in work.changes:
                values["recipient_agency_id"] = delivery.agency
            await obligation_rows.set_obligation(session, obligation_id, values)
    if work.changes:
        await tell_assignees(session, desk, work.alert, now=work.now)
