"""The scanner itself: what it cannot find, it cannot exclude."""

import base64
import gzip
import hashlib
import json
import sqlite3
import zlib
from html import escape
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.acceptance.canary.needles import KAZAKH, Canary
from tests.acceptance.canary.scanner import Scanner, Surface

CANARY = Canary.new()
SCANNER = Scanner(CANARY)
NAME, IIN = CANARY.values["name"], CANARY.values["iin"]


def found(data: bytes) -> set[str]:
    return {hit.encoding for hit in SCANNER.scan([Surface("here", b"before " + data + b" after")])}


def test_every_kazakh_letter_is_in_every_value() -> None:
    for name in ("name", "address", "education_org", "narrative"):
        assert set(KAZAKH) <= set(CANARY.values[name].lower()), name
        assert CANARY.latin in CANARY.values[name]


@pytest.mark.parametrize("field", ["name", "address", "education_org", "narrative", "iin", "reference"])
def test_each_value_is_found_as_it_is(field: str) -> None:
    assert found(CANARY.values[field].encode())


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ("utf-16-le", NAME.encode("utf-16-le")),
        ("utf-16-be", NAME.encode("utf-16-be")),
        ("json", json.dumps({"name": NAME}).encode()),
        ("json, capital digits", NAME.encode("ascii", "backslashreplace").upper()),
        ("repr of bytes", repr(NAME.encode()).encode()),
        ("query", urlencode({"name": NAME}).encode()),
        ("query, small digits", quote(NAME).lower().encode()),
        ("query, twice", quote(quote(NAME)).encode()),
        ("html", escape(NAME).encode("ascii", "xmlcharrefreplace")),
        ("hex", NAME.encode().hex().encode()),
        ("HEX", NAME.encode().hex().upper().encode()),
        ("upper case", NAME.upper().encode()),
        ("lower case", NAME.lower().encode()),
        ("gzip", gzip.compress(NAME.encode())),
        ("zlib", zlib.compress(NAME.encode(), 9)),
        ("gzip in zlib", zlib.compress(gzip.compress(NAME.encode()))),
        ("half a gzip", gzip.compress(NAME.encode() + bytes(200_000))[:-40]),
        ("digest", hashlib.sha256(NAME.encode()).digest()),
        ("hex digest of the number", hashlib.sha256(IIN.encode()).hexdigest().encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_encoding_is_found(told: str, written: bytes) -> None:
    assert found(written), told


@pytest.mark.parametrize(
    "text", [CANARY.kazakh, CANARY.latin, IIN, NAME], ids=["kazakh", "latin", "number", "name"]
)
@pytest.mark.parametrize("shift", range(5))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode], ids=["plain", "url"])
def test_base64_is_found_wherever_it_begins(text: str, shift: int, encode: object) -> None:
    assert callable(encode)
    assert found(encode(b"?>~\xff\xfe"[:shift] + text.encode() + b"~~?\xfb"))


def test_russian_spelling_is_found() -> None:
    spelled = CANARY.kazakh.lower().translate(str.maketrans("әғқңөұүһі", "агкноуухи"))
    assert found(spelled.encode())
    assert found(spelled.encode("cp1251"))


def test_other_children_are_not_found() -> None:
    other = Canary.new()
    body = json.dumps(other.alert(), ensure_ascii=False).encode()
    assert not found(body)
    assert not found(base64.b64encode(body))
    assert not found(gzip.compress(body))


def test_a_row_is_found_in_a_database_and_in_its_log(tmp_path: Path) -> None:
    file = tmp_path / "some.db"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE plain (name TEXT)")
    connection.execute("INSERT INTO plain VALUES (?)", (NAME,))
    labels = {Path(hit.label).name for hit in SCANNER.scan_files(tmp_path)}
    connection.close()
    assert labels == {"some.db-wal"}
    assert {Path(hit.label).name for hit in SCANNER.scan_files(tmp_path)} == {"some.db"}
