"""What is sealed opens for its key and in its place only."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import pairwise
from common.keys import KeyRing
from common.sealing import SealBroken, aead_open, aead_seal, blind_index, new_key, seal, unseal


@pytest.mark.parametrize("name", ["content", "reporter", "denial", "routing", "assignee"])
def test_sealing_needs_no_secret_and_opening_does(keys: KeyRing, name: str) -> None:
    sealed = seal(keys.sealing_public(name), b"a name", b"alerts.child:1")
    assert b"a name" not in sealed
    assert unseal(keys.opening(name), sealed, b"alerts.child:1") == b"a name"


def test_a_sealing_moved_to_another_place_does_not_open(keys: KeyRing) -> None:
    sealed = seal(keys.sealing_public("content"), b"x", b"alerts.child:1")
    for place in (b"alerts.child:2", b"alerts.narrative:1", b""):
        with pytest.raises(SealBroken):
            unseal(keys.opening("content"), sealed, place)
    with pytest.raises(SealBroken):
        unseal(keys.opening("reporter"), sealed, b"alerts.child:1")


@given(st.binary(max_size=100), st.binary(max_size=40), st.integers(0, 10_000), st.integers(0, 7))
def test_one_changed_bit_is_noticed(plaintext: bytes, place: bytes, position: int, bit: int) -> None:
    key = new_key()
    sealed = bytearray(aead_seal(key, plaintext, place))
    assert aead_open(key, bytes(sealed), place) == plaintext
    sealed[position % len(sealed)] ^= 1 << bit
    with pytest.raises(SealBroken):
        aead_open(key, bytes(sealed), place)


@given(st.binary(max_size=60))
def test_what_was_never_sealed_does_not_open(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        aead_open(bytes(32), noise, b"")


@given(st.binary(max_size=120))
def test_what_was_never_sealed_for_a_key_does_not_open(keys: KeyRing, noise: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(keys.opening("content"), noise, b"")


def test_the_same_plaintext_never_looks_the_same() -> None:
    key = new_key()
    assert len({aead_seal(key, b"same", b"") for _ in range(200)}) == 200


def test_a_blind_index_is_equal_for_equal_names_and_needs_the_key() -> None:
    key = new_key()
    assert blind_index(key, "Әйгерім", "2014-05-01") == blind_index(key, "ӘЙГЕРІМ", "2014-05-01")
    assert blind_index(key, "Ａ") == blind_index(key, "a")
    assert blind_index(key, "ab", "c") != blind_index(key, "a", "bc")
    assert blind_index(key, "a") != blind_index(new_key(), "a")


def test_two_agencies_cannot_link_their_ids_of_one_alert() -> None:
    key, alert, one, other = new_key(), uuid4(), uuid4(), uuid4()
    mine = pairwise(key, alert, one)
    assert mine == pairwise(key, alert, one)
    assert len({mine, pairwise(key, alert, other), pairwise(new_key(), alert, one), alert}) == 4
    assert mine.version == 4
