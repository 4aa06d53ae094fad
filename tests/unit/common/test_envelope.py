"""CloudEvents on the wire: what goes out comes back, anything else is refused by one name."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import REGISTRY
from common.contracts.intake import ContentOpened
from common.envelope import Envelope, UnreadableEvent, decode, encode

AT = datetime(2026, 10, 23, 10, 0, 0, 123456, tzinfo=UTC)
EVENT = ContentOpened(delivery_id=UUID(int=5), opened_at=AT, person="client-1")
GOOD = Envelope(
    UUID(int=7), EVENT, AT, UUID(int=9), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)


def test_what_is_encoded_is_decoded() -> None:
    assert decode(encode(GOOD)) == GOOD
    bare = Envelope(uuid4(), EVENT, AT, uuid4(), None)
    assert decode(encode(bare)) == bare


def test_the_form_is_cloudevents_structured() -> None:
    on_wire = json.loads(encode(GOOD))
    assert on_wire["specversion"] == "1.0"
    assert on_wire["source"] == "/intake"
    assert on_wire["type"] in REGISTRY
    assert on_wire["dataschema"].endswith(f"/{on_wire['type']}.json")
    assert on_wire["data"]["person"] == "client-1"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "kz.dabyl.content.opened.v9"}, {"type": 7}, {"id": "not-a-uuid"}, {"subject": "x"},
        {"time": "noon"}, {"time": "2026-10-23T10:00:00"}, {"data": {}}, {"data": None}, {"data": "text"},
        {"specversion": "0.3"},
        {"data": {**EVENT.model_dump(mode="json"), "child": "Canary"}}, {"data": [1]},
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_unreadable(change: dict[str, Any]) -> None:
    with pytest.raises(UnreadableEvent):
        decode(json.dumps({**json.loads(encode(GOOD)), **change}).encode())


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion", "time", "subject", "data"])
def test_every_part_is_needed(missing: str) -> None:
    on_wire = json.loads(encode(GOOD))
    del on_wire[missing]
    with pytest.raises(UnreadableEvent):
        decode(json.dumps(on_wire).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(encode(GOOD)))), JSON)
def test_whatever_stands_in_its_place_it_is_read_or_unreadable(name: str, value: Any) -> None:
    body = json.dumps({**json.loads(encode(GOOD)), name: value}).encode()
    with suppress(UnreadableEvent):
        decode(body)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_noise_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        decode(body)
