"""Nothing that somebody wrote leaves the process: only listed keys, ids and codes do."""

import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from fastapi import APIRouter
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceState

from common.http import create_app
from common.keys import KeyRing
from common.telemetry import Telemetry, configure_logging, current_traceparent, log, trace_id_of
from common.testing import parts_for_test

CANARY = "Айгерім Canary, 900101400123"
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(exported: InMemorySpanExporter) -> Iterator[Telemetry]:
    made = Telemetry("intake", exporter=exported)
    yield made
    made.close()


def everything(telemetry: Telemetry, exported: InMemorySpanExporter) -> str:
    telemetry.provider.force_flush()
    spans = exported.get_finished_spans()
    assert spans
    texts = [str(span.to_json()) + str(span.context.trace_state) for span in spans if span.context]
    return "".join(texts).encode().decode("unicode_escape", "replace") + "".join(texts)


def test_a_span_carries_listed_attributes_only(telemetry: Telemetry, exported: InMemorySpanExporter) -> None:
    attributes = {"dabyl.role": "school", "child.name": CANARY, "url.path": CANARY, "db.statement": CANARY}
    with telemetry.span("intake.receive_alert", attributes=attributes) as span:
        span.set_attribute("narrative", CANARY)
        span.add_event(CANARY, {"text": CANARY})
    text = everything(telemetry, exported)
    assert "canary" not in text.casefold()
    [kept] = exported.get_finished_spans()
    assert dict(kept.attributes or {}) == {"dabyl.role": "school"}
    assert kept.name == "intake.receive_alert"


def test_an_exception_leaves_its_type_only(telemetry: Telemetry, exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="Canary"), telemetry.span("x") as span:
        span.record_exception(RuntimeError(CANARY))
        raise ValueError(CANARY)
    assert "canary" not in everything(telemetry, exported).casefold()
    [kept] = exported.get_finished_spans()
    assert (kept.attributes or {})["error.type"] == "ValueError"


def test_a_callers_tracestate_and_links_go_no_further(
    telemetry: Telemetry, exported: InMemorySpanExporter
) -> None:
    state = TraceState([("dabyl", "canary")])
    outside = SpanContext(int(TRACE, 16), 7, is_remote=True, trace_state=state)
    with telemetry.tracer.start_as_current_span("x", links=[Link(outside, {"note": CANARY})]):
        pass
    assert "canary" not in everything(telemetry, exported).casefold()
    [kept] = exported.get_finished_spans()
    assert [format(link.context.trace_id, "032x") for link in kept.links] == [TRACE]


def test_what_is_done_later_belongs_to_the_same_trace(
    telemetry: Telemetry, exported: InMemorySpanExporter
) -> None:
    with telemetry.span("accept", parent=TRACEPARENT, kind=SpanKind.SERVER):
        stored = current_traceparent()
    with telemetry.span("send", parent=stored):
        pass
    telemetry.record("attempt", parent=stored, start_ns=1, end_ns=2, attributes={"dabyl.attempt": 1})
    assert current_traceparent() is None
    telemetry.provider.force_flush()
    spans = exported.get_finished_spans()
    assert {format(span.context.trace_id, "032x") for span in spans if span.context} == {TRACE}
    assert trace_id_of(stored) == TRACE
    assert trace_id_of(None) is None
    assert trace_id_of("junk") is None


def test_requests_are_traced_by_route_and_without_what_they_carry(
    exported: InMemorySpanExporter, tmp_path: Path
) -> None:
    router = APIRouter()

    @router.post("/alerts/{alert_id}")
    async def receive(alert_id: str, body: dict[str, Any]) -> None:
        raise RuntimeError(str(body))

    parts = parts_for_test(
        "intake", f"sqlite+aiosqlite:///{tmp_path}/a.db", KeyRing.create(tmp_path / "keys")
    )
    parts.telemetry = Telemetry("intake", exporter=exported)
    app = create_app(parts, title="test", routers=[router])
    hidden = "canary900101"
    with TestClient(app, raise_server_exceptions=False) as client:
        headers = {
            "traceparent": TRACEPARENT, "tracestate": f"x={hidden}", "baggage": f"child={hidden}",
            "user-agent": hidden,
        }  # fmt: skip
        client.post(f"/alerts/{hidden}?q={hidden}", json={"name": hidden}, headers=headers)
        client.get(f"/{hidden}", headers=headers)
        client.request(hidden.upper(), "/", headers=headers)
        client.get("/livez")
    text = everything(parts.telemetry, exported)
    assert "canary" not in text.casefold()
    assert TRACE in text
    assert "/alerts/{alert_id}" in text
    assert "livez" not in text
    metrics = parts.telemetry.exposition().decode()
    assert "canary" not in metrics.casefold()
    parts.telemetry.close()


