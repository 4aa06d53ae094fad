"""Everything that one principal is answered, made comparable between two worlds.

What differs between two runs of the same traffic for reasons of chance is replaced by its kind; ``NONCES``
lists all of it. Random ids are renamed in the order in which they come up. Nothing else is touched: order,
counts, lengths of lists, status, headers and texts must be the same to the byte.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.acceptance.raw import Answer

COUNTED = frozenset({"date", "ratelimit", "ratelimit-policy", "content-length", "connection", "set-cookie"})
"""Headers of the connection and of the caller's own pace; the length follows from the body."""

NONCES: tuple[tuple[str, re.Pattern[bytes], bytes], ...] = (
    ("a grant: random key, random nonce", re.compile(rb"eyJ[A-Za-z0-9_-]+\.\.[A-Za-z0-9_.-]+"), b"<grant>"),
    ("the bytes of a notice once more", re.compile(rb'"notice_bytes":"[A-Za-z0-9+/=]+"'), b"<bytes>"),
    ("a page's cursor: time and id", re.compile(rb'"next":"[A-Za-z0-9_=-]+"'), b'"next":"<cursor>"'),
    ("digest of bytes that hold nonces", re.compile(rb"\b[0-9a-f]{64}\b"), b"<digest>"),
    ("tag of a page that holds nonces", re.compile(rb'"[0-9a-f]{32}"'), b'"<tag>"'),
    ("id of a live event: a digest", re.compile(rb"\b[0-9a-f]{16}\b"), b"<event>"),
    ("signing key of the house", re.compile(rb'"x":"[A-Za-z0-9_-]{43}"'), b'"x":"<key>"'),
    ("the agency's own key", re.compile(rb'"receipt_key":"[A-Za-z0-9_-]{43}"'), b'"receipt_key":"<key>"'),
    ("name of that key", re.compile(rb'"kid":"[A-Za-z0-9_-]{20,}"'), b'"kid":"<key>"'),
    ("port of the recorder", re.compile(rb"127\.0\.0\.1:\d+"), b"<port>"),
    ("short number", re.compile(rb"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]\b"), b"<number>"),
    ("instant", re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?"), b"<instant>"),
    ("instant on a page", re.compile(rb"\d\d\.\d\d\.\d{4},? \d\d:\d\d(:\d\d)?"), b"<instant>"),
    ("hour on a page", re.compile(rb"\b\d\d:\d\d(:\d\d)?\b"), b"<hour>"),
    ("nonce of a page's policy", re.compile(rb"nonce[-=]\"?[A-Za-z0-9_+/=-]{16,}\"?"), b"<nonce>"),
)

_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass
class World:
    """What one principal was answered, door by door, in the order of asking.

    Attributes:
        names: random ids of this world that both worlds know by one name.
    """

    names: dict[bytes, bytes] = field(default_factory=dict)
    heard: dict[str, bytes] = field(default_factory=dict)

    def hear(self, door: str, answer: Answer, *, ties: Sequence[str] = ()) -> None:
        """Keep an answer; a door is asked once.

        Args:
            ties: fields that order a list first, where the house orders equals by their random id.
        """
        assert door not in self.heard, door
        if ties and answer.status == 200:
            page = json.loads(answer.body)
            page["items"].sort(key=lambda item: [str(item[name]) for name in ties])
            answer = replace(answer, body=json.dumps(page, separators=(",", ":")).encode())
        self.heard[door] = self.plain(answer)

    def hear_bytes(self, door: str, told: bytes) -> None:
        """Keep what came another way: a page, a part of a live stream, a notice."""
        assert door not in self.heard, door
        self.heard[door] = self._without_nonces(told)

    def nameless(self, path: str) -> str:
        """An address without its ids, by which the same page is found in the other world."""
        return self._without_nonces(path.encode()).decode()

    def plain(self, answer: Answer) -> bytes:
        """Status, headers and body without what is chance."""
        head = sorted(
            f"{name.lower()}: {value}" for name, value in answer.headers if name.lower() not in COUNTED
        )
        whole = f"{answer.status}\n".encode() + "\n".join(head).encode("latin-1") + b"\n\n" + answer.body
        return self._without_nonces(whole)

    def _without_nonces(self, told: bytes) -> bytes:
        for _why, pattern, name in NONCES:
            told = pattern.sub(name, told)
        return _ID.sub(lambda found: self._named(found[0]), told)

    def _named(self, found: bytes) -> bytes:
        """The same id gets the same name wherever it comes up: another one in its place shows."""
        return self.names.setdefault(found, b"<id %d>" % len(self.names))


def differences(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Every door at which two worlds can be told apart; in words, with the first byte that differs."""
    found = [f"{door}: asked in one world only" for door in sorted(set(one) ^ set(other))]
    for door in sorted(set(one) & set(other)):
        left, right = one[door], other[door]
        if left != right:
            at = next((i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]),
                      min(len(left), len(right)))  # fmt: skip
            near = slice(max(0, at - 60), at + 60)
            found.append(f"{door}: {len(left)} and {len(right)} bytes, {left[near]!r} | {right[near]!r}")
    return found


def doors(document: Mapping[str, Mapping[str, Mapping[str, object]]], method: str) -> Iterable[str]:
    """Paths of the public description that take this method."""
    return sorted(path for path, operations in document["paths"].items() if method in operations)
