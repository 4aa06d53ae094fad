"""Traces and logs that cannot carry a child: only keys on the lists below leave the process.

One ``Telemetry`` per service and process, handed down by ``runtime``; there are no global providers,
so five services in one process keep five names.
"""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from prometheus_client import CollectorRegistry, generate_latest

LOG_KEYS = frozenset(
    {
        "event", "level", "timestamp", "logger", "service", "trace_id", "span_id", "role", "port", "state",
        "alert_id", "delivery_id", "delivery_ids", "obligation_id", "agency_id", "endpoint_id", "case_id",
        "event_id", "event_type", "queue", "lane", "consumer", "count", "attempt", "outcome", "status",
        "reason", "rule", "edition", "urgency", "escalation_level", "version", "client_id", "job",
        "error_type", "seconds", "signal", "table", "upstream", "method", "route", "confirmed",
        "delivery_state", "origin", "number", "size", "root", "seal", "signature", "seq",
    }
)  # fmt: skip
"""The only keys a log line may have. A value is an id, a code or a number, never text from outside."""

SPAN_KEYS = frozenset(
    {
        "http.request.method", "http.response.status_code", "http.route", "url.scheme", "error.type",
        "messaging.system", "messaging.destination.name", "messaging.operation.name",
        "messaging.operation.type", "messaging.message.id", "messaging.batch.message_count", "dabyl.alert_id",
        "dabyl.delivery_id",
        "dabyl.attempt", "dabyl.outcome", "dabyl.role", "dabyl.rule", "dabyl.count", "dabyl.state",
        "dabyl.endpoint_id", "dabyl.event_type", "db.system.name", "db.operation.name",
    }
)  # fmt: skip
"""The only span attributes that are exported: no path, no query, no address, no exception text."""

OURS = "dabyl"
"""Instrumentation scope of the spans that our own code names."""

log = structlog.get_logger()
"""The log: ``log.info("constant_event_name", alert_id=…)``; other keys are dropped."""


def current_traceparent() -> str | None:
    """W3C ``traceparent`` of the current span, to be stored beside what will be done later."""
    return traceparent_of(trace.get_current_span())