def test_spans_reach_a_collector_over_otlp_and_carry_nothing_else() -> None:
    received: list[bytes] = []
    arrived = threading.Event()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(body)
            self.send_response(200)
            self.end_headers()
            arrived.set()

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # the base class's name

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    telemetry = Telemetry("notifier", f"http://127.0.0.1:{server.server_port}")
    with telemetry.span(
        "notifier.plan", parent=TRACEPARENT, attributes={"dabyl.rule": "R136-8", "name": CANARY}
    ):
        pass
    telemetry.close()
    assert arrived.wait(5)
    server.shutdown()
    server.server_close()
    [body] = received
    assert b"Canary" not in body
    request = ExportTraceServiceRequest.FromString(body)
    [span] = request.resource_spans[0].scope_spans[0].spans
    assert (span.name, span.trace_id.hex()) == ("notifier.plan", TRACE)
    assert [one.key for one in span.attributes] == ["dabyl.rule"]
    resource = {one.key: one.value.string_value for one in request.resource_spans[0].resource.attributes}
    assert resource == {"service.name": "notifier"}  # no host, no process, no command line


def test_a_collector_that_is_away_disturbs_nobody() -> None:
    telemetry = Telemetry("notifier", "http://127.0.0.1:9")
    with telemetry.span("x"):
        pass
    telemetry.close()


# --- logs


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    configure_logging("DEBUG")

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    yield read
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def test_a_log_line_has_listed_keys_only(logged: Any) -> None:
    alert = uuid4()
    log.info("alert_received", alert_id=alert, child=CANARY, narrative=CANARY, count=3)
    [line] = logged()
    assert line.keys() == {"event", "level", "timestamp", "alert_id", "count"}
    assert (line["event"], line["alert_id"], line["count"]) == ("alert_received", str(alert), 3)


@pytest.mark.parametrize(
    "value",
    [CANARY, "Aigerim Canary", "Айгерім", "900101400123", {"name": CANARY}, [CANARY], ValueError(CANARY),
     b"Canary", "x" * 500, "a\nb"],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_text_under_a_listed_key_is_withheld(logged: Any, value: Any) -> None:
    log.warning("delivery_refused", reason=value)
    [line] = logged()
    assert line["reason"] in ("withheld", ["withheld"])


def test_codes_ids_and_numbers_are_not_withheld(logged: Any) -> None:
    values = {
        "reason": "blocked:no_route", "route": "/v1/alerts", "version": "1.0+2", "seconds": 0.5,
        "status": None, "queue": "dlv.lane.x-1", "rule": "R136-12.1", "delivery_ids": [uuid4()],
        "event_type": "kz.dabyl.a.b.v1",
    }  # fmt: skip
    log.info("delivery_planned", **values, role=timedelta(seconds=5))
    [line] = logged()
    assert "withheld" not in str(line)


def test_an_event_name_is_a_constant_not_a_sentence_about_somebody(logged: Any) -> None:
    log.info(f"received an alert about {CANARY}")
    log.info("received %s", CANARY)
    assert [line["event"] for line in logged()] == ["withheld", "withheld"]


def fail() -> None:
    raise ValueError(CANARY)


def test_an_exception_is_logged_by_type(logged: Any) -> None:
    try:
        fail()
    except ValueError:
        log.exception("message_refused")
    [line] = logged()
    assert line["error_type"] == "ValueError"
    assert "canary" not in json.dumps(line, ensure_ascii=False).casefold()


def test_libraries_are_heard_without_their_words(logged: Any) -> None:
    try:
        fail()
    except ValueError:
        logging.getLogger("sqlalchemy.pool").exception("row %s", CANARY)
    logging.getLogger("uvicorn.error").warning(CANARY)
    logging.getLogger("httpx").info("GET https://user:secret@host/Canary")
    lines = logged()
    assert [(line["event"], line["logger"]) for line in lines] == [
        ("library_log", "sqlalchemy.pool"), ("library_log", "uvicorn.error"),
    ]  # fmt: skip
    assert "canary" not in json.dumps(lines, ensure_ascii=False).casefold()


def test_a_line_within_a_span_names_its_trace(logged: Any, telemetry: Telemetry) -> None:
    with telemetry.span("x", parent=TRACEPARENT):
        log.info("alert_received")
    [line] = logged()
    assert line["trace_id"] == TRACE


def test_a_caller_cannot_switch_the_record_off() -> None:
    kept = InMemorySpanExporter()
    telemetry = Telemetry("intake", exporter=kept)
    unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    with telemetry.span("intake.receive_alert", parent=unsampled):
        pass
    telemetry.provider.force_flush()
    [span] = kept.get_finished_spans()
    assert span.context is not None
    assert format(span.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    telemetry.close()
