"""Sealing: HPKE to a public key (no call, no secret needed) and AES-256-GCM under a key of our own.

RFC 9180 suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The associated data binds a
sealing to its place: moved to another row or column, it does not open.
"""

import hmac
import os
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_INFO = b"kz.dabyl.sealing.v1"


class SealBroken(Exception):
    """What was opened is not what was sealed, or not for this place or key."""


def seal(public: X25519PublicKey, plaintext: bytes, aad: bytes) -> bytes:
    """Seal for the holder of the private key; ``aad`` is bound into the key schedule's info."""
    return _SUITE.encrypt(plaintext, public, _INFO + b"\x00" + aad)


def unseal(private: X25519PrivateKey, sealed: bytes, aad: bytes) -> bytes:
    """Open what ``seal`` made.

    Raises:
        SealBroken: altered, for another key, or for another place.
    """
    try:
        return _SUITE.decrypt(sealed, private, _INFO + b"\x00" + aad)
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error


def new_key() -> bytes:
    """A random 256-bit key."""
    return AESGCM.generate_key(256)


def aead_seal(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """AES-256-GCM; the result starts with its random 96-bit nonce."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def aead_open(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Open what ``aead_seal`` made.

    Raises:
        SealBroken: altered, for another key, or for another place.
    """
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error


def blind_index(key: bytes, *parts: str) -> bytes:
    """Keyed token of the parts, equal for equal parts after NFKC and case folding.

    A plain hash of a name or number could be guessed from a list; this one cannot without the key.
    Each part is length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    mac = hmac.new(key, digestmod="sha256")
    for part in parts:
        folded = unicodedata.normalize("NFKC", part).casefold().encode()
        mac.update(len(folded).to_bytes(4, "big") + folded)
    return mac.digest()
