"""Nothing that was sealed can be changed unseen: every mutation of a record is found, with its witness."""

import base64
import hashlib
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.chain import Chain, Fault, Finding, Witness, verify
from notifier.domain.merkle import Edge, leaf
from notifier.domain.sealed import Act, Head, Ranges, Seal, gaps, numbers_in, ranges, seal_next

T0 = datetime(2026, 11, 28, 9, tzinfo=UTC)

# The vectors of RFC 6962's reference implementation: certificate-transparency, merkle_tree_test.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_tree_is_that_of_rfc_6962(size: int) -> None:
    tree = Edge()
    tree.add([leaf(bytes.fromhex(one)) for one in INPUTS[:size]])
    assert tree.root.hex() == ROOTS[size - 1]


def test_an_empty_tree_is_the_hash_of_nothing() -> None:
    assert Edge().root == hashlib.sha256(b"").digest()


def recursive_root(leaves: list[bytes]) -> bytes:
    """As the RFC words it, which needs all leaves at hand."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + recursive_root(leaves[:split]) + recursive_root(leaves[split:])).digest()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_a_tree_grown_from_its_edge_is_the_tree_over_everything(steps: list[int]) -> None:
    leaves: list[bytes] = []
    edge = Edge()
    for step in steps:
        new = [leaf(str(len(leaves) + n).encode()) for n in range(step)]
        leaves += new
        edge = Edge(edge.size, edge.hashes)
        edge.add(new)
    assert edge.root == recursive_root(leaves)


def test_an_edge_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="edge"):
        Edge(3, b"x" * 32)


@given(st.sets(st.integers(1, 60)), st.integers(1, 60))
def test_holes_and_what_is_there_are_all_numbers(there: set[int], last: int) -> None:
    inside = sorted(one for one in there if one <= last)
    assert set(numbers_in(gaps(1, last, inside))) | set(inside) == set(range(1, last + 1))
    assert list(numbers_in(ranges(inside))) == inside


def sign(text: bytes) -> bytes:
    """Signs as nobody without the key can; Ed25519 itself is tried in tests/service."""
    return hashlib.sha512(b"ours" + text).digest()


def sign_otherwise(text: bytes) -> bytes:
    return hashlib.sha512(b"theirs" + text).digest()


def is_ours(signature: bytes, text: bytes) -> bool:
    return signature == sign(text)


def an_act(seq: int, **more: Any) -> Act:
    values = {
        "seq": seq,
        "id": UUID(int=abs(seq)),
        "at": T0 + timedelta(seconds=seq),
        "action": "delivery.planned",
        "actor": "notifier",
        "alert_id": UUID(int=abs(seq) // 5),
        "subject_id": None if seq % 3 else UUID(int=1000 + seq),
        "detail": {"role": "internal_affairs", "attempt": seq},
    }
    return Act(**{**values, **more})


@dataclass
class Record:
    """A record as the tables hold it, and what a witness wrote down."""

    acts: dict[int, Act] = field(default_factory=dict)
    seals: list[Seal] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def seal(self, seqs: list[int], late: list[int], void: Ranges = ()) -> None:
        self.acts |= {seq: an_act(seq) for seq in (*seqs, *late)}
        last = self.seals[-1] if self.seals else None
        made = seal_next(
            last,
            fresh=[self.acts[seq] for seq in seqs],
            late=[self.acts[seq] for seq in late],
            void=void,
            sign=sign,
            now=T0 + timedelta(seconds=len(self.seals)),
        )
        self.seals.append(made)
        self.heads.append(made.head())
        self.open |= set(numbers_in(made.holes))
        self.open -= {*late, *numbers_in(void)}

    def witness(self) -> list[str]:
        return [json.dumps(one.values()) for one in self.heads]

    def verified(self, witness: list[str] | None = None) -> Finding | None:
        seen = Witness(is_ours)
        if witness is not None and (found := seen.read(witness)):
            return found
        rows = sorted(self.acts.values(), key=lambda one: one.seq)
        return verify(self.seals, rows, is_ours, seen)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Passes with rows that come in any order of their numbers, some late, some never."""
    record, next_seq = Record(), 1
    for _ in range(draw(st.integers(2, 6))):
        waiting = sorted(record.open)
        late = [seq for seq in waiting if draw(st.booleans())]
        void = ranges(seq for seq in waiting if seq not in late and draw(st.booleans()))
        window = range(next_seq, next_seq + draw(st.integers(1, 6)))
        there = [seq for seq in window if draw(st.integers(0, 3))] or [window[-1]]
        next_seq = there[-1] + 1
        record.seal(there, late, void)
    return record


@given(records())
def test_a_record_that_nobody_touched_is_intact(record: Record) -> None:
    assert record.verified() is None
    assert record.verified(record.witness()) is None
    assert sum(one.count for one in record.seals) == len(record.acts) == record.seals[-1].size


