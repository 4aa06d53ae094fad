"""What the two sides of a trial know: the agency its ``connected.json``, we the other halves."""

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.jwk import OKPKey

from notifier.domain.channel import ASYMMETRIC

CONNECTED = "connected.json"
SENDER = "sender.json"


@dataclass(frozen=True)
class Kit:
    """Keys and credentials of a trial; none of them is worth anything outside of it.

    Attributes:
        connected: what the receiver is started with, as ``dabyl agency add`` would print it.
        seed: our Ed25519 signing key (v1a).
    """

    connected: dict[str, Any]
    seed: bytes = field(repr=False)

    @property
    def symmetric(self) -> bytes:
        """The signing key of scheme v1."""
        return base64.b64decode(str(self.connected["webhook_secret"]).removeprefix("whsec_"))

    @property
    def asymmetric(self) -> bytes:
        """The signing key of scheme v1a."""
        return ASYMMETRIC + self.seed

    @property
    def receipt_key(self) -> OKPKey:
        """The key that receipts are checked with."""
        return OKPKey.import_key({**self.connected["receipt_key"]})


def make_kit(gateway: str) -> Kit:
    """Fresh keys and credentials."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Kit(
        {
            "agency_id": str(uuid4()),
            "code": "conform",
            "client_id": str(uuid4()),
            "client_secret": base64.urlsafe_b64encode(os.urandom(24)).decode(),
            "endpoint_id": str(uuid4()),
            "webhook_secret": "whsec_" + base64.b64encode(os.urandom(32)).decode(),
            "webhook_public_key": "whpk_" + base64.b64encode(public).decode(),
            "receipt_key": dict(OKPKey.generate_key("Ed25519").as_dict(private=True)),
            "gateway": gateway,
        },
        private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()),
    )


def write_kit(folder: Path, kit: Kit) -> None:
    """Both halves, readable by their owner alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / CONNECTED, json.dumps(kit.connected, indent=2))
    _write(folder / SENDER, json.dumps({"seed": base64.b64encode(kit.seed).decode()}))


def read_kit(folder: Path) -> Kit | None:
    """The kit that was written there, if any."""
    try:
        connected = json.loads((folder / CONNECTED).read_text("utf-8"))
        sender = json.loads((folder / SENDER).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return Kit(connected, base64.b64decode(sender["seed"]))


def _write(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
