"""Where spans are read from: our own small OTLP store, or Jaeger's HTTP API."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from pydantic import TypeAdapter, ValidationError

from common.telemetry import log
from common.timing import Now
from gateway.domain.ports import TraceStore
from gateway.domain.waterfall import Span

_SPANS = TypeAdapter(list[Span])
_SECONDS = 5

KEEP = timedelta(seconds=3)
KEPT_TRACES = 32


class LocalTraces:
    """``GET {url}/traces/{trace_id}`` → ``{"spans": […]}``."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def list_spans(self, trace_id: str) -> Sequence[Span]:
        """Spans of one trace; empty when the store has none or is away."""
        found = await _fetch(f"{self._url}/traces/{trace_id}")
        return _read(found.get("spans", []) if isinstance(found, dict) else [])


class JaegerTraces:
    """Jaeger's query service, ``GET {url}/api/traces/{trace_id}``."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def list_spans(self, trace_id: str) -> Sequence[Span]:
        """Spans of one trace; empty when Jaeger has none or is away."""
        found = await _fetch(f"{self._url}/api/traces/{trace_id}")
        traces = found.get("data") or [] if isinstance(found, dict) else []
        try:
            spans = [span for trace in traces for span in _spans_of(trace)]
        except (KeyError, TypeError, ValueError, AttributeError):
            log.warning("trace_unreadable", count=len(traces))
            return []
        return _read(spans)


class RecentTraces:
    """Keeps what was just read: an open page looks again every second, and so may its neighbour."""

    def __init__(self, store: TraceStore, *, now: Now) -> None:
        self._store = store
        self._now = now
        self._kept: OrderedDict[str, tuple[datetime, Sequence[Span]]] = OrderedDict()

    async def list_spans(self, trace_id: str) -> Sequence[Span]:
        """Spans of one trace, at most ``KEEP`` old."""
        until, spans = self._kept.get(trace_id, (self._now(), ()))
        if until <= self._now():
            spans = await self._store.list_spans(trace_id)
            self._kept[trace_id] = (self._now() + KEEP, spans)
            self._kept.move_to_end(trace_id)
            if len(self._kept) > KEPT_TRACES:
                self._kept.popitem(last=False)
        return spans


def _spans_of(trace: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    processes = trace.get("processes", {})
    for span in trace.get("spans", []):
        tags = {tag["key"]: tag.get("value") for tag in span.get("tags", [])}
        parents = [
            reference["spanID"]
            for reference in span.get("references", [])
            if reference.get("refType") == "CHILD_OF"
        ]
        start = int(span["startTime"]) * 1000  # Jaeger counts microseconds
        yield {
            "trace_id": span["traceID"],
            "span_id": span["spanID"],
            "parent_id": parents[0] if parents else None,
            "name": span["operationName"],
            "service": processes.get(span.get("processID"), {}).get("serviceName", "?"),
            "start_ns": start,
            "end_ns": start + int(span["duration"]) * 1000,
            "status": str(tags.get("otel.status_code", "unset")).lower(),
            "attributes": tags,
        }


def _read(spans: Sequence[Any]) -> Sequence[Span]:
    try:
        return _SPANS.validate_python(spans)
    except ValidationError:
        log.warning("trace_unreadable", count=len(spans))
        return []


async def _fetch(url: str) -> Any:
    try:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return await answer.json(content_type=None) if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log.warning("traces_unreachable", error_type=type(error).__name__)
        return None
