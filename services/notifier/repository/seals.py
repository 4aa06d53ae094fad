"""The chain over the audit record. Every look goes by the index over the numbers, whatever the statistics."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, text

from common.db import Session
from notifier.domain.sealed import Act, Ranges, Seal, ranges_of
from notifier.models import audit, audit_holes, audit_seals

PAGE = 500
_LAST = select(audit_seals).order_by(audit_seals.c.number.desc()).limit(1)
_ACT = select(
    audit.c.seq,
    audit.c.id,
    audit.c.at,
    audit.c.action,
    audit.c.actor,
    audit.c.alert_id,
    audit.c.subject_id,
    audit.c.detail,
)
# Ordered, in place of ``EXISTS``: so the index is taken even where the planner believes that most rows fit.
_AT_HOLE = (
    select(audit.c.seq)
    .where(audit.c.seq.between(audit_holes.c.first_seq, audit_holes.c.last_seq))
    .order_by(audit.c.seq)
    .limit(1)
    .correlate(audit_holes)
    .scalar_subquery()
)
_ARRIVED = select(audit_holes.c.first_seq, audit_holes.c.last_seq).where(_AT_HOLE.is_not(None))
_NUMBER = text(
    "UPDATE audit SET seq = nextval('audit_seq') WHERE id IN"
    " (SELECT id FROM audit WHERE seq IS NULL ORDER BY seq LIMIT :rows FOR UPDATE SKIP LOCKED)"
)


class Unreadable(Exception):
    """A stored row holds what cannot be of its column's kind."""


async def find_last(session: Session) -> Seal | None:
    """The newest seal."""
    found = await _read(session, _LAST)
    return _seal(found[0]) if found else None


async def is_unnumbered(session: Session) -> bool:
    """Whether there are rows from before there were numbers."""
    without = select(audit.c.id).where(audit.c.seq.is_(None)).order_by(audit.c.seq).limit(1)
    return await session.scalar(without) is not None


async def number_rows(session: Session, limit: int) -> None:
    """Give rows from before their numbers. Nobody else writes to such rows, so nobody waits."""
    await session.execute(_NUMBER, {"rows": limit})


async def is_anything_due(session: Session, *, given_up: datetime) -> bool:
    """Whether a pass would find something: new rows, rows at holes, or holes noticed by ``given_up``."""
    last = await session.scalar(select(audit_seals.c.last_seq).order_by(audit_seals.c.number.desc()).limit(1))
    new = select(audit.c.seq).where(audit.c.seq > (last or 0)).order_by(audit.c.seq).limit(1)
    if await session.scalar(new) is not None:
        return True
    old = select(audit_holes.c.first_seq).where(audit_holes.c.noticed_at <= given_up).limit(1)
    if await session.scalar(old) is not None:
        return True
    return (await session.execute(_ARRIVED.limit(1))).first() is not None


async def list_fresh(session: Session, *, after: int, limit: int) -> list[Act]:
    """Rows beyond a number, ascending."""
    return await _acts(session, _ACT.where(audit.c.seq > after).order_by(audit.c.seq).limit(limit))


async def list_at_holes(session: Session, *, limit: int) -> list[Act]:
    """Rows that are there by now, ascending."""
    arrived = (await session.execute(_ARRIVED.order_by(audit_holes.c.first_seq).limit(limit))).all()
    return await list_in(session, [(row.first_seq, row.last_seq) for row in arrived], limit=limit)


async def list_in(session: Session, several: Iterable[tuple[int, int]], *, limit: int) -> list[Act]:
    """Rows whose numbers lie in these ranges, ascending; at most ``limit``."""
    found: list[Act] = []
    for first, last in several:
        between = _ACT.where(audit.c.seq.between(first, last)).order_by(audit.c.seq)
        found += await _acts(session, between.limit(limit - len(found)))
        if len(found) >= limit:
            break
    return found


async def list_holes(session: Session) -> list[tuple[int, int, datetime]]:
    """First number, last number, and since when."""
    statement = select(audit_holes).order_by(audit_holes.c.first_seq)
    return [(row.first_seq, row.last_seq, row.noticed_at) for row in (await session.execute(statement)).all()]


