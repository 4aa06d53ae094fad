"""Reads the stored record and has it verified; pages, so that it needs no more memory when it is long."""

from collections import deque
from dataclasses import dataclass

from common.db import Session
from notifier.domain.chain import Chain, Fault, Finding, Witness
from notifier.domain.sealed import Act, IsOurs, Ranges, Seal
from notifier.repository import seals
from notifier.repository.seals import PAGE, Unreadable

NEWEST_ROWS = 100_000
NEWEST_SEALS = 3600
"""An hour of passes at least."""
BELOW_ALL = -(2**63)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        sealed: rows under seal, up to where it was looked.
        unsealed: rows that no seal has yet.
        witnessed: heads that a witness kept.
    """

    finding: Finding | None
    seals: int
    sealed: int
    unsealed: int
    witnessed: int


async def verify_whole(session: Session, is_ours: IsOurs, witness: Witness | None = None) -> Report:
    """Everything there is."""
    return await _verify(session, is_ours, witness, start=None)


async def verify_newest(session: Session, is_ours: IsOurs, witness: Witness | None = None) -> Report:
    """The newest seals with their rows; that what is older is the same is taken from the seal before them."""
    try:
        start = await seals.find_before_newest(session, rows=NEWEST_ROWS, seals=NEWEST_SEALS)
    except Unreadable:
        return Report(_unreadable(0), 0, 0, 0, 0)
    return await _verify(session, is_ours, witness, start=start)


async def _verify(
    session: Session, is_ours: IsOurs, witness: Witness | None, *, start: Seal | None
) -> Report:
    chain: Chain | None = None
    try:
        if start is not None and (found := _check_start(start, is_ours)):
            return Report(found, 0, 0, 0, 0)
        known = await _at_earlier_holes(session, start) if start else []
        chain = Chain(is_ours, witness, start=start, known=known)
        finding = await _walk(session, chain, start)
    except (Unreadable, ValueError):
        finding = _unreadable(chain.number if chain else 0)
    done = chain or Chain(is_ours)
    unsealed = await seals.count_unsealed(session, after=done.last_seq) if finding is None else 0
    first = start.number if start else 0
    witnessed = witness.count if witness else 0
    return Report(finding, done.number - first, done.size, unsealed + done.waiting, witnessed)


async def _walk(session: Session, chain: Chain, start: Seal | None) -> Finding | None:
    rows = _Rows(session, after=start.last_seq if start else BELOW_ALL)
    async for seal in seals.walk_seals(session, after=chain.number):
        if found := chain.check(seal):
            return found
        if found := chain.take(seal, await rows.until(seal.last_seq)):
            return found
    return chain.end()


class _Rows:
    """Rows in order of their numbers, a page at a time."""

    def __init__(self, session: Session, *, after: int) -> None:
        self._session = session
        self._after = after
        self._page: deque[Act] = deque()
        self._is_over = False

    async def until(self, last: int) -> list[Act]:
        """Those that come next, up to this number."""
        found: list[Act] = []
        while True:
            if not self._page and not self._is_over:
                page = await seals.list_fresh(self._session, after=self._after, limit=PAGE)
                self._page.extend(page)
                self._is_over = len(page) < PAGE
                self._after = page[-1].seq if page else self._after
            while self._page and self._page[0].seq <= last:
                found.append(self._page.popleft())
            if self._page or self._is_over:
                return found


async def _at_earlier_holes(session: Session, start: Seal) -> list[Act]:
    """Rows before ``start`` that later seals took late, or say that there are none."""
    settled = await seals.list_settled(session, after=start.number)
    earlier: Ranges = tuple(
        (first, last) for several in settled for first, last in several if first <= start.last_seq
    )
    return await seals.list_in(session, earlier, limit=NEWEST_ROWS)


def _check_start(start: Seal, is_ours: IsOurs) -> Finding | None:
    if not start.head().is_signed(is_ours):
        words = f"seal {start.number} was altered, or signed with another key"
        return Finding(Fault.SIGNATURE, words, number=start.number)
    return None


def _unreadable(number: int) -> Finding:
    words = f"after seal {number}: a row or a seal holds what cannot be read"
    return Finding(Fault.ALTERED, words, number=number + 1)
