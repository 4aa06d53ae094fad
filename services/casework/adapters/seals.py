"""What casework can open and close: assignees sealed by notifier, persons and records sealed by itself."""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict
from uuid import UUID

from casework.domain.case import Employee
from casework.domain.record import Words
from common.keys import KeyRing
from common.sealing import SealBroken, aead_open, aead_seal, seal, unseal


class Seals:
    """The keys ``assignee`` (X25519, private) and ``person`` (AES-256-GCM), read when first needed."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def open_assignees(self, sealed: str, alert_id: UUID) -> Mapping[UUID, UUID]:
        """Who owes which duty: obligation → agency.

        Raises:
            SealBroken: altered, or for another alert.
        """
        try:
            document = unseal(
                self._keys.opening("assignee"),
                base64.b64decode(sealed, validate=True),
                str(alert_id).encode(),
            )
            return {UUID(duty): UUID(agency) for duty, agency in json.loads(document).items()}
        except (ValueError, AttributeError, TypeError, binascii.Error) as error:
            raise SealBroken from error

    def open_shut_out(self, sealed: str, alert_id: UUID) -> tuple[frozenset[UUID], Mapping[UUID, UUID]]:
        """Who must not see the case, and who owes now what they owed: agencies, obligation → agency.

        Raises:
            SealBroken: altered, or for another alert.
        """
        try:
            document = json.loads(
                unseal(
                    self._keys.opening("assignee"),
                    base64.b64decode(sealed, validate=True),
                    str(alert_id).encode(),
                )
            )
            agencies = frozenset(UUID(agency) for agency in document["agencies"])
            return agencies, {UUID(duty): UUID(agency) for duty, agency in document["assignees"].items()}
        except (ValueError, AttributeError, TypeError, KeyError, binascii.Error) as error:
            raise SealBroken from error

    def seal(self, employee: Employee, place: UUID) -> bytes:
        """For the appointment with this id."""
        document = json.dumps({"name": employee.name, "position": employee.position}, ensure_ascii=False)
        return aead_seal(self._keys.secret("person"), document.encode(), _aad(place))

    def unseal(self, sealed: bytes, place: UUID) -> Employee:
        """From the appointment with this id.

        Raises:
            SealBroken: altered, or from another row.
        """
        return Employee(**json.loads(aead_open(self._keys.secret("person"), sealed, _aad(place))))

    def seal_words(self, words: Words, place: UUID) -> bytes:
        """For the record with this id."""
        document = json.dumps(asdict(words), ensure_ascii=False)
        return aead_seal(self._keys.secret("person"), document.encode(), _words_aad(place))

    def unseal_words(self, sealed: bytes, place: UUID) -> Words:
        """From the record with this id.

        Raises:
            SealBroken: altered, or from another row.
        """
        return Words(**json.loads(aead_open(self._keys.secret("person"), sealed, _words_aad(place))))

    def seal_body(self, agency: UUID, place: UUID) -> str:
        """HPKE to ``routing``: an agency's id can point at a school; only notifier reads it."""
        document = json.dumps({"agency": str(agency)}).encode()
        sealed = seal(self._keys.sealing_public("routing"), document, str(place).encode())
        return base64.b64encode(sealed).decode()

    def open_passed(self, sealed: str, alert_id: UUID) -> tuple[UUID, Mapping[str, UUID]]:
        """Which body is retired, and who takes its place by role.

        Raises:
            SealBroken: altered, or for another alert.
        """
        try:
            document = json.loads(
                unseal(
                    self._keys.opening("assignee"),
                    base64.b64decode(sealed, validate=True),
                    str(alert_id).encode(),
                )
            )
            return UUID(document["former"]), {role: UUID(heir) for role, heir in document["heirs"].items()}
        except (ValueError, AttributeError, TypeError, KeyError, binascii.Error) as error:
            raise SealBroken from error

    def open_explanation(self, sealed: str, alert_id: UUID, statement_id: UUID) -> str:
        """What a body says of a breach.

        Raises:
            SealBroken: altered, or another statement.
        """
        try:
            document = unseal(
                self._keys.opening("assignee"),
                base64.b64decode(sealed, validate=True),
                str(alert_id).encode() + statement_id.bytes,
            )
            return str(json.loads(document)["reason"])
        except (ValueError, TypeError, KeyError, binascii.Error) as error:
            raise SealBroken from error

    def seal_reason(self, reason: str, place: UUID) -> bytes:
        """For the explanation with this id."""
        return aead_seal(self._keys.secret("person"), reason.encode(), _reason_aad(place))

    def unseal_reason(self, sealed: bytes, place: UUID) -> str:
        """From the explanation with this id.

        Raises:
            SealBroken: altered, or from another row.
        """
        return aead_open(self._keys.secret("person"), sealed, _reason_aad(place)).decode()

    def token(self, document: bytes) -> bytes:
        """HMAC-SHA-256: a plain hash of a record could be guessed from a list of names."""
        return hmac.digest(self._keys.secret("person"), b"records.token|" + document, "sha256")


def _words_aad(place: UUID) -> bytes:
    return f"casework.records.sealed|{place}".encode()


def _reason_aad(place: UUID) -> bytes:
    return f"casework.explanations.sealed|{place}".encode()


def _aad(place: UUID) -> bytes:
    return f"casework.appointments.person|{place}".encode()
