"""Where a call without a token came from, so that a flood can be told from many people; never an address."""

import hmac
import secrets
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

TOKEN_BYTES = 16


class Sources:
    """Hashes addresses under a key that lives in this process only: after a restart nobody can match them."""

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        """``trusted_proxies``: networks of our own front servers, whose ``X-Forwarded-For`` is believed.

        Raises:
            ValueError: not a network.
        """
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(each) for each in trusted_proxies]
        self._key = secrets.token_bytes(32)

    def token(self, peer: str, forwarded: Sequence[str] = ()) -> str:
        """The same for the same address while this process runs; 32 hexadecimal characters.

        Args:
            peer: whoever opened the connection.
            forwarded: every ``X-Forwarded-For`` header, as it came: anybody may have written it.
        """
        told = [part.strip() for header in forwarded for part in header.split(",")]
        address = peer
        # From the nearest outward; the first that is not ours is where it came from.
        while told and self._is_ours(address):
            address = told.pop()
        return hmac.digest(self._key, address[:64].encode(), "sha256")[:TOKEN_BYTES].hex()

    def _is_ours(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._trusted)
