"""The audit record judged by other code than the house's: written from ADR 21, it imports nothing of it (I6).

Every row is under exactly one seal; each seal follows the one before, is signed, has the root of all rows.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.acceptance.kill.checker import Verdict
from tests.parts.postgres import outside_any_loop

Table = list[dict[str, Any]]
IsSigned = Callable[[bytes, bytes], bool]


def hashed(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def written(whole: Mapping[str, Any]) -> bytes:
    plain = {name: _plain(value) for name, value in whole.items()}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    return value if value is None or isinstance(value, (int, str, list, tuple, dict)) else str(value)


class Tree:
    """All its complete subtrees, level by level; the root is made of those that have no neighbour."""

    def __init__(self) -> None:
        self.levels: list[list[bytes]] = [[]]

    def add(self, leaf: bytes, level: int = 0) -> None:
        if level == len(self.levels):
            self.levels.append([])
        row = self.levels[level]
        row.append(leaf)
        if len(row) % 2 == 0:
            self.add(hashed(b"\x01", row[-2], row[-1]), level + 1)

    @property
    def root(self) -> bytes:
        single = [row[-1] for row in self.levels if len(row) % 2]
        if not single:
            return hashed()
        root = single[0]
        for left in single[1:]:
            root = hashed(b"\x01", left, root)
        return root


def check_chain(
    seals: Iterable[Mapping[str, Any]],
    rows: Table,
    is_signed: IsSigned,
    *,
    known: Collection[UUID] | None = None,
) -> Iterator[str]:
    """What is wrong, in words. Rows that no seal has yet are named last, as ``unsealed``.

    Args:
        known: ids of the rows that must have a seal by now; nothing: all.
    """
    left = {row["seq"]: row for row in rows if row["seq"] is not None}
    tree, previous, last = Tree(), "0" * 64, 0
    for number, seal in enumerate(seals, 1):
        if (seal["number"], seal["previous"], seal["first_seq"]) != (number, previous, last + 1):
            yield f"seal {seal['number']} does not follow seal {number - 1}"
        last = seal["last_seq"]
        holes = set(_numbers(seal["holes"]))
        late = sorted(_numbers(seal["late"]))
        sealed = late + [seq for seq in range(seal["first_seq"], last + 1) if seq not in holes]
        for seq in sealed:
            row = left.pop(seq, None)
            if row is None:
                yield f"row {seq} of seal {number} is gone, or under two seals"
            else:
                tree.add(hashed(b"\x00", written(row)))
        for seq in _numbers(seal["void"]):
            if seq in left:
                yield f"row {seq} stands where seal {number} gave it up"
        if (tree.root.hex(), seal["size"]) != (seal["root"], len(tree.levels[0])):
            yield f"seal {number} has another root than its rows"
        own = {name: value for name, value in seal.items() if name not in ("edge", "signature")}
        previous = hashlib.sha256(written(own)).hexdigest()
        root = base64.b64encode(bytes.fromhex(seal["root"])).decode()
        head = f"dabyl/notifier/audit\n{seal['size']}\n{root}\n{number} {previous}\n"
        if not is_signed(base64.b64decode(seal["signature"]), head.encode()):
            yield f"seal {number} is not signed"
    unsealed = [*left.values(), *(row for row in rows if row["seq"] is None)]
    if missing := [row["seq"] for row in unsealed if known is None or row["id"] in known]:
        yield f"unsealed: {len(missing)} rows, e.g. {missing[0]}"


def _numbers(ranges: list[list[int]]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)


def signed_with(file: Path) -> IsSigned:
    key = load_pem_public_key(file.read_bytes())
    assert isinstance(key, Ed25519PublicKey)

    def is_signed(signature: bytes, text: bytes) -> bool:
        try:
            key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    return is_signed


def judge_chain(url: str, keys: Path, verdict: Verdict, *, within: float) -> None:
    """Add what is wrong with the record of a house that runs.

    Args:
        url: notifier's database, as SQLAlchemy names it.
        keys: folder of notifier's keys.
        within: seconds in which every row must be under a seal.
    """
    is_signed = signed_with(keys / "audit.signing.pub")
    give_up = time.monotonic() + within
    known: frozenset[UUID] | None = None
    while True:
        seals, rows = _read(url)
        # Of a house that goes on writing (alarms, for minutes) there is no moment in which all is sealed:
        # what was there at the first look must be.
        known = known or frozenset(row["id"] for row in rows)
        found = list(check_chain(seals, rows, is_signed, known=known))
        is_settling = bool(found) and all(one.startswith("unsealed") for one in found)
        if not is_settling or time.monotonic() > give_up:
            break
        time.sleep(1)
    if rows and not seals:
        found.append("there is no seal at all")
    for one in found:
        verdict.found("chain", one)


def _read(url: str) -> tuple[Table, Table]:
    async def read() -> tuple[Table, Table]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=20)
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        try:
            # One moment for both: a row that is sealed in between is no fault.
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                seals = await connection.fetch("SELECT * FROM audit_seals ORDER BY number")
                rows = await connection.fetch(
                    "SELECT seq, id, at, action, actor, alert_id, subject_id, detail FROM audit"
                )
        finally:
            await connection.close()
        return [dict(one) for one in seals], [dict(one) for one in rows]

    return outside_any_loop(read())
