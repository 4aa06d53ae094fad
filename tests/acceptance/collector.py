"""A collector: takes OTLP over HTTP on loopback and keeps what came, byte for byte."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Exported:
    """A span as it left the process. Ids are hex; ``parent`` is empty on a root."""

    trace_id: str
    id: str
    parent: str
    name: str
    service: str


@dataclass
class Collector:
    """What came, decompressed."""

    url: str
    bodies: list[bytes] = field(default_factory=list)

    def spans(self, trace_id: str) -> list[Exported]:
        """Spans of one trace so far."""
        found = {}
        for body in tuple(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {item.key: item.value.string_value for item in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        if span.trace_id.hex() == trace_id:
                            found[span.span_id] = Exported(
                                trace_id, span.span_id.hex(), span.parent_span_id.hex(), span.name,
                                names.get("service.name", "?"),
                            )  # fmt: skip
        return list(found.values())


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
            """Say nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
