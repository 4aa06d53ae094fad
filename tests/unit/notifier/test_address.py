"""Addresses that no notice may be sent to, incl. those Python 3.11 gets wrong (trust T-11)."""

from ipaddress import ip_address

import pytest

from notifier.domain.address import is_allowed, is_sendable_url, literal, may_dial, networks

REFUSED = [
    "0.0.0.0",  # noqa: S104  # looked at, not bound
    "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.170", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::",
    "2002:808:808::1", "3fff::1", "3fff:fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "2001:4:112::1", "2620:4f:8000::1",
]  # fmt: skip

ALLOWED = [
    "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1",
    "198.17.255.255", "198.20.0.1", "223.255.255.255", "2001:4860:4860::8888", "2606:4700:4700::1111",
    "2a00:1450::1",
]  # fmt: skip

LOOPBACK = networks(["127.0.0.0/8", "::1/128"])


@pytest.mark.parametrize("address", REFUSED)
def test_special_purpose_addresses_are_refused(address: str) -> None:
    assert not is_allowed(ip_address(address))


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(ip_address(address))


def test_an_opened_network_opens_only_itself() -> None:
    assert is_allowed(ip_address("127.0.0.1"), LOOPBACK)
    assert is_allowed(ip_address("::1"), LOOPBACK)
    assert not is_allowed(ip_address("10.0.0.1"), LOOPBACK)
    assert not is_allowed(ip_address("::ffff:127.0.0.1"), LOOPBACK)
    assert not is_allowed(ip_address("64:ff9b::7f00:1"), LOOPBACK)


@pytest.mark.parametrize(
    ("scheme", "port", "dialled"),
    [("https", 443, True), ("http", 80, False), ("https", 22, False), ("https", 8443, True)],
)
def test_outside_only_tls_on_usual_ports(scheme: str, port: int, dialled: bool) -> None:
    assert may_dial(ip_address("8.8.8.8"), scheme=scheme, port=port, allowed=LOOPBACK) is dialled


def test_an_opened_network_may_be_dialled_on_any_port_in_the_clear() -> None:
    assert may_dial(ip_address("127.0.0.1"), scheme="http", port=9999, allowed=LOOPBACK)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "example.kz"])
def test_only_the_plain_form_is_a_literal(host: str) -> None:
    assert literal(host) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "::1"])
def test_the_plain_form_is_seen(host: str) -> None:
    address = literal(host)
    assert address is not None
    assert address.is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.kz/", "https:///x", "https://user@example.kz/", "https://user:pw@example.kz/",
        "//example.kz", "https://example.kz/#f", "https://example.kz/\r\nX: y", "https://exa mple.kz/",
        "javascript:alert(1)", "",
        "https://example.kz:99999/", "https://example.kz:0/", "https://[::1/", "https://e.kz/" + "a" * 3000,
    ],
)  # fmt: skip
def test_unsendable_urls(url: str) -> None:
    assert not is_sendable_url(url)


@pytest.mark.parametrize(
    "url", ["https://example.kz/hook", "http://127.0.0.1:8081/a?b=c", "https://[2a00::1]:8443/"]
)
def test_sendable_urls(url: str) -> None:
    assert is_sendable_url(url)
