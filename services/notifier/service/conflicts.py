"""A conflict of interest is raised or lowered while an alert runs (architecture §3).

Raising takes effect with its commit: what waits for the organisation is cancelled, what it was sent is
hidden, what it owed or should have been told passes to another body, and what it knew already is written
down. Lowering opens the doors again; nothing that passed to another body comes back by itself. What is said
of one of several joined alerts holds for all of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts.notifier import ConflictLowered
from common.db import Session
from common.identity import Principal
from common.outbox import add as publish
from common.sealing import aead_seal
from common.telemetry import log
from notifier.domain.exclusion import COORDINATING, POLICE, SIDES, Exclusion
from notifier.domain.notice import instant
from notifier.domain.proposal import Kind, Proposal
from notifier.errors import (
    AlertUnknown,
    ConflictLeavesNobody,
    ConflictNotYours,
    ConflictUnknown,
    SecondPersonNeeded,
)
from notifier.repository import alerts as alert_rows
from notifier.repository import exclusions as exclusion_rows
from notifier.repository import joinings as joining_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.exclusions import Sent, Stored
from notifier.repository.records import act, add_acts
from notifier.service import proposals
from notifier.service.desk import Desk
from notifier.service.exclusions import row_of, seal_conflict, shut_out, tell_raised
from notifier.service.passing import pass_on
from notifier.service.planning import open_routing
from notifier.service.reading import Seen

Said = tuple[UUID, str]
"""An exclusion: the alert of which it was said, and its mark."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An exclusion as it stands; ``is_new`` when this call brought it into force."""

    stored: Stored
    is_new: bool


async def raise_conflict(
    session: Session,
    desk: Desk,
    caller: Principal,
    seen: Seen,
    exclusion: Exclusion,
    reason: str,
    *,
    now: datetime,
) -> Raised:
    """Shut an organisation, or every holder of a role in the district, out of an alert at once.

    Whoever was told may do it: an error costs a second look, silence may cost a child. Repeating it changes
    nothing.

    Raises:
        ConflictLeavesNobody: neither police nor a coordinating body would be left, nor anybody in its place.
    """
    alert = seen.alert
    sides = await sides_left(session, alert.id)
    before = await standing_of(session, alert.id)
    row = row_of(exclusion, raised_by=await _role_of(session, alert.id, caller), since=now)
    row["reason"] = aead_seal(desk.keys.secret("vault"), reason.encode(), _aad(alert.id, exclusion.mark))
    is_new = bool(await exclusion_rows.add_exclusions(session, [row]))
    if not is_new:
        known = await exclusion_rows.lock_exclusion(session, alert.id, exclusion.mark)
        if known is None:
            raise AlertUnknown
        if known.state == "in_force":
            return Raised(known, is_new=False)
        row["since"] = max(now, (known.lifted_at or now) + timedelta(microseconds=1))
        values = {name: row[name] for name in ("since", "raised_by", "reason", "state", "lifted_at")}
        await exclusion_rows.set_exclusion(session, known.id, values)
    told = [(alert.id, exclusion.mark)]
    known_by = await take_effect(session, desk, dict.fromkeys(before, told), before, now=now)
    if sides and not await sides_left(session, alert.id):
        raise ConflictLeavesNobody  # and with it goes all of the above: this transaction is rolled back
    stored = await exclusion_rows.lock_exclusion(session, alert.id, exclusion.mark)
    if stored is None:
        raise AlertUnknown
    raised = act("conflict.raised", at=now, actor=caller.subject, alert_id=alert.id, subject_id=stored.id)
    await add_acts(session, [raised])
    log.info("conflict_raised", alert_id=str(alert.id), count=len(known_by))
    return Raised(stored, is_new=True)


async def standing_of(session: Session, alert_id: UUID) -> dict[UUID, frozenset[UUID]]:
    """Who is shut out of an alert and of those joined with it; nobody else changes that meanwhile."""
    await joining_rows.take_turn(session)
    return await shut_out_now(session, await joining_rows.members_of(session, [alert_id]))


