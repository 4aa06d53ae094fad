"""Where a call came from, so that a flood can be told from many people; never an address."""

import hmac
import re
import secrets
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

TOKEN_BYTES = 16
OWN_BITS = 64
"""Of an IPv6 address, as many are given out by somebody else; the rest a host makes up at will."""

_WITH_PORT = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.%]+)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}")


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
        """The same for the same host while this process runs; 32 hexadecimal characters.

        An IPv6 network of 64 bits is one host, an IPv4 address in IPv6 clothes is itself, and whatever is
        no address is one source with everything else that is none.

        Args:
            peer: whoever opened the connection.
            forwarded: every ``X-Forwarded-For`` header, as it came: anybody may have written it.
        """
        told = [part.strip() for header in forwarded for part in header.split(",")]
        address = _plain(peer)
        # From the nearest outward; the first that is not ours is where it came from.
        while told and self._is_ours(address):
            address = _plain(told.pop())
        return hmac.digest(self._key, _host(address).encode(), "sha256")[:TOKEN_BYTES].hex()

    def _is_ours(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _plain(text: str) -> IPv4Address | IPv6Address | None:
    """Some fronts write the port as well: left on, every connection would be a source of its own."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((found["v6"] or found["v4"]) if found else text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _host(address: IPv4Address | IPv6Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), OWN_BITS), strict=False))
    return str(address)
