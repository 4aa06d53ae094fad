"""Alerts about one child are joined by a person, and parted by two (ADR 15).

Intake proposes: its match is a sealed pair that nobody else can make. The body that coordinates both alerts
decides. What is joined shares exclusions and the parents' lock from the same commit on; duties, notices and
clocks of each stay as they are.
"""

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts.notifier import HeadFact, JoiningDeclined, JoiningMade, JoiningUndone
from common.db import Session
from common.identity import Principal
from common.outbox import add as publish
from common.sealing import SealBroken, aead_open
from common.telemetry import log
from notifier.domain.exclusion import COORDINATING
from notifier.domain.joining import Pair, heads_of, pair_of
from notifier.domain.proposal import Kind, Proposal
from notifier.errors import AlertUnknown, JoiningNotYours, JoiningUnknown, MatchUnknown
from notifier.repository import exclusions as exclusion_rows
from notifier.repository import joinings as joining_rows
from notifier.repository.alerts import handle_of
from notifier.repository.joinings import Joining
from notifier.repository.records import act, add_acts
from notifier.service import proposals
from notifier.service.conflicts import Said, shut_out_now, take_effect, tell_lowered
from notifier.service.desk import Desk
from notifier.service.exclusions import hidden_alerts
from notifier.service.parents import share_lock
from notifier.service.reading import Seen, see_alert

JOINED, APART = "joined", "apart"


@dataclass(frozen=True, slots=True)
class Decided:
    """What stands of two alerts; ``other`` is the caller's own id of the second one."""

    joining: Joining
    other: UUID
    is_new: bool


async def decide(
    session: Session,
    desk: Desk,
    caller: Principal,
    seen: Seen,
    other_id: UUID,
    match: str,
    *,
    is_same: bool,
    now: datetime,
) -> Decided:
    """Join two alerts, or say that they are not about one child. What was joined only two persons part.

    Raises:
        AlertUnknown: the caller does not know the other alert.
        JoiningNotYours: it does not coordinate both.
        MatchUnknown: intake proposed no such pair.
    """
    agency = caller.agency
    if agency is None:
        raise JoiningNotYours
    no = await joining_rows.take_turn(session)
    # Looked at under the turn: somebody may have been shut out while we waited.
    seen = await see_alert(session, caller, seen.shown_id)
    other = await see_alert(session, caller, other_id)
    pair = await _pair(session, caller, seen, other)
    if _open_match(desk, match) != pair:
        raise MatchUnknown(pointer="#/match")
    known = await joining_rows.find_joining(session, pair)
    if known is not None and (known.state == JOINED or not is_same):
        return Decided(known, other.shown_id, is_new=False)
    # A clock that goes back must not let an older word win at casework and intake.
    at = now if known is None else max(now, known.decided_at + timedelta(microseconds=1))
    if not is_same:
        decided = await joining_rows.decide(session, pair, APART, agency, at=at)
        await publish(session, JoiningDeclined(pair=pair, no=no, at=at), subject=decided.id, now=lambda: at)
    else:
        before_members = await joining_rows.members_of(session, pair)
        before = await shut_out_now(session, before_members)
        said_before = await _said(session, before_members)
        decided = await joining_rows.decide(session, pair, JOINED, agency, at=at)
        heads = await _regroup(session, before_members)
        said_now = await _said(session, before_members)
        said = {alert: sorted(set(said_now[alert]) - set(said_before[alert])) for alert in before}
        await take_effect(session, desk, said, before, now=at)
        await share_lock(session, desk, before_members, actor=caller.subject, now=at)
        made = JoiningMade(pair=pair, heads=_facts(heads), no=no, at=at)
        await publish(session, made, subject=decided.id, now=lambda: at)
    await _note(session, "made" if is_same else "declined", decided, caller, at=at)
    return Decided(decided, other.shown_id, is_new=True)


async def propose_parting(
    session: Session, desk: Desk, caller: Principal, seen: Seen, other_id: UUID, reason: str, *, now: datetime
) -> Proposal:
    """The first of two persons wants to part what was joined.

    Raises:
        AlertUnknown, JoiningNotYours: see ``decide``.
        JoiningUnknown: these two are not joined.
    """
    other = await see_alert(session, caller, other_id)
    known = await joining_rows.find_joining(session, await _pair(session, caller, seen, other))
    if known is None or known.state != JOINED:
        raise JoiningUnknown
    return await proposals.propose(
        session,
        desk,
        caller,
        Kind.PARTING,
        seen.alert.id,
        reason=reason,
        payload={"other": str(other.alert.id)},
        alert_id=seen.alert.id,
        now=now,
    )


