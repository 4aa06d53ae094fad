"""Addresses and signing keys at rest: sealed until the moment of sending."""

import base64
import binascii
from collections.abc import Callable, Collection
from uuid import UUID

from common.keys import KeyRing
from common.sealing import SealBroken, unseal
from common.telemetry import log

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


def open_keys(
    open_one: Callable[[int, bytes], bytes], endpoint_id: UUID, sealed: Collection[tuple[int, bytes]]
) -> tuple[bytes, ...]:
    """Those of an endpoint's signing keys that can be opened: one that cannot keeps no other from signing.

    Raises:
        SealBroken: there are some, and none can be opened.
    """
    opened: list[bytes] = []
    for no, each in sealed:
        try:
            opened.append(open_one(no, each))
        except SealBroken:
            log.warning("key_not_opened", endpoint_id=str(endpoint_id), no=no)
    if sealed and not opened:
        raise SealBroken
    return tuple(opened)
