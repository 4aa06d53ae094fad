"""Verifies the audit record: seal after seal, its rows recomputed, its heads compared with a witness's."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from notifier.domain.merkle import Edge
from notifier.domain.sealed import MARK, NOTHING, ORIGIN, Act, Head, IsOurs, Ranges, Seal, marks, numbers_in


class Fault(IntEnum):
    """What is wrong; the number is the exit code of the command."""

    ALTERED = 10
    """A row or a seal is not as it was sealed."""
    MISSING = 11
    """A sealed row, or a seal, is gone."""
    TRUNCATED = 13
    """A witness knows of more."""
    FORK = 14
    """There are two histories, both signed."""
    SIGNATURE = 15
    """A seal or a witness's head was not signed by our key as it stands."""
    UNKNOWN_ROW = 17
    """A row stands where there was none, and should not be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that is wrong.

    Attributes:
        seq: number of the row; nothing where it is about a seal.
        number: of the seal.
    """

    fault: Fault
    words: str
    seq: int | None = None
    number: int | None = None


class Witness:
    """Heads that somebody else kept, a JSON object a line: ``audit_sealed`` in the log, or our witness file.

    Other lines are passed over, so that a whole log may be given.
    """

    def __init__(self, is_ours: IsOurs) -> None:
        self._is_ours = is_ours
        self._seals: dict[int, str] = {}
        self.count = 0

    def read(self, lines: Iterable[str]) -> Finding | None:
        """Take heads in."""
        for line in lines:
            head = _head_in(line)
            if head is None:
                continue
            if not head.is_signed(self._is_ours):
                words = f"the witness has a head of seal {head.number} that our key did not sign"
                return Finding(Fault.SIGNATURE, words, number=head.number)
            self.count += 1
            if self._seals.setdefault(head.number, head.seal) != head.seal:
                words = f"the witness has two different heads of seal {head.number}, both signed"
                return Finding(Fault.FORK, words, number=head.number)
        return None

    def compare(self, seal: Seal, digest: str) -> Finding | None:
        """Whether a seal is the one whose head it has."""
        if self._seals.get(seal.number, digest) == digest:
            return None
        words = f"seal {seal.number} is another one than the witness saw: the record was written anew"
        return Finding(Fault.FORK, words, number=seal.number)

    def miss(self, last: int) -> Finding | None:
        """Whether it has seen more than there is."""
        newest = max(self._seals, default=0)
        if newest <= last:
            return None
        words = f"the record ends with seal {last}; the witness saw seal {newest}"
        return Finding(Fault.TRUNCATED, words, number=last)


def _head_in(line: str) -> Head | None:
    if ORIGIN not in line:
        return None
    try:
        told = json.loads(line)
        signature = str(told["signature"])
        signature += "=" * (-len(signature) % 4)
        head = Head(
            int(told["number"]),
            int(told["size"]),
            str(told["root"]),
            str(told["seal"]),
            signature,
        )
        bytes.fromhex(head.root)
    except (ValueError, KeyError, TypeError):
        return None
    return head if told.get("origin") == ORIGIN else None


