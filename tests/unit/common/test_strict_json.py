"""Strict JSON: everything that is JSON passes unchanged, everything that only Python takes does not."""

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.strict_json import MAX_DEPTH, BodyNotReadable, parse

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**300), max_value=10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(item) for item in value), default=0)
    return 0


@given(
    DOCUMENTS.filter(lambda value: depth(value) < MAX_DEPTH), st.booleans(), st.sampled_from([None, 1, "\t"])
)
def test_every_json_document_passes_unchanged(value: Any, as_ascii: bool, indent: int | str | None) -> None:
    body = json.dumps(value, ensure_ascii=as_ascii, indent=indent).encode()
    assert parse(body) == json.loads(body) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_json_or_refused(body: bytes) -> None:
    with suppress(BodyNotReadable):
        value = parse(body)
        assert value == json.loads(body)


HOSTILE = {
    "the same key twice": b'{"a": 1, "a": 2}',
    "the same key twice, written differently": b'{"a": 1, "\\u0061": 2}',
    "the same key twice, deep inside": b'[{"x": {"a": 1, "b": 2, "a": 3}}]',
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "-Infinity": b"[-Infinity]",
    "a number without end": b'{"a": 1e999}',
    "an integer too long to read": b"1" * 5000,
    "lone high surrogate": b'{"a": "\\ud800"}',
    "lone low surrogate": b'{"a": "\\udfff"}',
    "surrogates the wrong way round": b'{"a": "\\udc00\\ud800"}',
    "lone surrogate in a key": b'{"\\ud800": 1}',
    "raw surrogate bytes": b'{"a": "\xed\xa0\x80"}',
    "NUL in a text": b'{"a": "b\\u0000c"}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "raw NUL": b'{"a": "\x00"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "too deep, arrays": b"[" * 30 + b"]" * 30,
    "too deep, objects": b'{"a":' * 30 + b"1" + b"}" * 30,
    "deeper than the stack": b"[" * 200_000,
    "a trailing comma": b"[1,]",
    "a comment": b'{"a": 1} // no',
    "two documents": b"{}{}",
    "single quotes": b"{'a': 1}",
    "a raw line break in a text": b'{"a": "b\nc"}',
    "nothing but space": b"   ",
    "not finished": b'{"a": ',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_only_python_takes_is_refused(body: bytes) -> None:
    with pytest.raises(BodyNotReadable) as caught:
        parse(body)
    assert caught.value.status == 400


def test_the_depth_that_is_allowed_is_allowed() -> None:
    body = b"[" * (MAX_DEPTH - 1) + b"1" + b"]" * (MAX_DEPTH - 1)
    assert depth(parse(body)) == MAX_DEPTH - 1


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value(number: float) -> None:
    assert math.isclose(parse(repr(number).encode()), number, rel_tol=0, abs_tol=0)
