"""Grants and addresses in notices, and what is sealed at rest."""

import base64
import json
import os
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

GRANT_LIFETIME = timedelta(days=90)
"""Longer than any clock of the joint order; intake's own deny list ends a grant sooner."""

_HEADER = {"alg": "dir", "enc": "A256GCM"}


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_PROTECTED = _b64(json.dumps(_HEADER, separators=(",", ":")).encode())


def mint_grant(
    key: bytes, *, delivery_id: UUID, alert_id: UUID, agency_id: UUID, bodies: tuple[str, ...], now: datetime
) -> str:
    """A JWE (RFC 7516 compact, ``dir`` with ``A256GCM``) that intake opens: whose eyes, which alert.

    Written out here rather than by the JOSE library: one is made for every delivery, and the compact
    form of ``dir`` is one AEAD call. Reading it stays with the library, so the two check each other.
    """
    claims = {
        "delivery": str(delivery_id),
        "alert": str(alert_id),
        "agency": str(agency_id),
        "bodies": list(bodies),
        "iat": int(now.timestamp()),
        "exp": int((now + GRANT_LIFETIME).timestamp()),
    }
    nonce = os.urandom(12)
    text = json.dumps(claims, separators=(",", ":")).encode()
    sealed = AESGCM(key).encrypt(nonce, text, _PROTECTED.encode())
    return f"{_PROTECTED}..{_b64(nonce)}.{_b64(sealed[:-16])}.{_b64(sealed[-16:])}"


def key_aad(endpoint_id: UUID, no: int) -> bytes:
    """Binds a sealed signing key to its row."""
    return b"endpoint_keys.sealed|" + endpoint_id.bytes + no.to_bytes(4, "big")


def receipt_aad(delivery_id: UUID) -> bytes:
    """Binds a sealed receipt to its row."""
    return b"receipts.sealed|" + delivery_id.bytes
