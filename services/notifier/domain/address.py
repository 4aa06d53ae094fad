"""Which addresses a notice may be sent to: the guard against server-side request forgery.

Judged on the address that is about to be dialled, never on the name: a name can change between two
look-ups. ``ipaddress`` alone is no guard: on Python 3.11 ``is_global`` says yes to NAT64 and 6to4
forms of 127.0.0.1 and ``is_private`` says no to 100.64.0.0/10 (anchors/trust.md T-11), so the
refused ranges are listed here (IANA special-purpose registries, IPv4 and IPv6).
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

UNICAST_V6 = IPv6Network("2000::/3")
"""Everything outside is refused: loopback, link-local, unique-local, multicast, mapped, NAT64, 5f00::/16."""

REFUSED_V6 = tuple(
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)

PORTS = frozenset({80, 443, 8443})
"""Ports that may be dialled outside the allowed networks."""

MAX_URL = 2048

CERTIFIED = "https+mtls"
"""Scheme of an endpoint that must see our certificate: without it nothing is sent."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse CIDR texts.

    Raises:
        ValueError: one of them is no network.
    """
    return tuple(ip_network(text) for text in texts)


def is_allowed(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether ``address`` may be dialled; ``allowed`` networks (embedded: loopback) beat the table."""
    if is_exempt(address, allowed):
        return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_V4)
    if address.scope_id is not None or address not in UNICAST_V6:
        return False
    return not any(address in network for network in REFUSED_V6)


def is_exempt(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether ``address`` is in a network that this installation opened on purpose."""
    return any(address.version == network.version and address in network for network in allowed)


def literal(host: str) -> Address | None:
    """The address that ``host`` spells in its plain form; ``None`` for a name.

    Decimal, octal and short forms (``2130706433``, ``0x7f.1``) are no plain form: they go to the
    resolver like a name, and what comes back is judged.
    """
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_sendable_url(url: str) -> bool:
    """Form of an endpoint's URL: http(s), a host, no user, no fragment, no control characters."""
    if len(url) > MAX_URL or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https", CERTIFIED)
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not parts.fragment
        and port != 0
    )


def may_dial(address: Address, *, scheme: str, port: int, allowed: tuple[Network, ...]) -> bool:
    """The whole rule at connect time: outside the allowed networks only TLS, and only usual ports."""
    if is_exempt(address, allowed):
        return True
    return scheme == "https" and port in PORTS and is_allowed(address)
