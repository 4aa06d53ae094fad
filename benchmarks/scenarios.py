"""What goes wrong, and what no peer has: hanging and dead agencies, a second worker, signed receipts."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import statistics
import time
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import asyncpg
from joserfc import jws
from joserfc.jwk import OKPKey

from benchmarks.client import burst, paced, request
from benchmarks.job import AGENCIES, FAN_OUT
from benchmarks.measuring import Meter
from benchmarks.ours import Spread
from benchmarks.running import Heard, at, listen_lightly, measure_burst, ratio_within
from benchmarks.sink import hang
from tests.parts.process import free_ports

if TYPE_CHECKING:
    from benchmarks.run import Run

HANGING = AGENCIES[0]
DEAD = AGENCIES[:3]
"""Three of the ten bodies that are connected."""
CLIMB_SECONDS = 60.0
BLOCKS, BLOCK_SECONDS = 14, 4.0
"""Of light load for each of the two houses."""
LONG = 3
"""So many times as many where nothing else is to be measured: a percentile of a hundred needs thousands."""
BURSTS = 4
SETTLE_SECONDS = 15.0
"""Cases and receipts of a burst go on after its last notice, and what hangs ends ten seconds later, all at once
(measured without this rest: of the five slowest of 600 alerts four were the first four after it)."""


async def hanging(run: "Run", pace: float, *, times: int = 1) -> dict[str, Any]:
    """One agency of eight accepts and never answers: what the other seven get, in turn with an undisturbed house.

    Latency in many short blocks of each, so that what the machine does meanwhile meets both.
    """
    [port] = free_ports(1)
    server = await hang(port)
    houses = {
        "undisturbed": run.spread("calm"),
        "hanging": run.spread("hang", others={HANGING: f"http://127.0.0.1:{port}/"}),
    }
    alerts, blocks = int(200 * pace), int(BLOCKS * times * pace)
    rates: dict[str, list[float]] = {name: [] for name in houses}
    heard: dict[str, list[Heard]] = {name: [] for name in houses}
    lasts: dict[str, list[list[float]]] = {}
    try:
        for house in houses.values():
            await _seven(run, house, 30)
        for round_ in range(BURSTS):
            for name in sorted(houses, reverse=round_ % 2 == 1):
                await _settled(run, quiet=3.0)  # what one still writes down is not measured with the other
                rates[name].append(await _seven(run, houses[name], alerts))
        await asyncio.sleep(SETTLE_SECONDS)
        for block in range(blocks):
            for name in sorted(houses, reverse=block % 2 == 1):
                heard[name].append(
                    await listen_lightly(
                        houses[name], run.sink, seconds=BLOCK_SECONDS, a_second=10, quiet=0.7
                    )
                )
        for name, house in houses.items():
            alert_of = await house.fan_out_of()
            lasts[name] = [
                [last for _, last in one.times(alert_of, fan_out=FAN_OUT - 1, without=f"/{HANGING}")]
                for one in heard[name]
            ]
    finally:
        server.close()
    found: dict[str, Any] = {"blocks": blocks}
    for name in houses:
        whole = list(chain.from_iterable(lasts[name]))
        found[name] = {
            "per_second": statistics.median(rates[name]), "alerts": len(whole),
            "last_p50": at(whole, 50), "last_p90": at(whole, 90), "last_p99": at(whole, 99),
        }  # fmt: skip
    for key in ("per_second", "last_p50", "last_p90", "last_p99"):
        found[f"ratio_{key}"] = found["hanging"][key] / found["undisturbed"][key]
    for percent in (50, 90, 99):
        found[f"within_p{percent}"] = ratio_within(lasts["hanging"], lasts["undisturbed"], percent)
    return found


async def _seven(run: "Run", house: Spread, alerts: int, *, limit_seconds: float = 60.0) -> float:
    """Deliveries a second to the seven that answer, by what reached the sink."""
    run.sink.fresh()
    expected = alerts * (FAN_OUT - 1)
    requests = iter(list(house.requests(alerts)))
    began = time.perf_counter()
    sending = asyncio.create_task(burst(house.url, requests, in_flight=32))
    arrived = 0
    while arrived < expected and time.perf_counter() - began < limit_seconds:
        await asyncio.sleep(0.02)
        arrived += sum(path != f"/{HANGING}" for _, _, path in run.sink.fresh())
    seconds = time.perf_counter() - began
    await sending
    return arrived / seconds


async def dead(run: "Run", pace: float) -> dict[str, Any]:
    """Three bodies of ten are dead (refused, hanging, taking no connection), with a heap waiting for them.

    Measured: from sending an immediate alert to the first attempt of each of its deliveries, those to the dead
    included. At the one that hangs the first byte counts, at the others the start that is on record.
    """
    refused, silent = free_ports(2)
    heard: dict[str, float] = {}
    server = await hang(silent, heard)
    with socket.socket() as full:
        # Its backlog is full and nobody accepts: connecting takes as long as to a machine that is switched off.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        ports = (refused, silent, full.getsockname()[1])
        house = run.spread(
            "dead", others={code: f"http://127.0.0.1:{port}/" for code, port in zip(DEAD, ports, strict=True)}
        )
        try:
            heap = int(200 * pace)
            requests = iter(list(house.requests(heap)))
            await burst(house.url, requests, in_flight=32)
            await _settled(run)
            sent = await paced(house.url, iter(list(house.requests(int(100 * pace)))), a_second=5)
            await asyncio.sleep(3)
            waits = await _first_attempts(
                house, {str(json.loads(body)["id"]): when for when, _, body in sent}, DEAD[1], heard
            )
        finally:
            server.close()
    found: dict[str, Any] = {"heap": heap * len(DEAD), "alerts": len(sent)}
    for name, codes in {
        "alive": set(AGENCIES) - set(DEAD), "refused": {DEAD[0]}, "silent": {DEAD[1]}, "no_connection": {DEAD[2]},
    }.items():  # fmt: skip
        values = [wait for code, wait in waits if code in codes]
        late = sum(value > 1000 for value in values)
        found[name] = {"attempts": len(values), "p50": at(values, 50), "p99": at(values, 99), "late": late}
    return found


async def _settled(run: "Run", *, quiet: float = 1.0, limit_seconds: float = 60.0) -> None:
    """Until nothing has reached the sink for a moment."""
    began = moved = time.perf_counter()
    while time.perf_counter() - moved < quiet and time.perf_counter() - began < limit_seconds:
        await asyncio.sleep(0.1)
        if run.sink.fresh():
            moved = time.perf_counter()


async def _first_attempts(
    house: Spread, sent: dict[str, float], silent: str, heard: dict[str, float]
) -> list[tuple[str, float]]:
    """Code of the agency and ms from sending the alert to its first attempt; endless when there was none.

    Args:
        sent: alert's handle → when it was sent, seconds since 1970.
        silent: code of the agency whose own record, ``heard``, counts.
    """
    codes = {one.agency_id: code for code, one in house.connected.items()}
    plain = await asyncpg.connect(house.database)
    try:
        rows = await plain.fetch(
            "SELECT h.handle, d.id, d.agency_id, a.started_at FROM deliveries d"
            " JOIN alert_handles h ON h.alert_id = d.alert_id AND h.is_reporter = 'y'"
            " LEFT JOIN attempts a ON a.delivery_id = d.id AND a.no = 1"
            " WHERE d.urgency = 0 AND d.rung = 0 AND d.agency_id::text = ANY($1) AND h.handle::text = ANY($2)",
            list(codes), list(sent),
        )  # fmt: skip
    finally:
        await plain.close()
    found = []
    for handle, delivery, agency, started in rows:
        code = codes[str(agency)]
        began = heard.get(str(delivery)) if code == silent else started and started.timestamp()
        found.append((code, (began - sent[str(handle)]) * 1000 if began else float("inf")))
    return found


async def workers(run: "Run", pace: float) -> dict[str, Any]:
    """A heap of alerts for one worker, then for two: planning, sending and writing, with nothing else to do."""
    house = run.spread("workers")
    await measure_burst(house, run.sink, run.servers, 30)
    alerts = int(250 * pace)
    one = [await _drain(run, house, alerts) for _ in range(2)]
    house.add_worker()
    await measure_burst(house, run.sink, run.servers, 30)
    two = [await _drain(run, house, alerts) for _ in range(2)]
    best = {"one": max(one), "two": max(two)}
    return {**best, "ratio": best["two"] / best["one"]}


async def _drain(run: "Run", house: Spread, alerts: int) -> float:
    """Deliveries a second of the workers alone: they stand still until all alerts are accepted and relayed."""
    before = await house.recorded()
    pids = house.workers()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        await burst(house.url, iter(list(house.requests(alerts))), in_flight=16)
        await asyncio.sleep(1)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    began = time.perf_counter()
    expected = alerts * FAN_OUT
    done = 0
    while done < expected and time.perf_counter() - began < CLIMB_SECONDS:
        await asyncio.sleep(0.05)
        done = await house.recorded() - before
    run.sink.fresh()
    return done / (time.perf_counter() - began)


async def receipts(run: "Run", house: Spread, alerts: int) -> dict[str, Any]:
    """Each delivery of so many alerts is opened and answered with a signed receipt, through the gateway."""
    await measure_burst(house, run.sink, run.servers, alerts)
    pairs = await _answers(house, alerts * FAN_OUT)
    meter = Meter(house.pids(), run.servers)
    meter.start()
    opened, opening, not_opened = await burst(house.url, iter([one for one, _ in pairs]), in_flight=16)
    answered, answering, not_answered = await burst(house.url, iter([one for _, one in pairs]), in_flight=16)
    app, everything = meter.read()
    return {
        "deliveries": len(pairs), "refused": len(not_opened) + len(not_answered),
        "opened_per_second": opened / opening, "receipts_per_second": answered / answering,
        "both_per_second": len(pairs) / (opening + answering),
        "cpu_app_per_1000": app / len(pairs) * 1000, "cpu_all_per_1000": everything / len(pairs) * 1000,
    }  # fmt: skip


async def _answers(house: Spread, most: int) -> list[tuple[bytes, bytes]]:
    """For each notice the request that opens its content and the one that answers it, signed beforehand."""
    plain = await asyncpg.connect(house.database)
    try:
        rows = await plain.fetch(
            "SELECT d.agency_id, n.body FROM deliveries d JOIN notices n ON n.delivery_id = d.id"
            " WHERE d.state = 'transmitted' AND d.rung = 0 ORDER BY d.planned_at DESC LIMIT $1", most,
        )  # fmt: skip
    finally:
        await plain.close()
    keys = {one.agency_id: OKPKey.import_key(one.receipt_key or {}) for one in house.connected.values()}
    tokens = {one.agency_id: house.calls.token(agency=code) for code, one in house.connected.items()}
    made = []
    for row in rows:
        agency, body = str(row["agency_id"]), bytes(row["body"])
        notice = json.loads(body)
        bearer = {"Authorization": f"Bearer {tokens[agency]}"}
        receipt = {
            "delivery": notice["delivery"],
            "notice_digest": hashlib.sha256(body).hexdigest(),
            "status": "received",
            "person": {"name": "Кезекші маман", "position": "кезекші"},
            "reference": "B-1",
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        signed = jws.serialize_compact(
            {"alg": "Ed25519"}, json.dumps(receipt), keys[agency], algorithms=["Ed25519"]
        )
        made.append((
            request(
                notice["content"]["url"], b"", {**bearer, "Dabyl-Grant": notice["content"]["grant"]}, method="GET"
            ),
            request(
                notice["receipt"]["url"], signed.encode(), {**bearer, "Content-Type": "application/jose"}
            ),
        ))  # fmt: skip
    return made
