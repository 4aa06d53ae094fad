"""The key ring: one file a key, so that a container mounts only the keys it may hold.

Signing keys are Ed25519 (RFC 8037), sealing keys X25519, secrets 32 random bytes. Private files are
0600. A KMS takes this class's place behind the same methods.
"""

import base64
import contextlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

SIGNING = ("gateway", "issuer", "intake", "notifier", "casework", "registry", "audit")
"""Every service signs its own calls; ``issuer`` signs access tokens (gateway), ``audit`` seals (notifier)."""

SEALING = ("content", "reporter", "denial", "routing", "assignee")
"""Private halves: content, reporter and denial at intake, routing at notifier, assignee at casework."""

SECRETS = ("grant", "pairwise", "match", "digest", "vault", "person")
"""grant, pairwise: intake and notifier · match, digest: intake · vault: notifier · person: casework."""

SERVICES = ("intake", "notifier", "casework", "registry", "gateway")
HOLDERS: dict[str, tuple[str, ...]] = {
    "content.sealing.key": ("intake",),
    "reporter.sealing.key": ("intake",),
    "denial.sealing.key": ("intake",),
    "routing.sealing.key": ("notifier",),
    "assignee.sealing.key": ("casework",),
    "issuer.signing.key": ("gateway",),
    "audit.signing.key": ("notifier",),
    "grant.secret": ("intake", "notifier"),
    "pairwise.secret": ("intake", "notifier"),
    "match.secret": ("intake",),
    "digest.secret": ("intake",),
    "vault.secret": ("notifier",),
    "person.secret": ("casework",),
    **{f"{service}.signing.key": (service,) for service in SERVICES},
    **{f"{name}.signing.pub": SERVICES for name in SIGNING},
    **{f"{name}.sealing.pub": SERVICES for name in SEALING},
    "audit.signing.pub": ("notifier",),
}
"""Every key of a ring, and which services hold it: what each is given, and asks for before it starts."""


class KeyMissing(Exception):
    """This process was not given that key."""


class KeyRing:
    """Keys of one folder, read when first asked for and then kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signing = cache(self._signing)
        self.verifying = cache(self._verifying)
        self.opening = cache(self._opening)
        self.sealing_public = cache(self._sealing_public)
        self.secret = cache(self._secret)

    @classmethod
    def create(cls, folder: Path) -> "KeyRing":
        """Make every key that is not there yet; existing ones stay."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in SIGNING:
            _write_pair(folder / f"{name}.signing", Ed25519PrivateKey.generate)
        for name in SEALING:
            _write_pair(folder / f"{name}.sealing", X25519PrivateKey.generate)
        for name in SECRETS:
            _write(folder / f"{name}.secret", base64.b64encode(os.urandom(32)))
        return cls(folder)

    def list_missing(self, service: str) -> list[str]:
        """Keys of ``HOLDERS`` that ``service`` must hold and that are not here, or are no such keys."""
        return [
            file
            for file, services in sorted(HOLDERS.items())
            if service in services and not self._is_here(file)
        ]

    def _is_here(self, file: str) -> bool:
        name, _, kind = file.partition(".")
        read: dict[str, Callable[[str], object]] = {
            "signing.key": self.signing,
            "signing.pub": self.verifying,
            "sealing.key": self.opening,
            "sealing.pub": self.sealing_public,
            "secret": self.secret,
        }
        try:
            read[kind](name)
        except (KeyMissing, ValueError, TypeError, UnsupportedAlgorithm):
            return False
        return True

    def _read(self, file: str) -> bytes:
        try:
            return (self.folder / file).read_bytes()
        except OSError as error:
            raise KeyMissing(file) from error

    def _signing(self, name: str) -> Ed25519PrivateKey:
        key = load_pem_private_key(self._read(f"{name}.signing.key"), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyMissing(name)
        return key

    def _verifying(self, name: str) -> Ed25519PublicKey:
        key = load_pem_public_key(self._read(f"{name}.signing.pub"))
        if not isinstance(key, Ed25519PublicKey):
            raise KeyMissing(name)
        return key

    def _opening(self, name: str) -> X25519PrivateKey:
        key = load_pem_private_key(self._read(f"{name}.sealing.key"), None)
        if not isinstance(key, X25519PrivateKey):
            raise KeyMissing(name)
        return key

    def _sealing_public(self, name: str) -> X25519PublicKey:
        key = load_pem_public_key(self._read(f"{name}.sealing.pub"))
        if not isinstance(key, X25519PublicKey):
            raise KeyMissing(name)
        return key

    def _secret(self, name: str) -> bytes:
        secret = base64.b64decode(self._read(f"{name}.secret"))
        if len(secret) != 32:
            raise KeyMissing(name)
        return secret


def _write(file: Path, content: bytes, mode: int = 0o600) -> None:
    if file.exists():
        return
    # Written aside and renamed: a process killed half-way must not leave half a key.
    aside = file.with_suffix(f"{file.suffix}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fsync(stream.fileno())
    # A link, not a rename: of two processes that start at once, the second must take the first one's key.
    with contextlib.suppress(FileExistsError):
        os.link(aside, file)
    aside.unlink()


def _write_pair(stem: Path, generate: Callable[[], Ed25519PrivateKey | X25519PrivateKey]) -> None:
    private_file = stem.with_name(stem.name + ".key")
    if not private_file.exists():
        private = generate()
        _write(private_file, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    loaded = load_pem_private_key(private_file.read_bytes(), None)
    public = loaded.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(stem.with_name(stem.name + ".pub"), public, 0o644)
