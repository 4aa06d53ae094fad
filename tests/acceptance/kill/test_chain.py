"""The checker's own reading of the audit record agrees with the house's, and finds what is planted."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from notifier.domain.sealed import Act, Seal, seal_next
from tests.acceptance.kill.chain import check_chain

AT = datetime(2026, 11, 28, 9, 0, 0, 120, tzinfo=UTC)


def sign(text: bytes) -> bytes:
    return hashlib.sha512(text).digest()


def is_signed(signature: bytes, text: bytes) -> bool:
    return signature == sign(text)


def an_act(seq: int) -> Act:
    detail = {"role": "полиция", "attempt": seq, "reason": None}
    return Act(
        seq, UUID(int=seq), AT + timedelta(seconds=seq), "alert.planned", "a", UUID(int=9), None, detail
    )


Tables = tuple[list[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture
def tables() -> Tables:
    """Number 3 comes late, 5 never; nine rows in three seals."""
    passes: list[tuple[list[int], list[int], tuple[tuple[int, int], ...]]] = [
        ([1, 2, 4], [], ()),
        ([6, 7, 8], [3], ()),
        ([9, 10], [], ((5, 5),)),
    ]
    seals: list[Seal] = []
    for fresh, late, void in passes:
        last = seals[-1] if seals else None
        made = seal_next(
            last,
            fresh=[an_act(one) for one in fresh],
            late=[an_act(one) for one in late],
            void=void,
            sign=sign,
            now=AT,
        )
        seals.append(made)
    acts = [an_act(one) for one in (1, 2, 3, 4, 6, 7, 8, 9, 10)]
    return [asdict(one) for one in seals], [asdict(one) for one in acts]


def test_what_the_house_sealed_is_right(tables: Tables) -> None:
    assert list(check_chain(*tables, is_signed)) == []


def _row(rows: list[dict[str, Any]], seq: int) -> dict[str, Any]:
    return next(row for row in rows if row["seq"] == seq)


PLANTED: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "altered": (lambda _, rows: _row(rows, 3).update(actor="b"), "seal 2 has another root"),
    "gone": (lambda _, rows: rows.remove(_row(rows, 7)), "row 7 of seal 2 is gone"),
    "given up": (lambda _, rows: rows.append({**_row(rows, 1), "seq": 5}), "row 5 stands where"),
    "unsealed": (lambda _, rows: rows.append({**_row(rows, 1), "seq": 11}), "unsealed: 1 rows"),
    "no number": (lambda _, rows: rows.append({**_row(rows, 1), "seq": None}), "unsealed: 1 rows"),
    "seal gone": (lambda seals, _: seals.pop(1), "seal 3 does not follow seal 1"),
    "seal altered": (lambda seals, _: seals[1].update(sealed_at=AT + timedelta(1)), "seal 2 is not signed"),
    "twice": (lambda seals, _: seals[2].update(late=((3, 3),)), "row 3 of seal 3 is gone, or under two"),
    "signed by others": (
        lambda seals, _: seals[0].update(signature=base64.b64encode(b"x").decode()),
        "seal 1 is not signed",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(tables: Tables, what: str) -> None:
    plant, words = PLANTED[what]
    plant(*tables)
    assert any(one.startswith(words) for one in check_chain(*tables, is_signed))


@pytest.mark.parametrize("seq", [11, None])
def test_only_what_was_there_at_the_first_look_must_be_sealed(tables: Tables, seq: int | None) -> None:
    seals, rows = tables
    first, second = UUID(int=101), UUID(int=102)
    rows.append({**_row(rows, 1), "seq": seq, "id": first})
    assert list(check_chain(seals, rows, is_signed, known={row["id"] for row in rows} - {first})) == []
    rows.append({**_row(rows, 1), "seq": 12, "id": second})
    found = list(check_chain(seals, rows, is_signed, known={row["id"] for row in rows} - {second}))
    assert found == [f"unsealed: 1 rows, e.g. {seq}"]


def test_a_tree_of_any_size_has_the_root_of_the_house() -> None:
    for size in range(1, 40):
        made = seal_next(
            None, fresh=[an_act(one + 1) for one in range(size)], late=[], void=(), sign=sign, now=AT
        )
        assert (
            list(check_chain([asdict(made)], [asdict(an_act(n + 1)) for n in range(size)], is_signed)) == []
        )
