"""All SQL of intake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, tuple_, update

from common.bulk import insert_later
from common.db import Session, insert_ignore
from intake.domain.seals import SealedRecord
from intake.models import (
    alerts,
    child_records,
    corrections,
    denials,
    match_tokens,
    openings,
    receipt_codes,
    repeat_keys,
    report_traces,
    reporter_vault,
    verdicts,
    withdrawals,
)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert's row: facts, nothing that names anybody."""

    id: UUID
    handle: UUID
    number: str
    received_at: datetime
    is_iin_doubtful: bool
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RepeatKey:
    """What a key or a reference was first used for."""

    token: bytes
    alert_id: UUID
    body_digest: bytes


@dataclass(frozen=True, slots=True)
class Match:
    """Another alert that shares a token."""

    alert_id: UUID
    kind: str


_ADD_OPENING = insert(openings)
_ALERT = select(
    alerts.c.id,
    alerts.c.handle,
    alerts.c.number,
    alerts.c.received_at,
    alerts.c.is_iin_doubtful,
    alerts.c.facts,
)


async def claim_repeat_keys(
    session: Session,
    tokens: Mapping[bytes, datetime | None],
    *,
    alert_id: UUID,
    body_digest: bytes,
) -> list[RepeatKey]:
    """Take tokens for an alert; the unique index decides between two at once.

    Args:
        tokens: each with the time after which it may be forgotten.

    Returns:
        Those that another alert holds already; empty when all were free.
    """
    rows = [
        {"token": token, "alert_id": alert_id, "body_digest": body_digest, "forget_at": forget_at}
        for token, forget_at in sorted(tokens.items())  # one order for all: no deadlock
    ]
    if await insert_ignore(session, repeat_keys, rows, ["token"]) == len(rows):
        return []
    held = await session.execute(
        select(repeat_keys.c.token, repeat_keys.c.alert_id, repeat_keys.c.body_digest).where(
            repeat_keys.c.token.in_(list(tokens)), repeat_keys.c.alert_id != alert_id
        )
    )
    return [RepeatKey(*row) for row in held]


async def move_repeat_keys(
    session: Session, tokens: Sequence[bytes], *, taken_for: UUID, first: UUID
) -> None:
    """Let those of the tokens that were just taken point at the first alert."""
    await session.execute(
        update(repeat_keys)
        .where(repeat_keys.c.token.in_(tokens), repeat_keys.c.alert_id == taken_for)
        .values(alert_id=first)
    )


async def forget_repeat_keys(session: Session, *, now: datetime) -> None:
    """Drop idempotency keys whose time is over."""
    await session.execute(delete(repeat_keys).where(repeat_keys.c.forget_at < now))


async def add_alert(session: Session, alert: Alert) -> bool:
    """Add an alert; ``False`` when its number is taken."""
    row = {
        "id": alert.id,
        "handle": alert.handle,
        "number": alert.number,
        "received_at": alert.received_at,
        "is_iin_doubtful": alert.is_iin_doubtful,
        "facts": alert.facts,
    }
    return await insert_ignore(session, alerts, [row], ["number"]) == 1


async def add_records(session: Session, alert_id: UUID, record: SealedRecord, reporter: bytes) -> None:
    """Add the sealed documents of an alert, with the other rows of the transaction."""
    sealed = {"alert_id": alert_id, "version": record.version, "sealed": record.sealed}
    insert_later(session, child_records, [{**sealed, "wrapped_key": record.wrapped_key}])
    insert_later(session, reporter_vault, [{"alert_id": alert_id, "sealed": reporter}])


async def add_match_tokens(session: Session, alert_id: UUID, tokens: Sequence[tuple[str, bytes]]) -> None:
    """Add the tokens by which the child may be met again; each with its kind."""
    rows = [{"token": token, "alert_id": alert_id, "kind": kind} for kind, token in tokens]
    insert_later(session, match_tokens, rows)


async def add_denials(session: Session, alert_id: UUID, tokens: Sequence[bytes]) -> None:
    """Shut somebody out of an alert."""
    insert_later(session, denials, [{"alert_id": alert_id, "token": token} for token in tokens])