def traceparent_of(span: Span) -> str | None:
    """W3C ``traceparent`` of this span."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@lru_cache(maxsize=2048)
def context_of(traceparent: str | None) -> Context | None:
    """The context that a stored ``traceparent`` names; all that follows from one alert asks for the same."""
    return propagate.extract({"traceparent": traceparent}) if traceparent else None


def trace_id_of(traceparent: str | None) -> str | None:
    """The 32 hex digits of the trace, or nothing."""
    return traceparent.split("-")[1] if traceparent and traceparent.count("-") == 3 else None


class _ListedOnly(SpanExporter):
    """Hands spans on with listed attributes only, without events and exception texts."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([_listed(span) for span in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _bare(context: SpanContext | None) -> SpanContext | None:
    """Ids only: ``tracestate`` is whatever the caller wrote."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)


def _listed(span: ReadableSpan) -> ReadableSpan:
    kept = {key: value for key, value in (span.attributes or {}).items() if key in SPAN_KEYS}
    name = span.name
    is_ours = span.instrumentation_scope is not None and span.instrumentation_scope.name == OURS
    if span.kind is SpanKind.SERVER and "http.route" not in kept and not is_ours:
        name = str(kept.get("http.request.method", "HTTP"))  # an unrouted path is text from outside
    return ReadableSpan(
        name=name,
        context=_bare(span.context),
        parent=_bare(span.parent),
        resource=span.resource,
        attributes=kept,
        links=[Link(context) for link in span.links if (context := _bare(link.context))],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class Telemetry:
    """Spans of one service.

    Args:
        service: ``service.name`` of every span.
        endpoint: OTLP/HTTP base URL (``/v1/traces`` is added), or ``None`` to export nothing.
        exporter: instead of the endpoint, for tests.
    """

    def __init__(
        self, service: str, endpoint: str | None = None, *, exporter: SpanExporter | None = None
    ) -> None:
        self.service = service
        # Never by the caller: one whose traceparent says "not sampled" must not switch our record off. Where
        # nobody collects spans, none are written; trace ids go on from service to service all the same.
        is_collected = exporter is not None or bool(endpoint)
        self.provider = TracerProvider(
            sampler=ALWAYS_ON if is_collected else ALWAYS_OFF,
            resource=Resource({"service.name": service}),
            shutdown_on_exit=False,
        )
        if exporter is None and endpoint:
            # Only where there is a collector: it brings protobuf and an HTTP client of its own.
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # said above
                OTLPSpanExporter,
            )

            exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
        if exporter is not None:
            self.provider.add_span_processor(
                BatchSpanProcessor(_ListedOnly(exporter), schedule_delay_millis=500)
            )
        self.tracer = self.provider.get_tracer(OURS)
        # A registry of our own: five services in one process must not add up to one.
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(disable_target_info=True, registry=self._registry)
        self.meters = MeterProvider([reader], shutdown_on_exit=False)
        self.meter = self.meters.get_meter("dabyl")

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: MutableMapping[str, Any] | None = None,
    ) -> Iterator[Span]:
        """A span as the current one; ``parent`` is a stored traceparent, else the current span.

        An exception marks it as failed by type only, its text stays here.
        """
        with self.tracer.start_as_current_span(
            name,
            context=context_of(parent),
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    @contextmanager
    def spans(
        self, name: str, each: Sequence[tuple[str | None, MutableMapping[str, Any]]], *, kind: SpanKind
    ) -> Iterator[list[str | None]]:
        """A span for each of many things done together, by parent and attributes; none is the current one.

        Yields the traceparent of each.
        """
        spans = [
            self.tracer.start_span(
                name, context=context_of(parent) or Context(), kind=kind, attributes=attributes
            )
            for parent, attributes in each
        ]
        try:
            yield [traceparent_of(span) for span in spans]
        except BaseException as error:
            for span in spans:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            for span in spans:
                span.end()

    def record(
        self,
        name: str,
        *,
        parent: str | None,
        start_ns: int,
        end_ns: int,
        attributes: MutableMapping[str, Any],
    ) -> None:
        """Record a span after the fact, e.g. one of many attempts sent together (epoch nanoseconds)."""
        span = self.tracer.start_span(
            name, context=context_of(parent) or Context(), start_time=start_ns, attributes=attributes
        )
        span.end(end_ns)

    def exposition(self) -> bytes:
        """All metrics in Prometheus text form, for the internal ``/metrics`` page."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Send what waits, then stop."""
        self.provider.shutdown()
        self.meters.shutdown()


def _keep_listed(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    error = line.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple) and error[0] is not None:
        line["error_type"] = error[0].__name__
    elif isinstance(error, BaseException):
        line["error_type"] = type(error).__name__
    return {key: _plain(value) for key, value in line.items() if key in LOG_KEYS}


_CODE = re.compile(r"(?!\d{12}$)[A-Za-z0-9_.:/+\-]{0,120}")
"""What an id, a code or an event name looks like: no spaces, no letters of a name in Cyrillic, no IIN."""


def _plain(value: Any) -> Any:
    """The value if it is an id, a code or a number; text that somebody could have written is withheld."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    text = str(value) if isinstance(value, (str, UUID, timedelta)) else ""
    return text if text and _CODE.fullmatch(text) else "withheld"


def _add_trace(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        line["trace_id"] = format(context.trace_id, "032x")
        line["span_id"] = format(context.span_id, "016x")
    return line


class _LibraryLines(logging.Handler):
    """Library log records without their text: it may quote a URL, a row or a body."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        extra = {"error_type": error} if error else {}
        log.log(record.levelno, "library_log", logger=record.name, **extra)


def configure_logging(level: str = "INFO") -> None:
    """JSON lines on standard output; call once per process."""
    number = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace,
            _keep_listed,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryLines()]
    root.setLevel(max(number, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