def touch_row(record: Record, random: Random) -> None:
    one = random.choice(list(record.acts.values()))
    name = random.choice([each.name for each in fields(Act) if each.name != "seq"])
    other: dict[str, Any] = {
        "id": UUID(int=random.getrandbits(128)),
        "at": one.at + timedelta(microseconds=1),
        "action": one.action + "x",
        "actor": "somebody",
        "alert_id": None,
        "subject_id": UUID(int=7),
        "detail": {**one.detail, "attempt": 0},
    }
    record.acts[one.seq] = replace(one, **{name: other[name]})


def delete_row(record: Record, random: Random) -> None:
    del record.acts[random.choice(list(record.acts))]


def insert_row(record: Record, random: Random) -> None:
    free = [seq for seq in range(-1, record.seals[-1].last_seq + 1) if seq not in record.acts]
    closed = [seq for seq in free if seq not in record.open]
    seq = random.choice(closed)
    record.acts[seq] = an_act(seq)


def swap_rows(record: Record, random: Random) -> None:
    one, two = random.sample(sorted(record.acts), 2)
    record.acts[one], record.acts[two] = (
        replace(record.acts[two], seq=one),
        replace(record.acts[one], seq=two),
    )


def move_row(record: Record, random: Random) -> None:
    seq = random.choice(list(record.acts))
    beyond = record.seals[-1].last_seq + 5
    record.acts[beyond] = replace(record.acts.pop(seq), seq=beyond)


def touch_seal(record: Record, random: Random) -> None:
    at = random.randrange(len(record.seals))
    one = record.seals[at]
    name = random.choice([each.name for each in fields(Seal)])
    value = getattr(one, name)
    if isinstance(value, str):
        changed: Any = (("0" if value[:1] != "0" else "1") + value[1:]) if value else "00"
    elif isinstance(value, datetime):
        changed = value + timedelta(microseconds=1)
    elif isinstance(value, int):
        changed = value + 1
    else:
        changed = (*value, (10_000, 10_001))
    record.seals[at] = replace(one, **{name: changed})


def delete_seal(record: Record, random: Random) -> None:
    del record.seals[random.randrange(len(record.seals))]


def swap_seals(record: Record, random: Random) -> None:
    one, two = random.sample(range(len(record.seals)), 2)
    record.seals[one], record.seals[two] = record.seals[two], record.seals[one]


def truncate(record: Record, random: Random) -> None:
    record.seals = record.seals[: random.randrange(len(record.seals))]
    last = record.seals[-1].last_seq if record.seals else 0
    record.acts = {seq: one for seq, one in record.acts.items() if seq <= last}


def replay_page(record: Record, random: Random) -> None:
    """Old content under later numbers."""
    one, two = sorted(random.sample(sorted(record.acts), 2))
    record.acts[two] = replace(record.acts[one], seq=two)


def write_anew(record: Record, random: Random, signed: Callable[[bytes], bytes] = sign) -> None:
    """Whoever has the key makes another history of it, every hash and signature in order."""
    touch_row(record, random)
    before, record.seals = record.seals, []
    for old in before:
        fresh = [one for seq, one in sorted(record.acts.items()) if old.first_seq <= seq <= old.last_seq]
        holes = set(numbers_in(old.holes))
        late = [record.acts[seq] for seq in numbers_in(old.late)]
        record.seals.append(
            seal_next(
                record.seals[-1] if record.seals else None,
                fresh=[one for one in fresh if one.seq not in holes],
                late=late,
                void=old.void,
                sign=signed,
                now=old.sealed_at,
            )
        )


MUTATIONS = (
    touch_row, delete_row, insert_row, swap_rows, move_row, touch_seal, delete_seal, swap_seals, truncate,
    replay_page, write_anew,
)  # fmt: skip


@pytest.mark.parametrize("mutate", MUTATIONS)
@given(record=records(), seed=st.integers(0, 2**32))
def test_every_mutation_of_what_was_sealed_is_found(
    mutate: Callable[[Record, Random], None], record: Record, seed: int
) -> None:
    if len(record.acts) < 2:
        record.seal([record.seals[-1].last_seq + 1, record.seals[-1].last_seq + 2], [])
    heads = record.witness()
    before = deepcopy((record.acts, record.seals))
    mutate(record, Random(seed))
    if (record.acts, record.seals) == before:
        return
    assert record.verified(heads) is not None


@given(record=records(), seed=st.integers(0, 2**32))
def test_only_the_witness_sees_what_the_holder_of_the_key_wrote_anew(record: Record, seed: int) -> None:
    heads = record.witness()
    write_anew(record, Random(seed))
    assert record.verified() is None
    found = record.verified(heads)
    assert found is not None
    assert found.fault is Fault.FORK


def a_record() -> Record:
    """Number 3 comes late, 5 never."""
    record = Record()
    record.seal([1, 2, 4], [])
    record.seal([6, 7], [3])
    record.seal([8], [], ((5, 5),))
    return record


