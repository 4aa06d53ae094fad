"""One trace from the client's ``traceparent`` to the agency's receipt, and none of it outside."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.recording import Agency, Recorder, notice_for, recording
from tests.acceptance.reporting import an_alert, deliveries_of, until

CLIENT_SPAN = "00f067aa0ba902b7"


@dataclass(frozen=True)
class Span:
    """A span as the store keeps it."""

    id: str
    parent: str | None
    name: str
    service: str
    attributes: dict[str, Any]


def spans_of(file: Path, trace_id: str) -> list[Span]:
    """Every stored span of a trace, oldest first."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
        rows = store.execute(
            "SELECT span_id, parent_id, name, service, attributes FROM spans WHERE trace_id = ?"
            " ORDER BY start_ns",
            (trace_id,),
        ).fetchall()
    return [
        Span(span_id, parent, name, service, json.loads(attributes))
        for span_id, parent, name, service, attributes in rows
    ]


@dataclass(frozen=True)
class Traced:
    """One alert that was sent with a ``traceparent`` and acknowledged by a recorded agency."""

    trace_id: str
    alert_id: str
    delivery_id: str
    recorder: Recorder
    store: Path


@pytest.fixture(scope="module")
def traced(house: EmbeddedHouse) -> Iterator[Traced]:
    calls = house.calls()
    trace_id = uuid4().hex
    with recording() as recorder:
        police = Agency(calls, "internal-affairs-kz-31", f"{recorder.url}/police")
        sent = calls.post(
            "/v1/alerts",
            an_alert(territory="KZ-31"),
            token=calls.token(agency="education-org-kz-31"),
            headers={
                "traceparent": f"00-{trace_id}-{CLIENT_SPAN}-01",
                "tracestate": "vendor=1",
                "baggage": "who=1",
            },
        )
        taken = notice_for(recorder, "/police")
        assert police.open(taken.notice).status == 200
        answer = police.answer(taken.notice, police.receipt(taken.notice, taken.digest))
        assert answer.status in (200, 201), answer
        delivery_id = str(taken.notice["delivery"])

        def acknowledged() -> bool:
            return any(
                one["id"] == delivery_id and one["state"] == "acknowledged"
                for one in deliveries_of(calls, sent["id"])
            )

        until(acknowledged, seconds=20)
        traced = Traced(trace_id, str(sent["id"]), delivery_id, recorder, house.home / "traces.db")
        until(lambda: _is_whole(traced), seconds=20)
        yield traced


def _is_whole(traced: Traced) -> bool:
    """Spans come in batches, a child before its parent at times; casework hears on its own time."""
    spans = spans_of(traced.store, traced.trace_id)
    known = {span.id for span in spans} | {CLIENT_SPAN}
    told = {span.name for span in spans}
    heard = any(span.service == "casework" and "alert_received" in span.name for span in spans)
    return heard and any("receipt" in name for name in told) and all(one.parent in known for one in spans)


@pytest.mark.timeout(120)
def test_the_clients_trace_goes_through_every_service(traced: Traced) -> None:
    spans = spans_of(traced.store, traced.trace_id)
    assert {"gateway", "intake", "notifier", "casework"} <= {span.service for span in spans}
    told = [(span.service, span.name) for span in spans]

    def seen(service: str, *words: str) -> bool:
        return any(s == service and all(word in name for word in words) for s, name in told)

    assert seen("gateway", "POST", "/v1/alerts"), told
    assert seen("intake", "POST", "/v1/alerts"), told
    assert seen("intake", "send", "kz.dabyl.alert.received.v1"), told
    assert seen("notifier", "receive", "alert_received"), told
    assert seen("casework", "receive", "alert_received"), told
    assert seen("notifier", "receipt"), told


@pytest.mark.timeout(120)
def test_every_span_hangs_on_the_clients(traced: Traced) -> None:
    spans = {span.id: span for span in spans_of(traced.store, traced.trace_id)}
    loose = [span for span in spans.values() if span.parent not in spans and span.parent != CLIENT_SPAN]
    assert not loose, loose
    roots = [span for span in spans.values() if span.parent == CLIENT_SPAN]
    assert [span.service for span in roots] == ["gateway"], roots
    for span in spans.values():
        way, seen = span, set()
        while way.parent != CLIENT_SPAN:
            assert way.id not in seen, "a ring"
            seen.add(way.id)
            way = spans[str(way.parent)]


@pytest.mark.timeout(120)
def test_attempt_opening_and_receipt_name_the_delivery(traced: Traced) -> None:
    spans = spans_of(traced.store, traced.trace_id)
    of_delivery = [span for span in spans if span.attributes.get("dabyl.delivery_id") == traced.delivery_id]
    assert any("attempt" in span.name or "dabyl.attempt" in span.attributes for span in of_delivery)
    assert any("receipt" in span.name for span in of_delivery), [span.name for span in of_delivery]


@pytest.mark.timeout(120)
def test_nothing_of_the_trace_leaves_to_an_agency(traced: Traced) -> None:
    assert traced.recorder.taken
    for taken in traced.recorder.taken:
        names = {name.lower() for name, _ in taken.headers}
        assert not names & {"traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "uber-trace-id"}
        assert traced.trace_id.encode() not in taken.everything()
        # The exact set: a new header is a decision, not an accident (trust AB-16).
        assert names <= {
            "host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "connection",
            "webhook-id", "webhook-timestamp", "webhook-signature",
        }, names  # fmt: skip
