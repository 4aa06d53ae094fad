"""Standard Webhooks over aiohttp: signed, no redirects, no cookies, capped answers, guarded addresses.

``traceparent`` never leaves: it would let agencies link what they are told (architecture §2.10).
"""

import asyncio
import base64
import hmac
import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.waiting import on_a_thread
from notifier.adapters.certificate import Certificate, CertificateUnusable
from notifier.adapters.names import Resolver
from notifier.domain.address import CERTIFIED, Network, is_sendable_url, may_dial
from notifier.domain.channel import ASYMMETRIC, Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome

ANSWER_BYTES = 1024
"""So much of an answer is read to keep its connection usable; nothing of it is kept."""
ASYMMETRIC_BYTES = len(ASYMMETRIC) + 32
KEPT_ALIVE_SECONDS = 20.0
NAME_SECONDS = 5
"""So long an address stands for a name: attempts that leave together ask once."""
MAX_HEADER_BYTES = 8190
MAX_RETRY_AFTER = timedelta(days=30)
USER_AGENT = "dabyl/1"


_CLOSING: set[asyncio.Future[None]] = set()


class AddressForbidden(OSError):
    """The name led to an address that we never dial."""

    def __init__(self) -> None:
        # One text for all: when every address of a name is refused, the dialler hands on the first error.
        super().__init__("address not allowed")


class Webhook:
    """The push channel.

    Args:
        allowed: networks that may be dialled although they are special, in the clear and on any port
            (loopback in the embedded stack).
        certificate: ours, for endpoints that must see one; without it they are not sent to.
        trust: makes the context that believes servers' certificates; tests hand in their own.
    """

    def __init__(
        self,
        *,
        allowed: tuple[Network, ...] = (),
        certificate: Certificate | None = None,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._allowed = allowed
        self._certificate = certificate
        self._trust = trust
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._stale: list[aiohttp.ClientSession] = []
        self._context: ssl.SSLContext | None = None
        self._looking: asyncio.Task[None] | None = None

    # Every way in which a request can end is an outcome of its own.
    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:  # noqa: PLR0911  # see above
        """POST the notice once. What the other side does is an outcome, never an exception."""
        if not parcel.keys or not is_sendable_url(parcel.url):
            return Answer(Outcome.UNSENDABLE)
        scheme = parcel.url.partition(":")[0].lower()
        url = parcel.url
        clock = asyncio.get_running_loop().time
        ends = clock() + parcel.timeout.total_seconds()
        if scheme == CERTIFIED:
            is_shown = await self._show_certificate(parcel.timeout, now=now)
            # Another look may just have found it unusable; and no time left would be no limit for the client.
            if not is_shown or self._context is None or clock() >= ends:
                return Answer(Outcome.NO_CERTIFICATE)
            url = f"https{parcel.url[len(CERTIFIED) :]}"
        progress = SimpleNamespace(is_sent=False)
        session = self._session(scheme)
        try:
            async with session.post(
                url,
                data=parcel.body,
                headers=signed_headers(parcel, now=now),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=ends - clock()),
                trace_request_ctx=progress,
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
            ) as answer:
                await _drain(answer)
                return judge(answer.status, answer.headers, now=now)
        except aiohttp.ClientConnectorError as error:
            is_forbidden = isinstance(error.os_error, AddressForbidden)
            return Answer(Outcome.FORBIDDEN_ADDRESS if is_forbidden else Outcome.UNREACHABLE)
        except aiohttp.InvalidURL:
            return Answer(Outcome.UNSENDABLE)
        except aiohttp.ClientResponseError:
            return Answer(Outcome.FAILED)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return Answer(Outcome.NO_ANSWER if progress.is_sent else Outcome.UNREACHABLE)

    async def close(self) -> None:
        """Give connections back."""
        for session in (*self._sessions.values(), *self._stale):
            await session.close()
        self._sessions.clear()
        self._stale.clear()

    def _close_stale(self, session: aiohttp.ClientSession) -> None:
        if session in self._stale:
            self._stale.remove(session)
            closing = asyncio.ensure_future(session.close())
            _CLOSING.add(closing)
            closing.add_done_callback(_CLOSING.discard)

    async def _show_certificate(self, within: timedelta, *, now: datetime) -> bool:
        """Whether our certificate can be shown now; a renewed one is taken without a restart.

        Its files may lie on a mount that is away: one look serves all who wait, and none waits longer than
        its attempt may take.
        """
        if self._certificate is None:
            return False
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(self._certificate, now))
            self._looking.add_done_callback(_heard)
        try:
            async with asyncio.timeout(within.total_seconds()):
                await asyncio.shield(self._looking)
        except (CertificateUnusable, TimeoutError):
            return False
        return True

    async def _look(self, certificate: Certificate, now: datetime) -> None:
        try:
            context = await on_a_thread(self._renewed, certificate, now, is_known=self._context is not None)
        except CertificateUnusable:
            self._context = None  # whatever comes next is loaded anew
            raise
        if context is None:
            return
        self._context = context
        stale = self._sessions.pop(CERTIFIED, None)
        if stale is not None:
            # Attempts under way end by their own time; a closed session would tear them.
            self._stale.append(stale)
            asyncio.get_running_loop().call_later(KEPT_ALIVE_SECONDS * 2, self._close_stale, stale)

    def _renewed(self, certificate: Certificate, now: datetime, *, is_known: bool) -> ssl.SSLContext | None:
        """A context that shows it, when it is another than the one that is known; blocks."""
        if not certificate.refresh(now) and is_known:
            return None
        context = self._trust()
        try:
            certificate.load_into(context)
        except (OSError, ValueError) as error:  # replaced since it was looked at
            raise CertificateUnusable from error
        return context

    def _session(self, scheme: str) -> aiohttp.ClientSession:
        session = self._sessions.get(scheme)
        if session is None:
            context = self._trust() if scheme != CERTIFIED or self._context is None else self._context
            session = self._sessions[scheme] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=context,
                    limit=0,  # lanes bound what is in flight
                    # One lookup for all that wait for a name. Who dials judges the address each time.
                    ttl_dns_cache=NAME_SECONDS,
                    resolver=Resolver(),
                    keepalive_timeout=KEPT_ALIVE_SECONDS,
                    socket_factory=self._dialler("https" if scheme == CERTIFIED else scheme),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # nobody unpacks a bomb
                trust_env=False,
                trace_configs=[_watch_sending()],
                headers={"User-Agent": USER_AGENT},
            )
        return session

    def _dialler(self, scheme: str) -> Any:
        """Makes the socket for one address, and is so the last to see which one is really dialled."""

        def make(info: Any) -> socket.socket:
            family, kind, protocol, _, target = info
            try:
                address = ip_address(target[0])
            except ValueError:
                # Decimal or short forms reach this place unresolved; the system would read them as addresses.
                raise AddressForbidden from None
            if len(target) > 3 and target[3]:
                raise AddressForbidden
            if not may_dial(address, scheme=scheme, port=int(target[1]), allowed=self._allowed):
                raise AddressForbidden
            return socket.socket(family, kind, protocol)

        return make


