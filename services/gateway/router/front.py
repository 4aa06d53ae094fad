"""What every answer carries, what nobody outside may see, and where a call came from."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.problems import problem_response
from gateway.errors import PathUnknown
from gateway.service.sources import Sources

HIDDEN = frozenset({"/metrics"})
"""Answered on the services' own ports inside; this port faces the world."""

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
CONSOLE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=31536000; includeSubDomains"


class Front:
    """ASGI middleware around the whole gateway."""

    def __init__(self, app: ASGIApp, *, is_secure: bool, sources: Sources) -> None:
        self._app = app
        self._is_secure = is_secure
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hide what is internal; add the headers that protect browsers; say ``state.source``.

        The one place that reads an address: behind it there is only the token that stands for it.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        peer = scope.get("client")
        scope.setdefault("state", {})["source"] = self._sources.token(
            peer[0] if peer else "", Headers(scope=scope).getlist("x-forwarded-for")
        )
        is_console = scope["path"].startswith("/console")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers["Content-Security-Policy"] = CONSOLE_POLICY if is_console else API_POLICY
                if self._is_secure:
                    headers["Strict-Transport-Security"] = HSTS
                for name in ("server", "traceparent", "tracestate"):
                    if name in headers:
                        del headers[name]
            await send(message)

        if scope["path"] in HIDDEN:
            await problem_response(PathUnknown())(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)
