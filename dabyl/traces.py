"""Traces for a laptop: takes OTLP/HTTP, keeps the newest spans in SQLite, gives one trace as JSON.

Production names a collector instead (``*_OTLP_ENDPOINT``); the services cannot tell the difference.
"""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiosqlite
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEPT_SPANS = 200_000
MAX_BODY_BYTES = 8 * 1024 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT, name TEXT NOT NULL, service TEXT NOT NULL,
    start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, status TEXT NOT NULL, attributes TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id)
);
"""
_STATUS = {0: "unset", 1: "ok", 2: "error"}


class TraceStore:
    """The spans of one machine."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._db: aiosqlite.Connection | None = None
        self._since_trim = 0

    async def open(self) -> None:
        """Open or make the file."""
        self._db = await aiosqlite.connect(self._file)
        await self._db.execute("PRAGMA journal_mode=WAL")
        await self._db.execute("PRAGMA synchronous=OFF")  # traces may be lost with the machine
        await self._db.executescript(_SCHEMA)
        await self._db.commit()

    async def close(self) -> None:
        """Close the file."""
        if self._db:
            await self._db.close()

    async def add(self, spans: Iterable[tuple[Any, ...]]) -> None:
        """Keep spans; a repeated export of the same span replaces it."""
        rows = list(spans)
        if self._db is None or not rows:
            return
        await self._db.executemany("INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._since_trim += len(rows)
        if self._since_trim > KEPT_SPANS // 10:
            self._since_trim = 0
            await self._db.execute(
                "DELETE FROM spans WHERE rowid <= (SELECT max(rowid) FROM spans) - ?", (KEPT_SPANS,)
            )
        await self._db.commit()

    async def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """All spans of one trace, oldest first; times in nanoseconds since the epoch."""
        if self._db is None:
            return []
        names = (
            "trace_id",
            "span_id",
            "parent_id",
            "name",
            "service",
            "start_ns",
            "end_ns",
            "status",
            "attributes",
        )
        found = await self._db.execute_fetchall(
            "SELECT * FROM spans WHERE trace_id = ? ORDER BY start_ns, end_ns DESC", (trace_id,)
        )
        spans = [dict(zip(names, tuple(row), strict=True)) for row in found]
        for span in spans:
            span["attributes"] = json.loads(span["attributes"])
        return spans

    def routes(self) -> Starlette:
        """``POST /v1/traces`` (OTLP) and ``GET /traces/{trace_id}``."""
        return Starlette(
            routes=[
                Route("/v1/traces", self._take, methods=["POST"]),
                Route("/traces/{trace_id}", self._show, methods=["GET"]),
            ]
        )

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if len(body) > MAX_BODY_BYTES:
            return Response(status_code=413)
        await self.add(_spans_of(ExportTraceServiceRequest.FromString(body)))
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")

    async def _show(self, request: Request) -> Response:
        return JSONResponse({"spans": await self.trace(request.path_params["trace_id"])})


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind) if kind.endswith("_value") else None


def _spans_of(request: ExportTraceServiceRequest) -> Iterable[tuple[Any, ...]]:
    for resource_spans in request.resource_spans:
        service = next(
            (a.value.string_value for a in resource_spans.resource.attributes if a.key == "service.name"), "?"
        )
        for scope in resource_spans.scope_spans:
            for span in scope.spans:
                attributes = {item.key: _value(item.value) for item in span.attributes}
                yield (
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex() or None,
                    span.name,
                    service,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _STATUS.get(span.status.code, "unset"),
                    json.dumps(attributes, default=str),
                )