async def change_holes(
    session: Session, *, gone: Iterable[int], new: Iterable[tuple[int, int, datetime]]
) -> None:
    """Forget the holes that begin at ``gone``, and note ``new`` ones."""
    if starts := list(gone):
        await session.execute(delete(audit_holes).where(audit_holes.c.first_seq.in_(starts)))
    rows = [{"first_seq": first, "last_seq": last, "noticed_at": at} for first, last, at in new]
    if rows:
        await session.execute(insert(audit_holes), rows)


async def add_seal(session: Session, seal: Seal) -> None:
    """Store a seal; a second one of the same number raises."""
    values = {name: getattr(seal, name) for name in Seal.__slots__}
    await session.execute(insert(audit_seals).values(values))


async def walk_seals(session: Session, *, after: int) -> AsyncIterator[Seal]:
    """Every seal beyond a number, in order."""
    while True:
        page = select(audit_seals).where(audit_seals.c.number > after).order_by(audit_seals.c.number)
        rows = await _read(session, page.limit(PAGE // 5))
        for row in rows:
            yield _seal(row)
        if not rows:
            return
        after = rows[-1].number


async def find_before_newest(session: Session, *, rows: int, seals: int) -> Seal | None:
    """The seal before the newest that hold so many rows, or are so many; nothing: the first is among them."""
    newest = select(audit_seals.c.number, audit_seals.c.count.label("sealed")).order_by(
        audit_seals.c.number.desc()
    )
    seen, number = 0, 0
    for row in (await session.execute(newest.limit(seals))).all():
        seen, number = seen + row.sealed, row.number
        if seen >= rows:
            break
    found = await _read(session, select(audit_seals).where(audit_seals.c.number == number - 1))
    return _seal(found[0]) if found else None


async def list_settled(session: Session, *, after: int) -> list[Ranges]:
    """Of the seals beyond a number, what each took late or gave up."""
    statement = select(audit_seals.c.late, audit_seals.c.void).where(audit_seals.c.number > after)
    rows = await _read(session, statement.order_by(audit_seals.c.number))
    return [ranges_of(one) for row in rows for one in row]


async def count_unsealed(session: Session, *, after: int) -> int:
    """Rows beyond a number, and those that have none."""
    beyond = select(func.count()).where(audit.c.seq > after)
    without = select(func.count()).where(audit.c.seq.is_(None))
    return int(await session.scalar(beyond) or 0) + int(await session.scalar(without) or 0)


async def find_oldest_unsealed(session: Session) -> datetime | None:
    """When the next row to be sealed was written."""
    last = await session.scalar(select(audit_seals.c.last_seq).order_by(audit_seals.c.number.desc()).limit(1))
    new = select(audit.c.at).where(audit.c.seq > (last or 0)).order_by(audit.c.seq).limit(1)
    at: datetime | None = await session.scalar(new)
    if at is None:
        without = select(audit.c.at).where(audit.c.seq.is_(None)).order_by(audit.c.seq).limit(1)
        at = await session.scalar(without)
    return at


async def _acts(session: Session, statement: Select[Any]) -> list[Act]:
    rows = await _read(session, statement)
    try:
        return [
            Act(
                int(row.seq),
                row.id,
                row.at,
                row.action,
                row.actor,
                row.alert_id,
                row.subject_id,
                row.detail,
            )
            for row in rows
        ]
    except (ValueError, TypeError) as error:
        raise Unreadable from error


async def _read(session: Session, statement: Select[Any]) -> list[Row[Any]]:
    try:
        return list((await session.execute(statement)).all())
    except (ValueError, TypeError) as error:
        raise Unreadable from error


def _seal(row: Row[Any]) -> Seal:
    values = dict(row._mapping)  # noqa: SLF001  # its public name; ``row.count`` would be the tuple's method
    try:
        for name in ("holes", "late", "void"):
            values[name] = ranges_of(values[name])
        return Seal(**values)
    except (ValueError, TypeError) as error:
        raise Unreadable from error
