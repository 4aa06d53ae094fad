"""What may be notified: the shape of an address, by kind, and of a receipt key. Nothing is looked up here.

The address that a name resolves to is checked where the socket is opened (notifier), because names
can be pointed elsewhere after registration.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from registry.errors import AddressNotAllowed, DutyHoursInverted, DutyHoursTwice, ReceiptKeyUnreadable

LONGEST = 500
"""Characters of an address."""

KEY_BYTES = 32
"""Bytes of an Ed25519 public key."""

WEBHOOK = "webhook"

SEALED_KINDS = frozenset({"smtp", "sms", "voice", "amqp"})
"""Their addresses are people's mailboxes and telephones, or hold a password: sealed on their way."""

_MAILBOX = re.compile(
    r"mailto:[A-Za-z0-9!#$*+/=^_{|}~-]+(\.[A-Za-z0-9!#$*+/=^_{|}~-]+)*@[a-z0-9.-]+", re.ASCII
)
_TELEPHONE = re.compile(r"tel:\+[1-9][0-9]{6,14}", re.ASCII)
_FOLDER = re.compile(r"folder:[a-z0-9]([a-z0-9-]{0,78}[a-z0-9])?", re.ASCII)
_QUEUE = re.compile(r"queue=[A-Za-z0-9._-]{1,120}", re.ASCII)
_FOREIGN_KIND = re.compile(r"x-[a-z0-9]{1,8}", re.ASCII)
_FOREIGN_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+", re.ASCII)

_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII
)
_LAST_LABEL_NUMERIC = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)", re.ASCII)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class EndpointDraft:
    """An endpoint to be registered, or registered anew.

    Attributes:
        agency: id or code.
        id, replaces: which endpoint, and which version of it, this takes the place of.
        rung: 0 first way, 1 second endpoint, 2 duty phone or SMS.
        hours: weekly windows and exceptions, local time; ``None`` is always.
    """

    agency: str
    kind: str
    url: str
    concurrency: int
    receipt_key: str | None
    id: UUID | None = None
    replaces: int | None = None
    rung: int = 0
    hours: Mapping[str, Any] | None = None


def check_address_of(kind: str, url: str, *, loopback: bool) -> str:
    """Return the address as this kind of channel will use it.

    Raises:
        AddressNotAllowed: not of the form that the kind asks for.
    """
    if kind == WEBHOOK:
        return check_address(url, loopback=loopback)
    if len(url) > LONGEST or not _PRINTABLE.fullmatch(url):
        raise _refused()
    if kind == "amqp":
        return _check_queue(url, loopback=loopback)
    if kind == "smtp":
        if not _MAILBOX.fullmatch(url) or not _HOST_NAME.fullmatch(url.rpartition("@")[2]):
            raise _refused()
        return url
    forms = {"sms": _TELEPHONE, "voice": _TELEPHONE, "file": _FOLDER}
    form = forms.get(kind, _FOREIGN_ADDRESS if _FOREIGN_KIND.fullmatch(kind) else None)
    if form is None or not form.fullmatch(url):
        raise _refused()
    return url


def is_sealed_on_its_way(kind: str) -> bool:
    """Whether an address of this kind travels sealed; of a plug-in's kind we cannot know, so yes."""
    return kind in SEALED_KINDS or kind.startswith("x-")


def _check_queue(url: str, *, loopback: bool) -> str:
    """``amqps://user:password@host[:port]/vhost?queue=name``; without TLS only on this machine."""
    parts, port = _split(url)
    if parts.scheme not in {"amqps", "amqp"} or parts.fragment or not _QUEUE.fullmatch(parts.query):
        raise _refused()
    if port is not None and not 1 <= port <= 65535:
        raise _refused()
    local = _is_loopback(parts.hostname or "")
    if (local and not loopback) or (parts.scheme == "amqp" and not local):
        raise _refused()
    return url


def check_address(url: str, *, loopback: bool) -> str:
    """Return the address as it will be called.

    Args:
        url: what the registrar gave.
        loopback: whether http (or https) to this machine itself is allowed: embedded stack only.

    Raises:
        AddressNotAllowed: not https; a user part, query or fragment; a host that is no plain name or
            IP literal; a loopback, link-local, multicast or unspecified literal.
    """
    if len(url) > LONGEST or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise _refused()
    parts, port = _split(url)
    if (
        parts.scheme not in {"https", "https+mtls", "http"}
        or parts.username is not None
        or parts.password is not None
        or "?" in url
        or "#" in url
    ):
        raise _refused()
    if port is not None and not 1 <= port <= 65535:
        raise _refused()
    local = _is_loopback(parts.hostname or "")
    if local and not loopback:
        raise _refused()
    if parts.scheme == "http" and not local:
        raise _refused()
    return url


def check_receipt_key(key: str) -> str:
    """Return the key as it was given.

    Raises:
        ReceiptKeyUnreadable: not the base64url form of 32 bytes.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}=?", key, re.ASCII):
        raise ReceiptKeyUnreadable(pointer="#/receipt_key")
    try:
        raw = base64.urlsafe_b64decode(key.rstrip("=") + "=")
    except binascii.Error as error:
        raise ReceiptKeyUnreadable(pointer="#/receipt_key") from error
    if len(raw) != KEY_BYTES:
        raise ReceiptKeyUnreadable(pointer="#/receipt_key")
    return key.rstrip("=")


def check_hours(hours: Mapping[str, Any] | None) -> None:
    """Every window must end after it begins, and a date must stand once.

    A night shift is two windows: until ``24:00``, and from ``00:00`` of the next day.

    Raises:
        DutyHoursInverted: a window that is empty or runs backwards.
        DutyHoursTwice: two exceptions for one date.
    """
    if hours is None:
        return
    for place, window in enumerate(hours["weekly"]):
        if window["opens"] >= window["closes"]:
            raise DutyHoursInverted(pointer=f"#/hours/weekly/{place}/closes")
    dates = [each["on"] for each in hours["exceptions"]]
    for place, each in enumerate(hours["exceptions"]):
        if each["on"] in dates[:place]:
            raise DutyHoursTwice(pointer=f"#/hours/exceptions/{place}/on")
        if any(window["opens"] >= window["closes"] for window in each["windows"]):
            raise DutyHoursInverted(pointer=f"#/hours/exceptions/{place}/windows")


def _refused() -> AddressNotAllowed:
    return AddressNotAllowed(pointer="#/url")


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        raise _refused() from error


def _is_loopback(host: str) -> bool:
    """Whether the host is this machine; raises for hosts that are nobody's address."""
    literal = _literal(host)
    if literal is None:
        if not _HOST_NAME.fullmatch(host) or _LAST_LABEL_NUMERIC.fullmatch(host):
            raise _refused()  # "2130706433" and "0x7f.1" are 127.0.0.1 to some resolvers
        return host == "localhost" or host.endswith(".localhost")
    if isinstance(literal, ipaddress.IPv6Address) and literal.ipv4_mapped is not None:
        literal = literal.ipv4_mapped
    if literal.is_loopback:
        return True  # asked first: Python counts ::1 among the reserved ones too
    if literal.is_link_local or literal.is_multicast or literal.is_unspecified or literal.is_reserved:
        raise _refused()
    return False


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