class Chain:
    """Takes seals in order, each with the rows of its numbers. Keeps little, however long the record is.

    Args:
        start: the seal before the first that is taken; nothing: the whole record is.
        known: rows at holes before ``start``, where that is given.
    """

    def __init__(
        self,
        is_ours: IsOurs,
        witness: Witness | None = None,
        *,
        start: Seal | None = None,
        known: Iterable[Act] = (),
    ) -> None:
        self._is_ours = is_ours
        self._witness = witness
        self._number = start.number if start else 0
        self._last_seq = start.last_seq if start else 0
        self._digest = start.digest() if start else NOTHING
        self._tree = start.tree() if start else Edge()
        # Rows at holes: there by now, and to be sealed late by a later seal.
        self._at_holes = {one.seq: one.leaf() for one in known}

    @property
    def number(self) -> int:
        """Of the last seal taken."""
        return self._number

    @property
    def last_seq(self) -> int:
        """Up to which number of a row was looked."""
        return self._last_seq

    @property
    def size(self) -> int:
        """How many rows are sealed so far."""
        return self._tree.size

    @property
    def waiting(self) -> int:
        """How many rows at holes were there that no seal has taken yet."""
        return len(self._at_holes)

    def check(self, seal: Seal) -> Finding | None:
        """The seal itself, before its rows are looked for."""
        if seal.number != self._number + 1:
            return Finding(Fault.MISSING, f"seal {self._number + 1} is gone", number=self._number + 1)
        if not seal.head().is_signed(self._is_ours):
            words = f"seal {seal.number} was altered, or signed with another key"
            return Finding(Fault.SIGNATURE, words, number=seal.number)
        digest = seal.digest()
        if self._witness and (found := self._witness.compare(seal, digest)):
            return found
        if seal.previous != self._digest:
            words = f"seal {seal.number} follows another seal {self._number} than the one that is there"
            return Finding(Fault.FORK, words, number=seal.number)
        if seal.first_seq != self._last_seq + 1 or seal.last_seq < self._last_seq:
            return self._odd(seal)
        self._number, self._digest, self._last_seq = seal.number, digest, seal.last_seq
        return None

    def take(self, seal: Seal, rows: Sequence[Act]) -> Finding | None:
        """Its rows: all that are there up to its last number and were not taken before, ascending."""
        fresh: list[tuple[int, bytes]] = []
        expected = _expected(seal)
        for row in rows:
            if _is_in(seal.holes, row.seq):
                self._at_holes[row.seq] = row.leaf()
                continue
            wanted = next(expected, None)
            if wanted is None or row.seq < wanted:
                return _surplus(row.seq, seal)
            if row.seq > wanted:
                return _gone(wanted, seal)
            fresh.append((row.seq, row.leaf()))
        if (wanted := next(expected, None)) is not None:
            return _gone(wanted, seal)
        return self._late(seal, fresh)

    def _late(self, seal: Seal, fresh: list[tuple[int, bytes]]) -> Finding | None:
        late: list[tuple[int, bytes]] = []
        for seq in numbers_in(seal.late):
            found = self._at_holes.pop(seq, None)
            if found is None:
                return _gone(seq, seal)
            late.append((seq, found))
        for seq in self._at_holes:
            if _is_in(seal.void, seq):
                return _surplus(seq, seal)
        return self._grow(seal, late + fresh)

    def _grow(self, seal: Seal, sealed: list[tuple[int, bytes]]) -> Finding | None:
        leaves = [one for _, one in sealed]
        self._tree.add(leaves)
        if self._tree.root.hex() != seal.root:
            told = seal.marks
            for place, (seq, one) in enumerate(sealed):
                if told[place * 2 * MARK : (place + 1) * 2 * MARK] != marks([one]):
                    words = f"row {seq} is not as it was when seal {seal.number} was made"
                    return Finding(Fault.ALTERED, words, seq, seal.number)
            # Its mark is the same: found or made so by trying billions.
            span = f"{sealed[0][0]} to {sealed[-1][0]}" if sealed else "none"
            words = f"a row of seal {seal.number} is not as it was (numbers {span})"
            return Finding(Fault.ALTERED, words, number=seal.number)
        agrees = (seal.count, seal.size, seal.edge, seal.marks) == (
            len(leaves),
            self._tree.size,
            self._tree.hashes.hex(),
            marks(leaves),
        )
        return None if agrees else self._odd(seal)

    def end(self) -> Finding | None:
        """After the last seal."""
        return self._witness.miss(self._number) if self._witness else None

    @staticmethod
    def _odd(seal: Seal) -> Finding:
        return Finding(Fault.ALTERED, f"seal {seal.number} does not agree with its rows", number=seal.number)


def verify(
    seals: Iterable[Seal], rows: Iterable[Act], is_ours: IsOurs, witness: Witness | None = None
) -> Finding | None:
    """The whole record; ``rows`` ascend by number."""
    chain = Chain(is_ours, witness)
    coming = iter(rows)
    ahead = next(coming, None)
    for seal in seals:
        if found := chain.check(seal):
            return found
        own = []
        while ahead is not None and ahead.seq <= seal.last_seq:
            own.append(ahead)
            ahead = next(coming, None)
        if found := chain.take(seal, own):
            return found
    return chain.end()


def _expected(seal: Seal) -> Iterator[int]:
    """The numbers that it sealed in order; hostile ranges cost no more than there are numbers asked for."""
    first = seal.first_seq
    for low, high in seal.holes:
        yield from range(first, low)
        first = high + 1
    yield from range(first, seal.last_seq + 1)


def _is_in(several: Ranges, seq: int) -> bool:
    return any(first <= seq <= last for first, last in several)


def _gone(seq: int, seal: Seal) -> Finding:
    return Finding(Fault.MISSING, f"row {seq} is gone; seal {seal.number} has it", seq, seal.number)


def _surplus(seq: int, seal: Seal) -> Finding:
    words = f"row {seq} stands where seal {seal.number} says that there is none"
    return Finding(Fault.UNKNOWN_ROW, words, seq, seal.number)
