"""Leaks made on purpose, each the way it would really happen: the scanner must find every one.

Beside each stands what the product does instead, where that can be shown: there the scanner finds nothing.
"""

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from sqlalchemy import text

from common import outbox
from common.contracts.intake import AlertReceived
from common.contracts.vocabulary import Channel, Concern, Occasion
from common.db import Database
from common.errors import Invalid
from common.http import create_app
from common.keys import KeyRing
from common.telemetry import Telemetry
from common.testing import parts_for_test
from common.timing import utc_now
from tests.acceptance.canary.needles import Canary
from tests.acceptance.canary.scanner import Hit, Scanner, Surface
from tests.acceptance.collector import collecting
from tests.acceptance.embedded import ROOT
from tests.parts import migrations
from tests.parts.process import free_ports, listening, wait_until

CANARY = Canary.new()
SCANNER = Scanner(CANARY)
NAME, IIN, SCHOOL = CANARY.values["name"], CANARY.values["iin"], CANARY.values["education_org"]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "libs", ROOT / "services", ROOT))),
}


def files_of(hits: list[Hit]) -> set[str]:
    return {Path(hit.label).name for hit in hits}


@pytest.fixture
def intake(tmp_path: Path) -> Path:
    """A folder with intake's own database, migrated as intake does it."""
    migrations.migrate("intake", f"sqlite+aiosqlite:///{tmp_path}/intake.db")
    return tmp_path


async def test_a_plain_column_deleted_later(intake: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{intake}/intake.db")
    try:
        async with database.transaction() as session:
            await session.execute(text("CREATE TABLE notes (name TEXT)"))
            await session.execute(text("INSERT INTO notes VALUES (:name)"), {"name": NAME})
        async with database.transaction() as session:
            await session.execute(text("DELETE FROM notes"))
        assert files_of(SCANNER.scan_files(intake)) == {"intake.db-wal"}
    finally:
        await database.close()


def test_a_plain_column_deleted_later_without_overwriting(intake: Path) -> None:
    database = sqlite3.connect(intake / "intake.db", isolation_level=None)
    database.execute("PRAGMA secure_delete=OFF")
    database.execute("CREATE TABLE notes (name TEXT)")
    database.execute("INSERT INTO notes VALUES (?)", (NAME,))
    database.execute("DELETE FROM notes")
    database.close()
    assert files_of(SCANNER.scan_files(intake)) == {"intake.db"}


def test_a_digest_without_a_key(intake: Path) -> None:
    database = sqlite3.connect(intake / "intake.db", isolation_level=None)
    digest = hashlib.sha256(IIN.encode()).digest()
    database.execute(
        "INSERT INTO match_tokens (token, alert_id, kind) VALUES (?, ?, 'iin')", (digest, uuid4().hex)
    )
    database.close()
    assert {hit.encoding for hit in SCANNER.scan_files(intake)} == {"iin, sha256"}


async def test_an_event_with_a_name(intake: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{intake}/intake.db")
    event = AlertReceived(
        alert_id=uuid4(), number="7K4M-Q2XP-9", received_at=datetime.now(UTC), territory="KZ-75", kato=SCHOOL,
        concerns=(Concern.VIOLENCE,), reporter="education_org", occasion=Occasion.OWN_DUTIES,
        channel=Channel.SYSTEM, routing="",
    )  # fmt: skip
    try:
        async with database.transaction() as session:
            await outbox.add(session, event, subject=event.alert_id, now=utc_now)
        assert SCANNER.scan_files(intake)
    finally:
        await database.close()


OURS = (
    "from common.telemetry import configure_logging, log; configure_logging('DEBUG');"
    "log.info('alert_received', **{sys.argv[1]: sys.argv[2]})"
)
PLAIN = (
    "import logging; logging.basicConfig(level='INFO');"
    "logging.getLogger('intake').info('%s: %s', sys.argv[1], sys.argv[2])"
)


@pytest.mark.parametrize(
    ("program", "key", "leaks"),
    [(PLAIN, "name", True), (OURS, "name", False), (OURS, "alert_id", False)],
    ids=["plain logging", "ours, unlisted key", "ours, listed key"],
)
def test_a_log_line(tmp_path: Path, program: str, key: str, leaks: bool) -> None:
    """Plain logging writes what it is told; ours drops keys that are not listed, and what is no code."""
    with (tmp_path / "intake.log").open("wb") as output:
        subprocess.run(
            [sys.executable, "-c", f"import sys; {program}", key, NAME], env=ENVIRONMENT, stdout=output,
            stderr=output, check=True,
        )  # fmt: skip
    assert (tmp_path / "intake.log").stat().st_size
    assert bool(SCANNER.scan_files(tmp_path)) is leaks


def test_a_span_through_a_bare_exporter() -> None:
    with collecting() as collector:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        with provider.get_tracer("x").start_as_current_span("open", attributes={"child.name": NAME}):
            pass
        provider.shutdown()
        assert SCANNER.scan([Surface("OTLP", body) for body in collector.bodies])


def test_a_span_through_ours_loses_the_name() -> None:
    with collecting() as collector:
        telemetry = Telemetry("intake", collector.url)
        with suppress(ValueError), telemetry.span("open", attributes={"child.name": NAME}) as span:
            span.add_event("note", {"name": NAME})
            span.set_attribute("exception.message", NAME)
            raise ValueError(NAME)
        telemetry.close()
        assert collector.bodies
        assert not SCANNER.scan([Surface("OTLP", body) for body in collector.bodies])


def test_a_label_of_a_metric() -> None:
    telemetry = Telemetry("intake")
    try:
        telemetry.meter.create_counter("dabyl_alerts").add(1, {"school": SCHOOL})
        assert SCANNER.scan([Surface("/metrics", telemetry.exposition())])
    finally:
        telemetry.close()


@pytest.fixture
def access_log(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server as uvicorn starts it by default: it writes down what was asked for."""
    [port] = free_ports(1)
    log = tmp_path / "access.log"
    program = (
        "import sys, uvicorn; from fastapi import FastAPI;"
        "uvicorn.run(FastAPI(), port=int(sys.argv[1]), log_level='info')"
    )
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", program, str(port)], env=ENVIRONMENT, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: listening(port), within=20, or_else=log.read_text)
        yield f"http://127.0.0.1:{port}", log
    finally:
        server.terminate()
        server.wait()


def test_a_query_in_an_access_log(access_log: tuple[str, Path]) -> None:
    url, log = access_log
    httpx.get(f"{url}/v1/alerts", params={"name": NAME}, trust_env=False)
    time.sleep(0.1)
    assert {hit.encoding for hit in SCANNER.scan_files(log)} & {"kazakh, percent", "latin, utf-8"}


class _SchoolUnknown(Invalid):
    """There is no such school."""


async def test_an_exceptions_text_in_a_problem(tmp_path: Path, keys: KeyRing) -> None:
    parts = parts_for_test("intake", f"sqlite+aiosqlite:///{tmp_path}/x.db", keys)
    router = APIRouter()

    @router.get("/leaks")
    async def leaks() -> None:
        raise _SchoolUnknown(f"no school {SCHOOL}")

    @router.get("/fails")
    async def fails() -> None:
        raise RuntimeError(SCHOOL)

    app = create_app(parts, title="x", routers=[router])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        leaked = await client.get("/leaks")
        failed = await client.get("/fails")
    assert SCANNER.scan([Surface("problem", leaked.content)])
    assert failed.status_code == 500
    assert not SCANNER.scan([Surface("problem", failed.content)])
    await parts.close()