async def change_denials(
    session: Session,
    alert_id: UUID,
    tokens: Sequence[bytes],
    *,
    raised_at: datetime | None = None,
    lifted_at: datetime | None = None,
) -> None:
    """Take what notifier says; of two times of one kind the later counts, in whatever order they come."""
    rows = [
        {"alert_id": alert_id, "token": token, "raised_at": None, "lifted_at": None}
        for token in sorted(tokens)
    ]
    await insert_ignore(session, denials, rows, ["alert_id", "token"])
    for column, at in ((denials.c.raised_at, raised_at), (denials.c.lifted_at, lifted_at)):
        if at is not None:
            await session.execute(
                update(denials)
                .where(
                    denials.c.alert_id == alert_id,
                    denials.c.token.in_(tokens),
                    or_(column.is_(None), column < at),
                )
                .values({column: at})
            )


async def find_alert(session: Session, alert_id: UUID) -> Alert | None:
    """An alert by its internal id."""
    row = (await session.execute(_ALERT.where(alerts.c.id == alert_id))).first()
    return Alert(*row) if row else None


async def find_alert_by_handle(session: Session, handle: UUID) -> Alert | None:
    """An alert by its reporter's id."""
    row = (await session.execute(_ALERT.where(alerts.c.handle == handle))).first()
    return Alert(*row) if row else None


async def find_opened_alert(session: Session, handle: UUID) -> Alert | None:
    """An alert by the id of an agency that has opened its content."""
    opened = select(openings.c.alert_id).where(openings.c.handle == handle).limit(1).scalar_subquery()
    row = (await session.execute(_ALERT.where(alerts.c.id == opened))).first()
    return Alert(*row) if row else None


async def find_record(session: Session, alert_id: UUID) -> SealedRecord | None:
    """The child's sealed record."""
    row = (
        await session.execute(
            select(child_records.c.version, child_records.c.sealed, child_records.c.wrapped_key).where(
                child_records.c.alert_id == alert_id
            )
        )
    ).first()
    return SealedRecord(*row) if row else None


@dataclass(frozen=True, slots=True)
class Correction:
    """What a correction put in the place of what was told; ``record`` is sealed."""

    no: int
    facts: dict[str, Any]
    is_iin_doubtful: bool
    body_digest: bytes
    corrected_at: datetime
    record: SealedRecord


async def lock_alert(session: Session, alert_id: UUID) -> None:
    """One correction of an alert at a time."""
    await session.execute(select(alerts.c.id).where(alerts.c.id == alert_id).with_for_update())


async def find_correction(session: Session, alert_id: UUID) -> Correction | None:
    """The newest correction."""
    query = (
        select(
            corrections.c.no,
            corrections.c.facts,
            corrections.c.is_iin_doubtful,
            corrections.c.body_digest,
            corrections.c.corrected_at,
            corrections.c.version,
            corrections.c.sealed,
            corrections.c.wrapped_key,
        )
        .where(corrections.c.alert_id == alert_id)
        .order_by(corrections.c.no.desc())
        .limit(1)
    )
    row = (await session.execute(query)).first()
    if row is None:
        return None
    return Correction(row[0], row[1], row[2], row[3], row[4], SealedRecord(row[5], row[6], row[7], row[0]))


async def add_correction(session: Session, alert_id: UUID, correction: Correction, *, reason: bytes) -> None:
    """Add a correction; the alert must be locked. Nothing of what was told before is touched."""
    row = {
        "alert_id": alert_id,
        "no": correction.no,
        "facts": correction.facts,
        "is_iin_doubtful": correction.is_iin_doubtful,
        "version": correction.record.version,
        "sealed": correction.record.sealed,
        "wrapped_key": correction.record.wrapped_key,
        "reason": reason,
        "body_digest": correction.body_digest,
        "corrected_at": correction.corrected_at,
    }
    await session.execute(insert(corrections), row)


async def add_further_marks(
    session: Session,
    alert_id: UUID,
    *,
    matches: Sequence[tuple[str, bytes]],
    denied: Sequence[bytes],
) -> None:
    """Tokens that a correction brings; those of before stay, and nobody who is shut out is let in."""
    rows = [{"token": token, "alert_id": alert_id, "kind": kind} for kind, token in matches]
    await insert_ignore(session, match_tokens, rows, ["token", "alert_id"])
    shut = [{"alert_id": alert_id, "token": token} for token in denied]
    await insert_ignore(session, denials, shut, ["alert_id", "token"])


async def add_withdrawal(session: Session, alert_id: UUID, *, reason: bytes, at: datetime) -> bool:
    """Note that the reporter took it back; ``False`` when it had."""
    row = {"alert_id": alert_id, "reason": reason, "withdrawn_at": at}
    return await insert_ignore(session, withdrawals, [row], ["alert_id"]) == 1