def test_what_is_wrong_is_named_with_the_first_row() -> None:
    cases: list[tuple[Callable[[Record], object], Fault, int | None]] = [
        (lambda one: one.acts.update({6: replace(one.acts[6], actor="x")}), Fault.ALTERED, 6),
        (lambda one: one.acts.update({3: replace(one.acts[3], actor="x")}), Fault.ALTERED, 3),
        (lambda one: one.acts.pop(2), Fault.MISSING, 2),
        (lambda one: one.acts.pop(3), Fault.MISSING, 3),
        (lambda one: one.seals.pop(1), Fault.MISSING, None),
        (lambda one: one.acts.update({5: an_act(5)}), Fault.UNKNOWN_ROW, 5),
        (lambda one: one.acts.update({0: an_act(0)}), Fault.UNKNOWN_ROW, 0),
        (lambda one: one.seals.pop(), Fault.TRUNCATED, None),
        (lambda one: one.seals.clear(), Fault.TRUNCATED, None),
        (lambda one: write_anew(one, Random(1), sign_otherwise), Fault.SIGNATURE, None),
    ]
    for spoil, fault, seq in cases:
        record = a_record()
        heads = record.witness()
        spoil(record)
        found = record.verified(heads)
        assert found is not None
        assert (found.fault, found.seq) == (fault, seq), found.words


def test_a_witness_that_nobody_signed_or_that_saw_two_histories_is_named() -> None:
    record = a_record()
    forged = json.dumps({**record.heads[0].values(), "size": 99})
    assert (found := record.verified([forged])) is not None
    assert found.fault is Fault.SIGNATURE
    other = a_record()
    write_anew(other, Random(1))
    assert (
        found := record.verified([*record.witness(), *(json.dumps(o.head().values()) for o in other.seals)])
    )
    assert found.fault is Fault.FORK


def test_lines_that_are_no_heads_are_passed_over() -> None:
    record = a_record()
    noise = [
        "",
        "{",
        "[]",
        '{"event": "started"}',
        '{"origin": "dabyl/notifier/audit"}',
        "dabyl/notifier/audit",
    ]
    assert record.verified([*noise, *record.witness()]) is None


def test_a_head_is_a_checkpoint_that_others_can_read() -> None:
    origin, size, root, more = a_record().heads[-1].text().decode().splitlines()
    assert (origin, size) == ("dabyl/notifier/audit", "7")
    assert base64.b64decode(root).hex() == a_record().seals[-1].root
    assert more == f"3 {a_record().seals[-1].digest()}"


def test_from_a_seal_on_the_rest_is_verified_alone() -> None:
    record = a_record()
    for spoilt in (None, 3, 5, 7):
        acts = dict(record.acts)
        if spoilt == 5:
            acts[5] = an_act(5)
        elif spoilt:
            acts[spoilt] = replace(acts[spoilt], actor="x")
        known = [acts[seq] for seq in (3, 5) if seq in acts]
        chain = Chain(is_ours, start=record.seals[0], known=known)
        found = None
        for seal in record.seals[1:]:
            rows = [acts[seq] for seq in range(seal.first_seq, seal.last_seq + 1) if seq in acts]
            found = found or chain.check(seal) or chain.take(seal, rows)
        assert (found and found.seq) == spoilt


def test_a_hostile_range_costs_nothing() -> None:
    record = a_record()
    huge = replace(record.seals[1], late=((1, 10**15),), last_seq=10**15)
    made = replace(huge, signature=base64.b64encode(sign(huge.head().text())).decode())
    record.seals[1] = made
    assert (found := record.verified()) is not None
    assert found.fault is Fault.MISSING


@pytest.mark.parametrize("name", [each.name for each in fields(Seal)])
def test_every_column_of_a_seal_is_under_its_signature_or_checked_beside_it(name: str) -> None:
    for place in range(3):
        record = a_record()
        one = record.seals[place]
        value = getattr(one, name)
        changed: Any
        if isinstance(value, str):
            changed = ("1" if value[0] == "0" else "0") + value[1:]
        elif isinstance(value, datetime):
            changed = value + timedelta(microseconds=1)
        else:
            changed = value + 1 if isinstance(value, int) else (*value, (90, 91))
        record.seals[place] = replace(one, **{name: changed})
        assert record.verified() is not None, place


def signed_anew(seal: Seal, **changed: Any) -> Seal:
    """By whoever has the key."""
    other = replace(seal, **changed)
    return replace(other, signature=base64.b64encode(sign(other.head().text())).decode())


def test_a_seal_of_another_history_does_not_fit_though_it_is_signed() -> None:
    record = a_record()
    record.seals[2] = signed_anew(record.seals[2], previous="ab" * 32)
    assert (found := record.verified()) is not None
    assert (found.fault, found.number) == (Fault.FORK, 3)


def test_a_seal_looks_at_the_numbers_after_those_of_the_one_before() -> None:
    record = a_record()
    record.seals[2] = signed_anew(record.seals[2], first_seq=7, holes=((7, 7),))
    assert (found := record.verified()) is not None
    assert (found.fault, found.number) == (Fault.ALTERED, 3)
