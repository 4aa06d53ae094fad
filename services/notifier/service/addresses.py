"""Addresses at rest: mailboxes, telephones and passwords stay sealed until the moment of sending."""

import base64
import binascii
from uuid import UUID

from common.keys import KeyRing
from common.sealing import SealBroken, unseal

SEALED = "sealed:"
"""Begins the stored form of an address that the registry sealed for us."""


def stored_address(url: str | None, sealed_url: str | None) -> str:
    """The address as it is stored: in the clear, or as it came."""
    return url if url is not None else f"{SEALED}{sealed_url}"


def open_address(keys: KeyRing, endpoint_id: UUID, stored: str) -> str:
    """The address itself.

    Raises:
        SealBroken: not sealed for us, or for another endpoint.
    """
    if not stored.startswith(SEALED):
        return stored
    try:
        sealed = base64.b64decode(stored.removeprefix(SEALED), validate=True)
    except binascii.Error as error:
        raise SealBroken from error
    return unseal(keys.opening("routing"), sealed, b"endpoint|" + endpoint_id.bytes).decode()
