"""What the room needs from whoever holds the keys."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A child's record under a key of its own, and that key wrapped for the holder of ``content``.

    ``version`` is that of the form, ``no`` counts the corrections; the seal is bound to both.
    """

    version: int
    sealed: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    no: int = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """What a notice allows: to read the content of one delivery until ``expires_at``.

    Attributes:
        bodies: role codes under which the agency was told.
    """

    delivery_id: UUID
    alert_id: UUID
    agency_id: UUID
    bodies: tuple[str, ...]
    expires_at: datetime


class Seals(Protocol):
    """Sealing needs no private key and no call; opening does. Tokens are keyed: no list can guess them."""

    def seal_record(self, alert_id: UUID, document: bytes, no: int = 1) -> SealedRecord:
        """Seal a child's record under a fresh key, bound to its place."""

    def open_record(self, alert_id: UUID, record: SealedRecord) -> bytes:
        """The record again; raises ``ContentNotOpenable`` when the key is not here."""

    def seal_reporter(self, alert_id: UUID, document: bytes) -> bytes:
        """Seal for the reporter vault."""

    def seal_reason(self, alert_id: UUID, act: str, reason: str) -> bytes:
        """Seal a reporter's words for the reporter vault; ``act`` names what they are about."""

    def seal_routing(self, alert_id: UUID, document: bytes) -> str:
        """Seal for the notifier; base64."""

    def open_grant(self, token: str) -> Grant | None:
        """The grant that a notice carried, or ``None`` for anything else."""

    def open_denials(self, alert_id: UUID, sealed: str) -> tuple[str, ...]:
        """Marks of those who are shut out, as notifier sealed them; raises ``SealBroken``."""

    def handle(self, alert_id: UUID, agency_id: UUID) -> UUID:
        """The id under which this agency knows this alert."""

    def body_digest(self, canonical: bytes) -> bytes:
        """Keyed digest of a body."""

    def repeat_token(self, kind: str, agency_id: UUID, value: str) -> bytes:
        """Keyed token of an idempotency key or a reference of one agency."""

    def receipt_token(self, code: str) -> bytes:
        """Keyed token of a receipt code: the code itself is never stored."""

    def trace_token(self, kind: str, value: bytes) -> bytes:
        """Keyed token of where a public report came from, or of its words."""

    def match_token(self, term: tuple[str, ...]) -> bytes:
        """Keyed token of a match term."""

    def seal_match(self, pair: tuple[UUID, UUID]) -> str:
        """Two alerts that share a term, for notifier to believe."""

    def denial_token(self, alert_id: UUID, mark: str) -> bytes:
        """Keyed token of somebody who is shut out of one alert."""
