"""Our own client certificate: read from its files, watched for its end, renewed without a restart."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm


class CertificateUnusable(Exception):
    """Missing, unreadable, not a pair, not valid yet, or expired."""


class Certificate:
    """A chain and its key, as files that somebody else renews."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._seen: tuple[int, int] | None = None
        self._from = self._until = datetime.min.replace(tzinfo=UTC)

    def refresh(self, now: datetime) -> bool:
        """Look at the files again; whether they are others than last time.

        Raises:
            CertificateUnusable: it must not be used now.
        """
        try:
            stamp = (self._chain.stat().st_mtime_ns, self._key.stat().st_mtime_ns)
        except OSError as error:
            self._seen = None
            raise CertificateUnusable from error
        is_new = stamp != self._seen
        if is_new:
            self._seen = None
            self._read()
        if not self._from <= now < self._until:
            raise CertificateUnusable
        self._seen = stamp
        return is_new

    def ends_at(self, now: datetime) -> datetime | None:
        """When it ends; ``None`` when it cannot be used now."""
        try:
            self.refresh(now)
        except CertificateUnusable:
            return None
        return self._until

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let this context show it."""
        context.load_cert_chain(self._chain, self._key)

    def _read(self) -> None:
        try:
            leaf = x509.load_pem_x509_certificates(self._chain.read_bytes())[0]
            # A key that does not belong to it must be found before a connection is made.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(self._chain, self._key, password="")
        except (OSError, ValueError, IndexError, ssl.SSLError, UnsupportedAlgorithm) as error:
            raise CertificateUnusable from error
        self._from, self._until = leaf.not_valid_before_utc, leaf.not_valid_after_utc
