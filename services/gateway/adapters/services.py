"""The services behind the gateway, over HTTP with aiohttp (stack.md: httpx costs 1–3 ms of CPU a request)."""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping

import aiohttp
from opentelemetry.trace import SpanKind
from yarl import URL

from common.identity import Principal, ServiceTokens
from common.telemetry import Telemetry, current_traceparent, log
from common.timing import Now
from gateway.domain.identity import Bearer
from gateway.domain.ports import Answer, Call
from gateway.domain.routes import RESPONSE_HEADERS, Upstream
from gateway.errors import ServiceUnreachable

CONNECTIONS = 256
"""To one service, for calls that are answered as soon as may be; those that wait are bounded by caller."""

WHOLE = 256 * 1024
"""Answers up to so many bytes are read at once, longer ones are streamed."""

TOKEN_SECONDS = 30
"""A minted token is used again for so long; revocation does not wait for it, it is checked before."""

REMEMBERED = 4096


class HttpServices:
    """Forwards calls with an internal token of ours in place of the caller's."""

    def __init__(
        self, urls: Mapping[Upstream, str], tokens: ServiceTokens, telemetry: Telemetry, now: Now
    ) -> None:
        self._urls = {service: url.rstrip("/") for service, url in urls.items()}
        self._tokens = tokens
        self._telemetry = telemetry
        self._now = now
        self._minted: OrderedDict[tuple[Upstream, Principal], tuple[float, str]] = OrderedDict()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def _session(self, *, waits: bool) -> aiohttp.ClientSession:
        """Opened at the first call: it needs the running loop. Calls that wait have a pool of their own."""
        if waits not in self._sessions:
            self._sessions[waits] = self._open(0 if waits else CONNECTIONS)
        return self._sessions[waits]

    def _open(self, connections: int) -> aiohttp.ClientSession:
        # The services close an idle connection after 30 s: let go first, or a POST meets a closed door.
        connector = aiohttp.TCPConnector(limit=0, limit_per_host=connections, keepalive_timeout=20.0)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
            trust_env=False,
            max_line_size=16_384,
            max_field_size=32_768,
        )

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def forward(self, service: Upstream, call: Call, bearer: Bearer | None) -> Answer:
        """Ask ``service``; raises ``ServiceUnreachable`` when it does not answer in time."""
        if not call.is_traced:
            # Not sampled: pages that look again every second must not fill the trace store.
            untraced = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
            return await self._send(service, call, bearer, untraced)
        attributes = {"http.request.method": call.method, "http.route": call.route}
        name = f"{call.method} {call.route or service}"
        with self._telemetry.span(name, kind=SpanKind.CLIENT, attributes=attributes) as span:
            answer = await self._send(service, call, bearer, current_traceparent())
            span.set_attribute("http.response.status_code", answer.status)
            return answer

    async def is_ready(self, service: Upstream) -> bool:
        """Whether ``/readyz`` of the service answers 200 within two seconds."""
        try:
            answer = await self.forward(
                service, Call("GET", "/readyz", timeout=2.0, route="/readyz", is_traced=False), None
            )
        except ServiceUnreachable:
            return False
        if answer.stream is not None:
            await answer.stream.aclose()
        return answer.status == 200

    async def _send(
        self, service: Upstream, call: Call, bearer: Bearer | None, traceparent: str | None
    ) -> Answer:
        headers = {**call.headers, "Authorization": f"Bearer {self._token(service, bearer)}"}
        if traceparent:
            headers["traceparent"] = traceparent
        url = URL(self._urls[service] + call.target, encoded=True)
        try:
            response = await self._session(waits=call.waits).request(
                call.method,
                url,
                headers=headers,
                data=call.body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=3.0, sock_read=call.timeout),
            )
            return await _answer_of(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("service_unreachable", upstream=service, error_type=type(error).__name__)
            raise ServiceUnreachable from error

    def _token(self, service: Upstream, bearer: Bearer | None) -> str:
        if bearer is None:
            return self._tokens.mint(service)
        principal = Principal(
            bearer.subject,
            bearer.role.value,
            bearer.agency,
            bearer.bodies,
            bearer.territory,
            bearer.whole_person,
        )
        now = self._now().timestamp()
        good_until, token = self._minted.get((service, principal), (0.0, ""))
        if good_until <= now:
            token = self._tokens.mint(service, principal)
            self._minted[service, principal] = (now + TOKEN_SECONDS, token)
            self._minted.move_to_end((service, principal))
            if len(self._minted) > REMEMBERED:
                self._minted.popitem(last=False)
        return token


async def _answer_of(response: aiohttp.ClientResponse) -> Answer:
    headers = {
        name.lower(): value for name, value in response.headers.items() if name.lower() in RESPONSE_HEADERS
    }
    length = response.content_length
    if length is not None and length <= WHOLE:
        try:
            return Answer(response.status, headers, await response.read())
        finally:
            response.release()
    return Answer(response.status, headers, stream=_Chunks(response))


class _Chunks:
    """No generator: one that nobody began to read would keep its connection."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.content.iter_chunked(65_536):
            yield chunk

    async def aclose(self) -> None:
        self._response.close()