async def part(
    session: Session, desk: Desk, caller: Principal, seen: Seen, proposal_id: UUID, *, now: datetime
) -> Decided:
    """The second person agrees: each alert stands alone again, with its own exclusions.

    A lock that was shared stays until it is lifted as any other; what passed to another body comes not back.

    Raises:
        AlertUnknown, JoiningNotYours: see ``decide``.
        PersonNeeded, ProposalUnknown, SecondPersonNeeded, ProposalExpired: see ``proposals.confirm``.
    """
    agency = caller.agency
    if agency is None:
        raise JoiningNotYours
    no = await joining_rows.take_turn(session)
    seen = await see_alert(session, caller, seen.shown_id)
    agreed = await proposals.confirm(
        session, desk, caller, Kind.PARTING, seen.alert.id, proposal_id, alert_id=seen.alert.id, now=now
    )
    known = await handle_of(session, UUID(agreed.payload["other"]), agency)
    if known is None:
        raise JoiningUnknown
    other = await see_alert(session, caller, known.handle)
    pair = await _pair(session, caller, seen, other)
    joining = await joining_rows.find_joining(session, pair)
    if joining is None:
        raise JoiningUnknown
    if not agreed.is_new or joining.state != JOINED:
        return Decided(joining, other.shown_id, is_new=False)
    at = max(now, joining.decided_at + timedelta(microseconds=1))
    members = await joining_rows.members_of(session, pair)
    before = await shut_out_now(session, members)
    said_before = await _said(session, members)
    decided = await joining_rows.decide(session, pair, APART, agency, at=at)
    heads = await _regroup(session, members)
    said_now = await _said(session, members)
    gone = {
        alert: sorted({mark for _, mark in said_before[alert]} - {mark for _, mark in said_now[alert]})
        for alert in members
    }
    await tell_lowered(session, desk, gone, before, at=at)
    undone = JoiningUndone(pair=pair, heads=_facts(heads), no=no, at=at)
    await publish(session, undone, subject=decided.id, now=lambda: at)
    await _note(session, "undone", decided, caller, at=at, proposal=str(proposal_id))
    return Decided(decided, other.shown_id, is_new=True)


async def list_joined(session: Session, caller: Principal, seen: Seen) -> list[Decided]:
    """What the caller's alert is joined with, as far as the caller knows those alerts itself.

    Raises:
        AlertUnknown: it does not coordinate this alert: that there is another one is nothing that it is told.
    """
    if caller.agency is None or not await _coordinates(session, seen.alert.id, caller.agency):
        raise AlertUnknown
    hidden = await hidden_alerts(session, caller)
    found = []
    for pair in sorted(await joining_rows.pairs_of(session, [seen.alert.id])):
        other = pair[0] if pair[1] == seen.alert.id else pair[1]
        known = await handle_of(session, other, caller.agency)
        joining = await joining_rows.find_joining(session, pair)
        if known is not None and joining is not None and other not in hidden:
            found.append(Decided(joining, known.handle, is_new=False))
    return found


async def _pair(session: Session, caller: Principal, seen: Seen, other: Seen) -> Pair:
    for each in (seen, other):
        if caller.agency is None or not await _coordinates(session, each.alert.id, caller.agency):
            raise JoiningNotYours
    if seen.alert.id == other.alert.id:
        raise MatchUnknown(pointer="#/other")
    return pair_of(seen.alert.id, other.alert.id)


async def _coordinates(session: Session, alert_id: UUID, agency: UUID) -> bool:
    return bool(await exclusion_rows.bodies_of(session, alert_id, agency) & COORDINATING)


async def _said(session: Session, alert_ids: Collection[UUID]) -> dict[UUID, list[Said]]:
    """By alert, every exclusion that counts for it, wherever it was said."""
    found = {}
    for alert_id in alert_ids:
        members = await joining_rows.members_of(session, [alert_id])
        found[alert_id] = await exclusion_rows.list_marks(session, members)
    return found


async def _regroup(session: Session, alert_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Work out anew what hangs together among alerts that hung together, or do from now on."""
    pairs = await joining_rows.pairs_of(session, alert_ids)
    heads = heads_of(pairs, await joining_rows.received_at(session, alert_ids), alert_ids)
    await joining_rows.put_heads(session, heads)
    return heads


def _facts(heads: Mapping[UUID, UUID]) -> tuple[HeadFact, ...]:
    return tuple(HeadFact(alert_id=alert, head_id=head) for alert, head in sorted(heads.items()))


def _open_match(desk: Desk, match: str) -> Pair | None:
    """The pair that intake sealed into a match; ``None`` for anything else."""
    try:
        sealed = base64.urlsafe_b64decode(match + "=" * (-len(match) % 4))
        opened = json.loads(aead_open(desk.keys.secret("grant"), sealed, b"match"))
        return pair_of(UUID(opened[0]), UUID(opened[1]))
    except (SealBroken, ValueError, TypeError, AttributeError, IndexError, KeyError, binascii.Error):
        return None


async def _note(
    session: Session, what: str, decided: Joining, caller: Principal, *, at: datetime, **detail: str
) -> None:
    done = f"joining.{what}"
    pair = (decided.low_id, decided.high_id)
    await add_acts(
        session,
        [
            act(done, at=at, actor=caller.subject, alert_id=each, subject_id=decided.id, **detail)
            for each in pair
        ],
    )
    log.info("joining_decided", joining_id=str(decided.id), state=decided.state)
