"""The key ring behind the room's ``Seals``: what is sealed where, bound to what, under which key."""

import base64
import binascii
import hmac
import json
from datetime import UTC, datetime
from uuid import UUID

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from common.ids import pairwise
from common.keys import KeyMissing, KeyRing
from common.sealing import SealBroken, aead_open, aead_seal, blind_index, new_key, seal, unseal
from intake.domain.report import RECORD_VERSION
from intake.domain.seals import Grant, SealedRecord
from intake.errors import ContentNotOpenable

TOKEN_BYTES = 16
"""Half of HMAC-SHA-256 is enough to tell tokens apart, and no easier to guess without the key."""

_GRANT_ALGORITHMS = ["dir", "A256GCM"]
_LONGEST_GRANT = 4096


class Cabinet:
    """Implements ``intake.domain.seals.Seals``. Keys are read when first needed."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def seal_record(self, alert_id: UUID, document: bytes, no: int = 1) -> SealedRecord:
        """AES-256-GCM under the child's own random key; the key wrapped by HPKE to ``content``."""
        key = new_key()
        return SealedRecord(
            version=RECORD_VERSION,
            sealed=aead_seal(key, document, _place("sealed", alert_id, RECORD_VERSION, no)),
            wrapped_key=seal(
                self._keys.sealing_public("content"), key, _place("wrapped_key", alert_id, RECORD_VERSION, no)
            ),
            no=no,
        )

    def open_record(self, alert_id: UUID, record: SealedRecord) -> bytes:
        """Unwrap the key, open the record.

        Raises:
            ContentNotOpenable: this process does not hold ``content``, or the row is not what was sealed.
        """
        try:
            private = self._keys.opening("content")
            key = unseal(
                private, record.wrapped_key, _place("wrapped_key", alert_id, record.version, record.no)
            )
            return aead_open(key, record.sealed, _place("sealed", alert_id, record.version, record.no))
        except (KeyMissing, SealBroken) as error:
            raise ContentNotOpenable from error

    def seal_reporter(self, alert_id: UUID, document: bytes) -> bytes:
        """HPKE to ``reporter``, a key that opens nothing else."""
        place = f"intake/reporter_vault/sealed/{alert_id}".encode()
        return seal(self._keys.sealing_public("reporter"), document, place)

    def seal_reason(self, alert_id: UUID, act: str, reason: str) -> bytes:
        """HPKE to ``reporter``: whoever gives a reason can be known by its words."""
        place = f"intake/{act}/reason/{alert_id}".encode()
        return seal(self._keys.sealing_public("reporter"), reason.encode(), place)

    def seal_routing(self, alert_id: UUID, document: bytes) -> str:
        """HPKE to ``routing``; its private half is at the notifier."""
        sealed = seal(self._keys.sealing_public("routing"), document, str(alert_id).encode())
        return base64.b64encode(sealed).decode()

    def open_grant(self, token: str) -> Grant | None:
        """JWE compact, ``dir`` with ``A256GCM`` under the secret that only notifier and intake hold."""
        if len(token) > _LONGEST_GRANT:
            return None
        key = OctKey.import_key(self._keys.secret("grant"))
        try:
            opened = jwe.decrypt_compact(token, key, algorithms=_GRANT_ALGORITHMS)
            claims = json.loads(opened.plaintext or b"")
            return Grant(
                delivery_id=UUID(claims["delivery"]),
                alert_id=UUID(claims["alert"]),
                agency_id=UUID(claims["agency"]),
                bodies=tuple(str(body) for body in claims["bodies"]),
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except (JoseError, ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
            return None

    def open_denials(self, alert_id: UUID, sealed: str) -> tuple[str, ...]:
        """HPKE under ``denial``, whose private half is here alone."""
        try:
            document = unseal(
                self._keys.opening("denial"), base64.b64decode(sealed, validate=True), str(alert_id).encode()
            )
            return tuple(str(mark) for mark in json.loads(document))
        except (ValueError, TypeError, binascii.Error) as error:
            raise SealBroken from error

    def handle(self, alert_id: UUID, agency_id: UUID) -> UUID:
        """Pairwise id, as the notifier reckons it too."""
        return pairwise(self._keys.secret("pairwise"), alert_id, agency_id)

    def body_digest(self, canonical: bytes) -> bytes:
        """HMAC: a plain hash of a body could be guessed from a list of names."""
        return self._mac(b"body", canonical)

    def repeat_token(self, kind: str, agency_id: UUID, value: str) -> bytes:
        """HMAC, exact to the byte: folding would make two keys one."""
        return self._mac(kind.encode(), agency_id.bytes, value.encode())

    def receipt_token(self, code: str) -> bytes:
        """HMAC of the code as it was given out."""
        return self._mac(b"receipt", code.encode())

    def trace_token(self, kind: str, value: bytes) -> bytes:
        """HMAC: what the gateway hashed once is hashed again, under a key that it does not hold."""
        return self._mac(b"trace", kind.encode(), value)[:TOKEN_BYTES]

    def match_token(self, term: tuple[str, ...]) -> bytes:
        """Blind index under a key of its own purpose."""
        return blind_index(self._keys.secret("match"), *term)[:TOKEN_BYTES]

    def seal_match(self, pair: tuple[UUID, UUID]) -> str:
        """AES-256-GCM under the secret that only notifier and intake hold: nobody else proposes a pair."""
        document = json.dumps([str(each) for each in sorted(pair)])
        sealed = aead_seal(self._keys.secret("grant"), document.encode(), b"match")
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def denial_token(self, alert_id: UUID, mark: str) -> bytes:
        """Another token for every alert: the deny list does not tell who is suspected twice."""
        return self._mac(b"denial", alert_id.bytes, mark.encode())[:TOKEN_BYTES]

    def _mac(self, *parts: bytes) -> bytes:
        mac = hmac.new(self._keys.secret("digest"), digestmod="sha256")
        for part in parts:
            mac.update(len(part).to_bytes(4, "big") + part)
        return mac.digest()


def _place(column: str, alert_id: UUID, version: int, no: int) -> bytes:
    place = f"intake/child_records/{column}/{alert_id}/{version}"
    # The first record's place has no number: it was so before there were corrections.
    return (place if no == 1 else f"{place}/{no}").encode()
