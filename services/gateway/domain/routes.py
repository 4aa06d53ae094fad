"""Which service answers which public path (architecture §4). A path not named here does not exist outside."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Upstream = Literal["intake", "notifier", "casework", "registry"]


class Bucket(StrEnum):
    """Rate limit a call counts against; buckets never take from one another."""

    ALERTS = "alerts"
    THREATS = "threats"
    DELIVERIES = "deliveries"
    REPORTS = "reports"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Route:
    """One public operation.

    Attributes:
        methods: what may be asked.
        template: OpenAPI path.
        upstream: the service that answers.
        fallback: asked when ``upstream`` answers 404: intake knows an alert before notifier planned it.
        bucket: rate limit.
        timeout: seconds until the caller is told to come back.
        is_public: asked without a token; the service hears a keyed hash of where it came from.
        waits: the answer may be held back until there is news, or never end: such calls are counted, and use
            connections of their own.
    """

    methods: frozenset[str]
    template: str
    upstream: Upstream
    fallback: Upstream | None = None
    bucket: Bucket = Bucket.DEFAULT
    timeout: float = 15.0
    is_public: bool = False
    waits: bool = False


class Missing(StrEnum):
    """Why no route fits."""

    PATH = "path"
    METHOD = "method"


def _route(
    methods: str,
    template: str,
    upstream: Upstream,
    *,
    fallback: Upstream | None = None,
    bucket: Bucket = Bucket.DEFAULT,
    timeout: float = 15.0,
    is_public: bool = False,
    waits: bool = False,
) -> Route:
    return Route(frozenset(methods.split()), template, upstream, fallback, bucket, timeout, is_public, waits)


ROUTES: tuple[Route, ...] = (
    _route("POST", "/v1/alerts", "intake", bucket=Bucket.ALERTS, timeout=30.0),
    _route("POST", "/v1/reports", "intake", bucket=Bucket.REPORTS, timeout=30.0, is_public=True),
    _route("POST", "/v1/alerts/{id}/release", "notifier"),
    _route("GET", "/v1/alerts", "notifier"),
    _route("GET", "/v1/alerts/{id}", "notifier", fallback="intake"),
    _route("GET", "/v1/alerts/{id}/matches", "intake"),
    _route("GET POST", "/v1/alerts/{id}/joining", "notifier"),
    _route("POST", "/v1/alerts/{id}/corrections", "intake", timeout=30.0),
    _route("POST", "/v1/alerts/{id}/withdrawal", "intake"),
    _route("POST", "/v1/alerts/{id}/rating", "notifier"),
    _route("POST", "/v1/alerts/{id}/unfounded", "notifier"),
    _route("GET", "/v1/alerts/{id}/obligations", "notifier"),
    _route("GET", "/v1/alerts/{id}/deliveries", "notifier"),
    _route("GET", "/v1/alerts/{id}/timeline", "notifier"),
    _route("GET POST", "/v1/alerts/{id}/conflicts", "notifier"),
    _route("POST", "/v1/alerts/{id}/parent-lock", "notifier"),
    _route("POST", "/v1/obligations/preview", "notifier"),
    _route("POST", "/v1/obligations/{id}/release", "notifier"),
    _route("POST", "/v1/obligations/{id}/waiver", "notifier"),
    _route("POST", "/v1/obligations/{id}/evidence", "notifier"),
    _route("POST", "/v1/obligations/{id}/breach", "notifier"),
    _route("GET", "/v1/escalations", "notifier"),
    # A caller may wait 60 s for news; the connection must outlast that.
    _route("GET", "/v1/inbox", "notifier", bucket=Bucket.DELIVERIES, timeout=75.0, waits=True),
    _route("GET", "/v1/statistics/alerts", "notifier", is_public=True),
    _route("GET", "/v1/conservation", "notifier", timeout=60.0),
    _route("GET", "/v1/conservation/intake", "intake"),
    _route("GET", "/v1/conservation/notifier", "notifier"),
    _route("GET", "/v1/conservation/casework", "casework"),
    _route("GET", "/v1/conservation/registry", "registry"),
    _route("GET", "/v1/deliveries", "notifier"),
    _route("GET", "/v1/deliveries/{id}", "notifier", bucket=Bucket.DELIVERIES),
    _route("GET", "/v1/deliveries/{id}/content", "intake", bucket=Bucket.DELIVERIES),
    _route("POST", "/v1/deliveries/{id}/receipt", "notifier", bucket=Bucket.DELIVERIES),
    _route("POST", "/v1/deliveries/{id}/receipt-by-hand", "notifier", bucket=Bucket.DELIVERIES),
    _route("POST", "/v1/deliveries/{id}/read-out", "notifier", bucket=Bucket.DELIVERIES),
    _route("POST", "/v1/deliveries/{id}/redrive", "notifier"),
    _route("GET", "/v1/failures", "notifier"),
    _route("GET POST", "/v1/redrives", "notifier"),
    _route("GET", "/v1/redrives/{id}", "notifier"),
    _route("GET", "/v1/cases", "casework"),
    _route("GET", "/v1/cases/{id}", "casework"),
    _route("POST", "/v1/cases/{id}/case-manager", "casework"),
    _route("GET POST", "/v1/cases/{id}/records", "casework"),
    _route("GET", "/v1/tasks", "casework"),
    _route("GET POST", "/v1/agencies", "registry"),
    _route("GET", "/v1/agencies/{id}", "registry"),
    _route("POST", "/v1/agencies/{id}/retirement", "registry"),
    _route("GET", "/v1/territories", "registry"),
    _route("GET POST", "/v1/endpoints", "registry"),
    _route("GET", "/v1/endpoints/tests", "notifier"),
    _route("DELETE", "/v1/endpoints/{id}", "registry"),
    _route("POST", "/v1/endpoints/{id}/signing-key", "notifier"),
    _route("POST", "/v1/endpoints/{id}/test", "notifier", timeout=45.0),
    _route("POST", "/v1/endpoints/{id}/pause", "notifier"),
    _route("POST", "/v1/endpoints/{id}/resume", "notifier"),
    _route("GET POST", "/v1/absences", "registry"),
    _route("GET POST", "/v1/returns", "registry"),
    _route("GET", "/v1/periods", "notifier"),
    _route("GET", "/v1/periods/{id}", "notifier"),
)
"""The public surface of the four services behind the gateway."""

_SEGMENT = r"[A-Za-z0-9_\-]{1,64}"
"""An id in a path: a UUID or a code. Dots, slashes and percent signs never reach a service."""


def _pattern(template: str) -> str:
    return re.sub(r"\{[a-z_]+\}", _SEGMENT, template)


_COMPILED: tuple[tuple[re.Pattern[str], Route], ...] = tuple(
    (re.compile(_pattern(route.template)), route) for route in ROUTES
)


OWN: tuple[tuple[str, str], ...] = (
    ("POST", "/v1/clients"),
    ("DELETE", "/v1/clients/{id}"),
    ("POST", "/v1/tokens"),
    ("POST", "/v1/tokens/revocations"),
    ("POST", "/v1/console-codes"),
)
"""What the gateway answers itself under ``/v1``; named here so that another method there gets a 405."""

_OWN = tuple((re.compile(_pattern(template)), method) for method, template in OWN)


def find_route(method: str, path: str) -> Route | Missing:
    """The operation that ``path`` names, or why there is none.

    There is no ``HEAD``: some of these reads are acts (reading an inbox hands its notices over).

    Args:
        method: upper case.
        path: raw path without query, still percent-encoded.
    """
    known = any(pattern.fullmatch(path) for pattern, _method in _OWN)
    for pattern, route in _COMPILED:
        if pattern.fullmatch(path):
            if method in route.methods:
                return route
            known = True
    return Missing.METHOD if known else Missing.PATH


def allowed_methods(path: str) -> tuple[str, ...]:
    """Methods that ``path`` knows, sorted, for the ``Allow`` header."""
    methods = {method for pattern, method in _OWN if pattern.fullmatch(path)}
    for pattern, route in _COMPILED:
        if pattern.fullmatch(path):
            methods |= route.methods
    return tuple(sorted(methods))


REQUEST_HEADERS: frozenset[str] = frozenset(
    {
        "accept",
        "accept-language",
        "content-type",
        "dabyl-grant",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "last-event-id",
        "prefer",
    }
)
"""What goes inside. The rest stays out: the caller's address, agent and cookies are nobody's business."""

RESPONSE_HEADERS: frozenset[str] = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-language",
        "content-type",
        "etag",
        "idempotency-replayed",
        "last-modified",
        "link",
        "location",
        "retry-after",
        "vary",
    }
)
"""What comes out. Trace context and server names never do."""
