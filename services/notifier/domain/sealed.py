"""What is sealed: acts, seals and signed heads, and the bytes that stand for them."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from notifier.domain.merkle import Edge, leaf

ORIGIN = "dabyl/notifier/audit"
"""Names the log in its heads."""
NOTHING = "0" * 64
"""What the first seal has for its predecessor."""
MARK = 4
"""So many bytes of each leaf lie in its seal: they find the row that differs; the root proves it."""

Ranges = tuple[tuple[int, int], ...]
"""Numbers from … to, both counted; ascending, without overlap."""
Sign = Callable[[bytes], bytes]
IsOurs = Callable[[bytes, bytes], bool]
"""Whether a signature (the first) fits a text."""


@dataclass(frozen=True, slots=True)
class Act:
    """A row of the audit record."""

    seq: int
    id: UUID
    at: datetime
    action: str
    actor: str
    alert_id: UUID | None
    subject_id: UUID | None
    detail: Mapping[str, Any]

    def leaf(self) -> bytes:
        """Its hash, over every column."""
        whole = {
            "action": self.action,
            "actor": self.actor,
            "alert_id": _text(self.alert_id),
            "at": _moment(self.at),
            "detail": self.detail,
            "id": _text(self.id),
            "seq": self.seq,
            "subject_id": _text(self.subject_id),
        }
        return leaf(canonical(whole))


@dataclass(frozen=True, slots=True)
class Seal:
    """What one pass sealed.

    Attributes:
        first_seq: the pass looked at the numbers from here to ``last_seq``; nothing new when that is lower.
        holes: numbers among them that were not there: their transaction was open, or came to nothing.
        late: numbers of earlier holes that were there by now, and are sealed here.
        void: numbers of earlier holes that are given up.
        count: rows sealed here, the late ones first, each in order of its number.
        size: rows sealed so far; ``root`` and ``edge`` are of the tree over all of them.
        marks: the beginning of each leaf.
        previous: digest of the seal before.
        signature: over the head.
    """

    number: int
    first_seq: int
    last_seq: int
    holes: Ranges
    late: Ranges
    void: Ranges
    count: int
    size: int
    root: str
    edge: str
    marks: str
    previous: str
    sealed_at: datetime
    signature: str = ""

    def digest(self) -> str:
        """The hash of everything but the signature; the edge follows from what is in it."""
        whole = {
            "count": self.count,
            "first_seq": self.first_seq,
            "holes": self.holes,
            "last_seq": self.last_seq,
            "late": self.late,
            "marks": self.marks,
            "number": self.number,
            "previous": self.previous,
            "root": self.root,
            "sealed_at": _moment(self.sealed_at),
            "size": self.size,
            "void": self.void,
        }
        return hashlib.sha256(canonical(whole)).hexdigest()

    def head(self) -> "Head":
        """What a witness is told."""
        return Head(self.number, self.size, self.root, self.digest(), self.signature)

    def tree(self) -> Edge:
        """The tree after it.

        Raises:
            ValueError: its edge has another root.
        """
        tree = Edge(self.size, bytes.fromhex(self.edge))
        if tree.root.hex() != self.root:
            raise ValueError("not the edge of this tree")
        return tree


@dataclass(frozen=True, slots=True)
class Head:
    """The state of the log after a seal, signed; a C2SP checkpoint with one line more.

    Attributes:
        seal: digest of the seal, and so of every seal before.
    """

    number: int
    size: int
    root: str
    seal: str
    signature: str

    def text(self) -> bytes:
        """What is signed."""
        root = base64.b64encode(bytes.fromhex(self.root)).decode()
        return f"{ORIGIN}\n{self.size}\n{root}\n{self.number} {self.seal}\n".encode()

    def is_signed(self, is_ours: IsOurs) -> bool:
        """Whether the signature fits."""
        try:
            return is_ours(base64.b64decode(self.signature, validate=True), self.text())
        except ValueError:
            return False

    def values(self) -> dict[str, str | int]:
        """As it stands in a line of the log and of a witness."""
        return {
            "origin": ORIGIN,
            "number": self.number,
            "size": self.size,
            "root": self.root,
            "seal": self.seal,
            # Without its padding: the log withholds what does not look like a code.
            "signature": self.signature.rstrip("="),
        }


def seal_next(
    last: Seal | None,
    *,
    fresh: Sequence[Act],
    late: Sequence[Act],
    void: Ranges,
    sign: Sign,
    now: datetime,
) -> Seal:
    """The seal after ``last``.

    Args:
        fresh: rows beyond the last number, ascending; what lies between them are holes.
        late: rows at holes of earlier seals, ascending.
        void: holes of earlier seals that are given up.

    Raises:
        ValueError: ``last`` was altered, so that nothing can be built on it.
    """
    first_seq = last.last_seq + 1 if last else 1
    last_seq = fresh[-1].seq if fresh else first_seq - 1
    leaves = [one.leaf() for one in (*late, *fresh)]
    tree = last.tree() if last else Edge()
    tree.add(leaves)
    unsigned = Seal(
        number=last.number + 1 if last else 1,
        first_seq=first_seq,
        last_seq=last_seq,
        holes=gaps(first_seq, last_seq, (one.seq for one in fresh)),
        late=ranges(one.seq for one in late),
        void=void,
        count=len(leaves),
        size=tree.size,
        root=tree.root.hex(),
        edge=tree.hashes.hex(),
        marks=marks(leaves),
        previous=last.digest() if last else NOTHING,
        sealed_at=now,
    )
    signature = base64.b64encode(sign(unsigned.head().text())).decode()
    return replace(unsigned, signature=signature)


def marks(leaves: Iterable[bytes]) -> str:
    """The beginnings of leaves, one after the other."""
    return b"".join(one[:MARK] for one in leaves).hex()


def gaps(first: int, last: int, there: Iterable[int]) -> Ranges:
    """What is missing from ``first`` to ``last``; ``there`` ascends."""
    found = []
    for one in there:
        if one > first:
            found.append((first, one - 1))
        first = one + 1
    if first <= last:
        found.append((first, last))
    return tuple(found)


def ranges(numbers: Iterable[int]) -> Ranges:
    """Ascending numbers, those in a row together."""
    found: list[tuple[int, int]] = []
    for one in numbers:
        if found and found[-1][1] == one - 1:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return tuple(found)


def ranges_of(stored: Any) -> Ranges:
    """Ranges as a table holds them.

    Raises:
        ValueError: these are none.
    """
    try:
        return tuple((int(first), int(last)) for first, last in stored)
    except TypeError as error:
        raise ValueError("not ranges") from error


def numbers_in(several: Ranges) -> Iterator[int]:
    """Every number of them."""
    for first, last in several:
        yield from range(first, last + 1)


def canonical(whole: Mapping[str, Any]) -> bytes:
    """The bytes of a JSON object (RFC 8785, for text, whole numbers, nothing, lists and objects).

    A lone surrogate has bytes too: only whoever tampers brings one in, and it must not end the look.
    """
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="surrogatepass")


def _text(one: UUID | None) -> str | None:
    return None if one is None else str(one)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