async def find_withdrawal(session: Session, alert_id: UUID) -> datetime | None:
    """When the reporter took it back."""
    query = select(withdrawals.c.withdrawn_at).where(withdrawals.c.alert_id == alert_id)
    return (await session.execute(query)).scalar_one_or_none()


async def list_denied(session: Session, tokens: Mapping[UUID, Sequence[bytes]]) -> set[UUID]:
    """Those of these alerts that somebody with these tokens is shut out of."""
    pairs = [(alert_id, token) for alert_id, some in tokens.items() for token in some]
    if not pairs:
        return set()
    found = await session.scalars(
        select(denials.c.alert_id).where(
            tuple_(denials.c.alert_id, denials.c.token).in_(pairs),
            or_(denials.c.lifted_at.is_(None), denials.c.raised_at > denials.c.lifted_at),
        )
    )
    return set(found)


async def list_matches(session: Session, alert_id: UUID, *, limit: int) -> list[Match]:
    """Other alerts that share a token with this one, one row per alert and kind."""
    own = select(match_tokens.c.token).where(match_tokens.c.alert_id == alert_id)
    found = await session.execute(
        select(match_tokens.c.alert_id, match_tokens.c.kind)
        .where(match_tokens.c.token.in_(own), match_tokens.c.alert_id != alert_id)
        .distinct()
        .order_by(match_tokens.c.alert_id, match_tokens.c.kind)
        .limit(limit)
    )
    return [Match(*row) for row in found]


async def put_verdict(session: Session, pair: tuple[UUID, UUID], state: str, no: int) -> None:
    """Keep what a person found of two alerts; an overtaken telling changes nothing."""
    low, high = pair
    row = {"low_id": low, "high_id": high, "state": state, "no": no}
    await insert_ignore(session, verdicts, [row], ["low_id", "high_id"])
    await session.execute(
        update(verdicts)
        .where(verdicts.c.low_id == low, verdicts.c.high_id == high, verdicts.c.no < no)
        .values(state=state, no=no)
    )


async def list_verdicts(session: Session, alert_id: UUID) -> dict[UUID, str]:
    """What was found of this alert, by the other one."""
    found = await session.execute(
        select(verdicts.c.low_id, verdicts.c.high_id, verdicts.c.state).where(
            or_(verdicts.c.low_id == alert_id, verdicts.c.high_id == alert_id)
        )
    )
    return {row.high_id if row.low_id == alert_id else row.low_id: row.state for row in found.all()}


async def list_alerts(session: Session, alert_ids: Sequence[UUID]) -> list[Alert]:
    """Alerts by their internal ids, newest first."""
    if not alert_ids:
        return []
    found = await session.execute(
        _ALERT.where(alerts.c.id.in_(alert_ids)).order_by(alerts.c.received_at.desc(), alerts.c.id)
    )
    return [Alert(*row) for row in found]


async def add_opening(
    session: Session,
    *,
    opening_id: UUID,
    alert_id: UUID,
    delivery_id: UUID,
    handle: UUID,
    subject: str,
    groups: Sequence[str],
    opened_at: datetime,
) -> None:
    """Write down that content was opened, by whom, and which groups of it."""
    row = {
        "id": opening_id,
        "alert_id": alert_id,
        "delivery_id": delivery_id,
        "handle": handle,
        "subject": subject,
        "groups": list(groups),
        "opened_at": opened_at,
    }
    await session.execute(_ADD_OPENING, row)


async def add_receipt_code(session: Session, token: bytes, alert_id: UUID) -> None:
    """Remember by its token which report a receipt code is of."""
    await session.execute(insert(receipt_codes).values(token=token, alert_id=alert_id))


async def add_trace(session: Session, row: Mapping[str, Any]) -> None:
    """Note for the flood guard where a report came from and what it said."""
    await session.execute(insert(report_traces).values(**row))


async def count_traces(
    session: Session, *, since: datetime, source: bytes | None = None, words: bytes | None = None
) -> int:
    """How many reports of this source, or with these words, came since."""
    query = select(func.count()).where(report_traces.c.received_at > since)
    if source is not None:
        query = query.where(report_traces.c.source == source)
    if words is not None:
        query = query.where(report_traces.c.words == words)
    return int((await session.execute(query.select_from(report_traces))).scalar_one())


async def forget_traces(session: Session, *, before: datetime) -> None:
    """Drop what the flood guard counts no more."""
    await session.execute(delete(report_traces).where(report_traces.c.received_at <= before))
