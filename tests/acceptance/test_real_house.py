"""A canary and one trace through the house as deployed: processes, RabbitMQ, PostgreSQL, a collector."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote
from uuid import uuid4

import aio_pika
import httpx
import pytest

from common.bus.topology import PARKED, Exchange
from tests.acceptance.canary.broker import Tap, broker_files, tapping
from tests.acceptance.canary.needles import Canary
from tests.acceptance.canary.scanner import Scanner, Surface
from tests.acceptance.canary.server import Server
from tests.acceptance.collector import Collector, collecting
from tests.acceptance.hostile import all_of
from tests.acceptance.raw import ask
from tests.acceptance.recording import Agency, Recorder, notice_for, recording
from tests.acceptance.reporting import deliveries_of, until
from tests.acceptance.siege import Siege, told
from tests.acceptance.spread import SERVICES, SpreadHouse
from tests.conftest import REAL
from tests.parts import postgres
from tests.parts.rabbit import VirtualHosts

pytestmark = [pytest.mark.real, pytest.mark.timeout(420)]

CANARY, PLANTED = Canary.new(), Canary.new()
SCANNER, PLANT_FINDER = Scanner(CANARY), Scanner(PLANTED)
CLIENT_SPAN = "00f067aa0ba902b7"
EXAMPLES, EDGES = 3, 12
HONEST = ("internal_affairs", "regional_child_rights_body", "regional_child_ombudsman")


@dataclass
class Real:
    """The spread house after the canary went through it."""

    house: SpreadHouse
    server: Server
    databases: list[str]
    broker_url: str
    tap: Tap
    collector: Collector
    recorder: Recorder
    trace_id: str
    siege: Siege
    said: list[Surface]
    faults: dict[str, list[str]]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    broker, server = REAL.rabbit(), Server(REAL.postgres())
    assert broker.api
    name = f"canary_{uuid4().hex[:8]}"
    hosts = VirtualHosts(broker.url, broker.api)
    broker_url = hosts.create(name)
    environment = pytest.MonkeyPatch()
    try:
        for bucket in ("ALERTS", "DELIVERIES", "DEFAULT"):
            environment.setenv(f"GATEWAY_RATE_{bucket}", "10000000")
        with collecting() as collector, recording() as recorder, tapping(broker, broker_url) as tap:
            house = SpreadHouse(
                tmp_path_factory.mktemp("real"),
                REAL.postgres().url,
                broker_url,
                otlp=collector.url,
                name=name,
            )
            try:
                house.start()
                databases = [f"{name}_{service}" for service in SERVICES]
                siege = Siege(house.calls(), CANARY)
                found = Real(
                    house, server, databases, broker_url, tap, collector, recorder, uuid4().hex, siege, [], {}
                )
                _go_through(found)
                yield found
            finally:
                house.stop()
    finally:
        environment.undo()
        hosts.delete(name)


def _go_through(real: Real) -> None:
    calls = real.house.calls()
    police = Agency(calls, "internal-affairs-kz-71", f"{real.recorder.url}/police")
    sent = []
    for territory, trace_id in (("KZ-71", real.trace_id), ("KZ-75", uuid4().hex)):
        school = calls.token(agency=f"education-org-{territory.lower()}")
        answer = ask(
            real.house.url, "POST", "/v1/alerts", body=json.dumps(CANARY.alert(territory=territory)).encode(),
            headers=[
                ("Authorization", f"Bearer {school}"), ("Content-Type", "application/json"),
                ("traceparent", f"00-{trace_id}-{CLIENT_SPAN}-01"), ("tracestate", f"vendor={CANARY.latin}"),
                ("baggage", f"child={quote(CANARY.phrase)}"), ("User-Agent", CANARY.latin),
            ],
        )  # fmt: skip
        assert answer.status == 201, answer
        real.said.append(Surface("POST /v1/alerts", answer.everything()))
        sent.append(json.loads(answer.body)["id"])
    taken = notice_for(real.recorder, "/police")
    assert SCANNER.scan([Surface("content", police.open(taken.notice).body)]), (
        "it came to whom it is meant for"
    )
    assert police.answer(taken.notice, police.receipt(taken.notice, taken.digest)).status == 201
    real.said.append(Surface("notice", taken.everything()))

    def acknowledged() -> bool:
        states = {one["role"]: one["state"] for one in deliveries_of(calls, sent[1])}
        return all(states.get(role) == "acknowledged" for role in HONEST)

    until(acknowledged, seconds=60, every=0.25)
    real.faults |= real.siege.attack(all_of(CANARY))
    until(lambda: _is_whole(real), seconds=20)


def _is_whole(real: Real) -> bool:
    spans = real.collector.spans(real.trace_id)
    known = {span.id for span in spans} | {CLIENT_SPAN}
    return any("receipt" in span.name for span in spans) and all(span.parent in known for span in spans)


# --- the trace --------------------------------------------------------------------------------------------


def test_the_clients_trace_is_exported_whole(real: Real) -> None:
    spans = real.collector.spans(real.trace_id)
    assert {"gateway", "intake", "notifier", "casework"} <= {span.service for span in spans}
    known = {span.id for span in spans}
    roots = [span for span in spans if span.parent not in known]
    assert [(span.service, span.parent) for span in roots] == [("gateway", CLIENT_SPAN)], roots
    names = {(span.service, span.name) for span in spans}
    assert any(service == "notifier" and "receipt" in name for service, name in names), names


def test_nothing_of_the_trace_leaves_to_an_agency(real: Real) -> None:
    for taken in real.recorder.taken:
        assert not {name.lower() for name, _ in taken.headers} & {"traceparent", "tracestate", "baggage"}
        assert real.trace_id.encode() not in taken.everything()


# --- the canary -------------------------------------------------------------------------------------------


def test_no_message_holds_it(real: Real) -> None:
    """Copies of all that was published and delivered, by the broker's own tracer."""
    labels = [one.label for one in real.tap.seen]
    assert any(f"publish.{Exchange.EVENTS}" in label for label in labels), labels[:20]
    assert any("deliver." in label for label in labels)
    assert any(b"kz.dabyl.alert.received.v1" in one.data for one in real.tap.seen)
    assert not SCANNER.scan(real.tap.seen)