def make(outfit: Outfit) -> Webhook:
    """The plug-in ``webhook``."""
    chain, key = outfit.settings.get("client_certificate"), outfit.settings.get("client_key")
    certificate = Certificate(Path(chain), Path(key)) if chain and key else None
    return Webhook(allowed=outfit.allowed, certificate=certificate)


def signed_headers(parcel: Parcel, *, now: datetime) -> dict[str, str]:
    """Standard Webhooks headers; one signature a key, so that a key can be replaced without a gap."""
    stamp = str(int(now.timestamp()))
    content = f"{parcel.delivery_id}.{stamp}.".encode() + parcel.body
    return {
        "Content-Type": "application/json",
        "webhook-id": str(parcel.delivery_id),
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(key, content) for key in parcel.keys),
    }


def _signature(key: bytes, content: bytes) -> str:
    """By the scheme of the key: v1 is HMAC-SHA256, v1a is Ed25519."""
    if len(key) == ASYMMETRIC_BYTES and key.startswith(ASYMMETRIC):
        signed = Ed25519PrivateKey.from_private_bytes(key.removeprefix(ASYMMETRIC)).sign(content)
        return f"v1a,{base64.b64encode(signed).decode()}"
    return f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}"


def judge(status: int, headers: Mapping[str, str], *, now: datetime) -> Answer:
    """What an HTTP answer means."""
    wish = retry_after(headers.get("Retry-After"), now=now)
    if 200 <= status < 300:
        return Answer(Outcome.ACCEPTED, status)
    if 300 <= status < 400:
        return Answer(Outcome.REDIRECTED, status)
    if status == 410:
        return Answer(Outcome.GONE, status)
    if status == 429 or (status == 503 and wish is not None):
        return Answer(Outcome.THROTTLED, status, wish)
    return Answer(Outcome.REFUSED if 400 <= status < 500 else Outcome.FAILED, status)


def retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """``Retry-After`` in either form (RFC 9110 §10.2.3); the past and the unreadable are nothing."""
    if value is None:
        return None
    text = value.strip()
    try:
        if text.isascii() and text.isdigit():
            wish = timedelta(seconds=int(text[:12]))
        else:
            moment = parsedate_to_datetime(text)
            wish = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(wish, MAX_RETRY_AFTER) if wish > timedelta(0) else None


def _heard(look: asyncio.Task[None]) -> None:
    """Whoever waited for it may have gone before it ended."""
    if not look.cancelled():
        look.exception()


async def _drain(answer: aiohttp.ClientResponse) -> None:
    """Read a little, so that the connection can be used again; a longer answer costs it."""
    try:
        await answer.content.read(ANSWER_BYTES)
        if not answer.content.at_eof():
            answer.close()
    except (aiohttp.ClientError, OSError):
        answer.close()


def _watch_sending() -> aiohttp.TraceConfig:
    """Note when a request begins to leave: after that, silence is no proof that they do not have it."""
    trace = aiohttp.TraceConfig()

    async def sent(_session: Any, context: Any, _params: Any) -> None:
        context.trace_request_ctx.is_sent = True

    trace.on_request_headers_sent.append(sent)
    return trace
