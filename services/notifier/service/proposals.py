"""The second person: one proposes an act, another of the same body carries it out (``domain.proposal``).

The door of every such act answers the first person ``202`` with ``proposal`` and ``expires_at``, and does
the act for another person who posts ``{"confirms": id}`` to the same path.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.ids import new_id
from common.sealing import aead_open, aead_seal, blind_index
from notifier.domain.proposal import LIFETIME, Kind, Proposal, State, Verdict, judge
from notifier.errors import PersonNeeded, ProposalExpired, ProposalUnknown, SecondPersonNeeded
from notifier.repository import proposals as proposal_rows
from notifier.repository.proposals import Stored
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk


@dataclass(frozen=True, slots=True)
class Agreed:
    """A proposal that two persons stand behind; ``is_new`` only for the one attempt that has the effect."""

    proposal: Proposal
    reason: str = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)
    is_new: bool


async def propose(
    session: Session,
    desk: Desk,
    caller: Principal,
    kind: Kind,
    subject_id: UUID,
    *,
    reason: str,
    payload: Mapping[str, Any] | None = None,
    alert_id: UUID | None = None,
    now: datetime,
) -> Proposal:
    """Put an act before a second person; whether it is the caller's to propose, the door has decided.

    The same words again are the same proposal; other words take its place, so that a slip can be put right.

    Args:
        payload: JSON that the act will need; sealed with the reason.
        alert_id: for the record.

    Raises:
        PersonNeeded: a system asks.
    """
    person = person_of(caller)
    document = json.dumps({"reason": reason, "payload": payload or {}}, sort_keys=True, ensure_ascii=False)
    key = desk.keys.secret("vault")
    digest = hmac.digest(key, b"proposals.digest|" + document.encode(), "sha256")
    open_key = blind_index(key, "proposals.open_key", kind, str(subject_id), str(caller.agency), person)
    known = await proposal_rows.lock_open(session, open_key)
    if known is not None and known.proposal.is_live(now) and known.digest == digest:
        return known.proposal
    if known is not None:
        await proposal_rows.replace(session, known.proposal.id)
    proposal = Proposal(
        id=new_id(),
        kind=kind,
        subject_id=subject_id,
        agency_id=caller.agency,
        proposed_by=person,
        proposed_at=now,
        expires_at=now + LIFETIME,
        state=State.PROPOSED,
    )
    row = {
        "id": proposal.id,
        "kind": proposal.kind,
        "subject_id": subject_id,
        "agency_id": caller.agency,
        "proposed_by": person,
        "proposed_at": now,
        "expires_at": proposal.expires_at,
        "sealed": aead_seal(key, document.encode(), _aad(proposal.id)),
        "digest": digest,
        "state": State.PROPOSED,
        "open_key": open_key,
    }
    if not await proposal_rows.add_proposal(session, row):
        # The same person's same post, twice at once: the first one stands.
        twin = await proposal_rows.lock_open(session, open_key)
        if twin is None:
            raise ProposalUnknown
        return twin.proposal
    await add_acts(
        session,
        [
            act(
                "proposal.made",
                at=now,
                actor=caller.subject,
                alert_id=alert_id,
                subject_id=subject_id,
                proposal=str(proposal.id),
                kind=kind.value,
            )
        ],
    )
    return proposal


async def confirm(
    session: Session,
    desk: Desk,
    caller: Principal,
    kind: Kind,
    subject_id: UUID,
    proposal_id: UUID,
    *,
    alert_id: UUID | None = None,
    now: datetime,
) -> Agreed:
    """Confirm what another person proposed. Of any number of attempts one gets ``is_new``: it must act.

    Raises:
        PersonNeeded: a system asks.
        ProposalUnknown: there is none, or not of this body, kind and thing.
        SecondPersonNeeded: the caller proposed it.
        ProposalExpired: nobody confirmed it in time.
    """
    person = person_of(caller)
    stored = await proposal_rows.find_proposal(session, proposal_id)
    verdict = _judge(stored, kind, subject_id, caller, now)
    if stored is None or verdict is Verdict.UNKNOWN:
        raise ProposalUnknown
    if verdict is Verdict.CARRIED_OUT:
        if await proposal_rows.confirm(session, proposal_id, person, now=now):
            await add_acts(
                session,
                [
                    act(
                        "proposal.confirmed",
                        at=now,
                        actor=caller.subject,
                        alert_id=alert_id,
                        subject_id=subject_id,
                        proposal=str(proposal_id),
                        kind=kind.value,
                    )
                ],
            )
            return await _agreed(session, desk, proposal_id, is_new=True)
        # Somebody was quicker between our look and our word: what they made of it counts.
        stored = await proposal_rows.find_proposal(session, proposal_id)
        verdict = _judge(stored, kind, subject_id, caller, now)
    match verdict:
        case Verdict.SAME_PERSON:
            raise SecondPersonNeeded
        case Verdict.EXPIRED:
            raise ProposalExpired
        case Verdict.DONE_BEFORE:
            return await _agreed(session, desk, proposal_id, is_new=False)
        case _:
            raise ProposalUnknown


def person_of(caller: Principal) -> str:
    """The human being who calls. Any number of a system's clients and tokens are no person at all.

    Raises:
        PersonNeeded: the credentials name none.
    """
    if caller.person is None:
        raise PersonNeeded
    return caller.person


async def list_live(
    session: Session,
    desk: Desk,
    caller: Principal,
    kind: Kind,
    subject_ids: Sequence[UUID],
    *,
    now: datetime,
) -> list[Agreed]:
    """What waits for a second person of the caller's body, with the reasons, oldest first."""
    if not subject_ids:
        return []
    found = await proposal_rows.list_live(session, kind, subject_ids, caller.agency, now=now)
    return [_opened(desk, each, is_new=False) for each in found]


def _judge(stored: Stored | None, kind: Kind, subject_id: UUID, caller: Principal, now: datetime) -> Verdict:
    return judge(
        stored.proposal if stored else None,
        kind=kind,
        subject_id=subject_id,
        agency_id=caller.agency,
        by=person_of(caller),
        now=now,
    )


async def _agreed(session: Session, desk: Desk, proposal_id: UUID, *, is_new: bool) -> Agreed:
    stored = await proposal_rows.find_proposal(session, proposal_id)
    if stored is None:
        raise ProposalUnknown
    return _opened(desk, stored, is_new=is_new)


def _opened(desk: Desk, stored: Stored, *, is_new: bool) -> Agreed:
    text = aead_open(desk.keys.secret("vault"), stored.sealed, _aad(stored.proposal.id))
    document = json.loads(text)
    return Agreed(stored.proposal, document["reason"], document["payload"], is_new)


def _aad(proposal_id: UUID) -> bytes:
    """Binds a sealed reason to its row."""
    return b"proposals.sealed|" + proposal_id.bytes