def test_no_file_of_the_broker_holds_it(real: Real) -> None:
    found = list(broker_files(REAL.rabbit()))
    assert sum(len(one.data) for one in found) > 10_000
    assert not SCANNER.scan(found)


def test_no_file_of_the_database_server_holds_it(real: Real) -> None:
    found = list(real.server.files(real.databases))
    assert len([one for one in found if one.label.startswith("pg_wal/")]) >= 1
    assert len([one for one in found if one.label.startswith("base/")]) > 500
    assert not SCANNER.scan(found)


def test_no_log_of_the_database_server_holds_it(real: Real) -> None:
    assert not SCANNER.scan(real.server.logs())


def test_no_output_of_a_process_holds_it(real: Real) -> None:
    assert len(list((real.house.home / "output").iterdir())) >= 8
    assert not SCANNER.scan_files(real.house.home)


def test_no_exported_span_holds_it(real: Real) -> None:
    """Attributes, names, events, and what W3C headers carried in."""
    assert len(real.collector.bodies) > 5
    assert not SCANNER.scan(Surface("OTLP", body) for body in real.collector.bodies)


def test_no_answer_and_no_notice_holds_it(real: Real) -> None:
    assert real.said
    assert not SCANNER.scan(real.said)


# --- bad input, where text has a length and a date an end -------------------------------------------------


def test_bad_input_is_refused_without_an_echo(real: Real) -> None:
    assert len(real.siege.heard) > 1000
    assert not real.faults, told(real.faults)


@pytest.mark.timeout(400)
def test_no_operation_fails_on_generated_input(real: Real) -> None:
    found = real.siege.fuzz(examples=EXAMPLES, edges=EDGES)
    assert not found.faults, f"{found}\n{found.answers}"


# --- leaks made on purpose --------------------------------------------------------------------------------


@pytest.fixture
def scratch(real: Real) -> Iterator[str]:
    """A database of its own."""
    name = f"planted_{uuid4().hex[:8]}"
    url = REAL.postgres().url
    postgres.create_database(url, name)
    yield name
    postgres.drop_database(url, name)


def test_planted_a_row_that_was_deleted_and_vacuumed(real: Real, scratch: str) -> None:
    """It stays in the write-ahead log (trust T-09)."""
    real.server.ask("CREATE TABLE notes (name text)", database=scratch)
    real.server.ask("INSERT INTO notes VALUES ($1)", PLANTED.values["name"], database=scratch)
    real.server.ask("DELETE FROM notes", database=scratch)
    real.server.ask("VACUUM FULL notes", database=scratch)
    hits = PLANT_FINDER.scan(real.server.files([scratch]))
    assert "pg_wal" in {hit.label.split("/")[0] for hit in hits}


def test_planted_a_key_that_is_taken(real: Real, scratch: str) -> None:
    """The server writes the row into its log, whatever the client hides (trust AB-13)."""
    import asyncpg  # noqa: PLC0415  # beside its use

    iin = PLANTED.values["iin"]
    real.server.ask("CREATE TABLE children (iin text PRIMARY KEY)", database=scratch)
    real.server.ask("INSERT INTO children VALUES ($1)", iin, database=scratch)
    with pytest.raises(asyncpg.UniqueViolationError):
        real.server.ask(f"INSERT INTO children VALUES ('{iin}')", database=scratch)  # noqa: S608  # the leak
    until(lambda: PLANT_FINDER.scan(real.server.logs()), seconds=10)


async def test_planted_a_message_with_a_name(real: Real) -> None:
    """In a durable quorum queue: the broker writes the body down as it is (trust T-06)."""
    connection = await aio_pika.connect(real.broker_url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(Exchange.PARKED)
        body = json.dumps({"child": PLANTED.values["name"]}).encode()
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await exchange.publish(message, routing_key=PARKED.keys[0], mandatory=True)
        queue = await channel.get_queue(PARKED.name, ensure=True)
        assert PLANT_FINDER.scan(broker_files(REAL.rabbit()))
        until(lambda: PLANT_FINDER.scan(real.tap.seen), seconds=10)
        await queue.purge()


def test_planted_a_path_in_an_outgoing_request(real: Real, caplog: pytest.LogCaptureFixture) -> None:
    """httpx writes whole URLs at INFO (trust AB-15): a service that let it would leak tokens and names."""
    with caplog.at_level("INFO", logger="httpx"):
        httpx.get(real.house.url + "/livez", params={"child": PLANTED.values["name"]}, trust_env=False)
    assert PLANT_FINDER.scan([Surface("log", caplog.text.encode())])