async def shut_out_now(session: Session, alert_ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """For each alert those of its parties that are shut out."""
    found = {}
    for alert_id in sorted(alert_ids):
        concerned = await exclusion_rows.list_concerned(session, alert_id)
        pairs = await shut_out(session, concerned, alerts=[alert_id])
        found[alert_id] = frozenset(agency for _, agency in pairs)
    return found


async def take_effect(
    session: Session,
    desk: Desk,
    said: Mapping[UUID, Sequence[Said]],
    before: Mapping[UUID, Collection[UUID]],
    *,
    now: datetime,
) -> list[dict[str, Any]]:
    """Make exclusions that were just stored, or have just come to count, true for everything.

    Args:
        said: by alert, what is new for it, and of which alert it was said.
        before: by alert, agencies that were shut out before.

    Returns:
        What those who are shut out now had in hand; it is kept with each exclusion.
    """
    every: list[dict[str, Any]] = []
    await lock_several(session, list(said), before)
    for alert_id in sorted(said):
        alert = await alert_rows.find_alert(session, alert_id)
        if alert is None or not said[alert_id]:
            continue
        passed = await pass_on(session, desk, alert.id, before[alert_id], now=now)
        known_by = _known(desk, alert.id, alert.routing, alert.received_at, passed.agencies, passed.sent)
        at = now
        for source, mark in said[alert_id]:
            stored = await exclusion_rows.lock_exclusion(session, source, mark)
            if stored is not None and passed.agencies:
                at = max(at, stored.since)
                others = [each for each in stored.known if each not in known_by]
                await exclusion_rows.set_exclusion(session, stored.id, {"known": [*others, *known_by]})
        marks = sorted({mark for _, mark in said[alert_id]})
        await tell_raised(session, desk, alert.id, marks, passed.agencies, passed.assignees, at=at)
        await add_acts(
            session,
            [
                act("conflict.known", at=now, alert_id=alert.id, subject_id=UUID(each["delivery"]))
                for each in known_by
                if "delivery" in each
            ],
        )
        every += known_by
    return every


async def lock_several(
    session: Session, alert_ids: Collection[UUID], before: Mapping[UUID, Collection[UUID]]
) -> None:
    """Lock what several alerts have, kind by kind, as the whole house does; one alone as it comes."""
    if len(alert_ids) < 2:
        return
    shut = await shut_out_now(session, alert_ids)
    for alert_id in sorted(alert_ids):
        await exclusion_rows.lock_sent(session, alert_id, shut[alert_id] - set(before[alert_id]))
    for alert_id in sorted(alert_ids):
        await obligation_rows.lock_of_alert(session, alert_id)
    for alert_id in sorted(alert_ids):
        await alert_rows.lock_alert(session, alert_id)


async def tell_lowered(
    session: Session,
    desk: Desk,
    marks: Mapping[UUID, Sequence[str]],
    before: Mapping[UUID, frozenset[UUID]],
    *,
    at: datetime,
) -> None:
    """Tell intake and casework whom they may answer again, by alert."""
    after = await shut_out_now(session, list(marks))
    for alert_id, some in sorted(marks.items()):
        if not some:
            continue
        let_in = before[alert_id] - after[alert_id]
        denied, closed = seal_conflict(desk, alert_id, sorted(some), let_in, {})
        event = ConflictLowered(alert_id=alert_id, lowered_at=at, denied=denied, shut_out=closed)
        await publish(session, event, subject=alert_id, now=lambda: at)


async def propose_lowering(
    session: Session,
    desk: Desk,
    caller: Principal,
    seen: Seen,
    exclusion: Exclusion,
    reason: str,
    *,
    now: datetime,
) -> Proposal:
    """The first of two bodies asks to lower a conflict.

    Raises:
        ConflictNotYours: neither the coordinating body nor the police of this alert.
        ConflictUnknown: no such conflict stands.
    """
    side = await side_of(session, seen.alert.id, caller)
    stored = await exclusion_rows.lock_exclusion(session, seen.alert.id, exclusion.mark)
    if stored is None or stored.state != "in_force":
        raise ConflictUnknown
    return await proposals.propose(
        session,
        desk,
        # Two bodies stand behind it: the proposal itself belongs to neither, its payload says whose it was.
        replace(caller, agency=None),
        Kind.CONFLICT_LOWERED,
        seen.alert.id,
        reason=reason,
        payload={"mark": exclusion.mark, "side": side, "agency": str(caller.agency)},
        alert_id=seen.alert.id,
        now=now,
    )


async def lower_conflict(
    session: Session, desk: Desk, caller: Principal, seen: Seen, proposal_id: UUID, *, now: datetime
) -> Stored:
    """The other body agrees; repeating it changes nothing.

    Raises:
        ConflictNotYours: neither the coordinating body nor the police of this alert.
        ProposalUnknown: there is none, or it expired.
        SecondPersonNeeded: the same person, or a person of the same body though the other one is there.
    """
    alert_id = seen.alert.id
    before = await standing_of(session, alert_id)
    side = await side_of(session, alert_id, caller)
    agreed = await proposals.confirm(
        session, desk, replace(caller, agency=None), Kind.CONFLICT_LOWERED, alert_id, proposal_id,
        alert_id=alert_id, now=now,
    )  # fmt: skip
    is_of_one_body = agreed.payload["side"] == side or agreed.payload["agency"] == str(caller.agency)
    if is_of_one_body and await sides_left(session, alert_id) != {side}:
        raise SecondPersonNeeded  # and with it goes the confirmation: this transaction is rolled back
    stored = await exclusion_rows.lock_exclusion(session, alert_id, agreed.payload["mark"])
    if stored is None:
        raise ConflictUnknown
    if not agreed.is_new or stored.state != "in_force":
        return stored
    at = max(now, stored.since + timedelta(microseconds=1))
    await exclusion_rows.set_exclusion(session, stored.id, {"state": "lifted", "lifted_at": at})
    # Said of another of the joined alerts as well, it stays.
    if all(mark != stored.mark for _, mark in await exclusion_rows.list_marks(session, list(before))):
        await tell_lowered(session, desk, dict.fromkeys(before, (stored.mark,)), before, at=at)
    await add_acts(
        session,
        [
            act(
                "conflict.lowered",
                at=now,
                actor=caller.subject,
                alert_id=alert_id,
                subject_id=stored.id,
                proposal=str(proposal_id),
            )
        ],
    )
    log.info("conflict_lowered", alert_id=str(alert_id))
    return replace(stored, state="lifted", lifted_at=at)


async def list_conflicts(session: Session, caller: Principal, seen: Seen) -> Sequence[Stored]:
    """What stands and stood, for those who may lower it and for the operator.

    Raises:
        AlertUnknown: somebody else asks: who is suspected is nothing that the others are told.
    """
    if seen.viewer.agency is not None:
        try:
            await side_of(session, seen.alert.id, caller)
        except ConflictNotYours as error:
            raise AlertUnknown from error
    return await exclusion_rows.list_exclusions(session, seen.alert.id)


def _known(
    desk: Desk,
    alert_id: UUID,
    routing: bytes,
    received_at: datetime,
    agencies: Collection[UUID],
    sent: Sequence[Sent],
) -> list[dict[str, Any]]:
    """What those who are shut out had in hand when the conflict was raised."""
    reporter, _ = open_routing(desk, alert_id, routing)
    found: list[dict[str, Any]] = []
    if reporter in agencies:
        found.append({"role": "reporter", "reported_at": instant(received_at)})
    for each in sent:
        times = {
            name: instant(value)
            for name in ("attempted_at", "transmitted_at", "opened_at", "acknowledged_at")
            if (value := getattr(each, name)) is not None
        }
        if times:
            found.append({"delivery": str(each.delivery_id), "role": each.role, **times})
    return found


async def _role_of(session: Session, alert_id: UUID, caller: Principal) -> str:
    bodies = await exclusion_rows.bodies_of(session, alert_id, caller.agency)
    return next(iter([*sorted(bodies), *caller.bodies]), caller.role)


async def sides_left(session: Session, alert_id: UUID) -> set[str]:
    """Which of the two that lower a conflict still have a body that knows of the alert, or will."""
    told = await exclusion_rows.list_told(session, alert_id)
    shut = {agency for _, agency in await shut_out(session, list(told), alerts=[alert_id])}
    bodies = {body for agency, held in told.items() if agency not in shut for body in held}
    return {side for side, roles in SIDES.items() if roles & bodies}


async def side_of(session: Session, alert_id: UUID, caller: Principal) -> str:
    """Whether the caller is the coordinating body or the police of this alert."""
    bodies = await exclusion_rows.bodies_of(session, alert_id, caller.agency)
    if bodies & COORDINATING:
        return "coordinating"
    if POLICE in bodies:
        return "police"
    raise ConflictNotYours


def _aad(alert_id: UUID, mark: str) -> bytes:
    """Binds a sealed reason to its row."""
    return b"exclusions.reason|" + alert_id.bytes + mark.encode()
