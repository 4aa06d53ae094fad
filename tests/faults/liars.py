"""Agencies that lie: each takes notices from the real house, lies twice in its own way, and repents.

A raw server, so that nothing keeps it from being wrong. What is asserted is seen from outside: what each liar
received, and what the house says about the delivery afterwards.
"""

import asyncio
import gzip
import hashlib
import json
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import OKPKey

from dabyl.calls import Calls
from dabyl.onboarding import Connected, connect, find_agency
from tests.acceptance.kill.client import Kind
from tests.acceptance.reporting import deliveries_of, until
from tests.faults.scene import Scene, read_lines

LIES = 2
REGIONS = ("kz-71", "kz-79", "kz-33")
"""None that the other stories report from: what waits there for a system would come to the liars, too."""
ROLES = (
    "internal-affairs", "regional-child-rights-body", "regional-child-ombudsman", "family-mobile-group",
    "child-violence-help-cabinet", "psych-support-centre",
)  # fmt: skip
"""Bodies of a region that an alert about violence goes to at once."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
Lie = Callable[[asyncio.StreamWriter], Awaitable[None]]


def _say(answer: bytes) -> Lie:
    async def lie(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return lie


def _answer(status: str, *headers: str, body: bytes = b"") -> Lie:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return _say("\r\n".join(lines).encode() + body)


async def _drip(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" * 3:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def _hang(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def _huge(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x" * 100_000)
        await writer.drain()


async def _endless_continue(writer: asyncio.StreamWriter) -> None:
    for _ in range(200):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Sort:
    """A way of lying.

    Attributes:
        lie: the answer; the connection is closed after it.
        outcomes: how attempts that met it may end.
        is_taken: whether the house is right to believe that the notice was taken.
    """

    lie: Lie
    outcomes: frozenset[str]
    is_taken: bool = False


def _sort(lie: Lie, *outcomes: str, is_taken: bool = False) -> Sort:
    return Sort(lie, frozenset(outcomes), is_taken)


SORTS: dict[str, Sort] = {
    "200, then nothing": _sort(_say(OK), "accepted", is_taken=True),
    "202, no receipt": _sort(_answer("202 Accepted"), "accepted", is_taken=True),
    "another content type": _sort(
        _answer("200 OK", "Content-Type: text/html", body=b"<h1>error</h1>"), "accepted", is_taken=True
    ),
    "a body without end": _sort(_huge, "accepted", is_taken=True),
    "a gzip bomb": _sort(
        _answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"\0" * 50_000_000)),
        "accepted", is_taken=True,
    ),
    "301 to another host": _sort(_answer("301 Moved", "Location: http://127.0.0.1:9/"), "redirected"),
    "307 to itself": _sort(_answer("307 Moved", "Location: /again"), "redirected"),
    "a byte a second": _sort(_drip, "no_answer"),
    "silence": _sort(_hang, "no_answer"),
    # The status is the answer; what stands behind it is not asked for. A receipt is what counts.
    "closes in the middle of the answer": _sort(
        _say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), "accepted", is_taken=True
    ),
    "closes in the middle of the headers": _sort(_say(b"HTTP/1.1 200 O"), "no_answer", "failed"),
    "500 after it took it": _sort(_answer("500 Oops"), "failed"),
    "no HTTP": _sort(_say(b"\x16\x03\x01 220 smtp ready\r\n"), "failed", "no_answer"),
    "headers without end": _sort(_answer("200 OK", f"X-Flood: {'x' * 200_000}"), "failed", "no_answer"),
    "429, come back in 300 years": _sort(_answer("429 No", "Retry-After: 9999999999"), "throttled"),
    "503, come back yesterday": _sort(
        _answer("503 No", "Retry-After: Mon, 01 Jan 2001 00:00:00 GMT"), "throttled", "failed"
    ),
    "100 without end": _sort(_endless_continue, "no_answer"),
    "TLS that nobody vouches for": _sort(_say(OK), "unreachable"),
}  # fmt: skip
"""Eighteen; receipts are lied about afterwards, in seven ways."""

HOSTILE_TLS = "TLS that nobody vouches for"
COMES_LATE = "429, come back in 300 years"
"""It is tried again within a sixth of its legal time, which is longer than a test waits."""


@dataclass
class Liars:
    """The server; what came is in ``heard`` by path: (delivery id, digest)."""

    folder: Path
    port: int = 0
    tls_port: int = 0
    heard: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    sorts: dict[str, Sort] = field(default_factory=dict)

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="liars").start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> None:
        plain = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_expired_certificate(self.folder))
        hostile = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port, self.tls_port = (one.sockets[0].getsockname()[1] for one in (plain, hostile))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            path = lines[0].split()[1]
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            heard = self.heard[path]
            heard.append((headers.get("webhook-id", ""), hashlib.sha256(body).hexdigest()))
            repents = len(heard) > LIES and path in self.sorts
            await (_say(OK) if repents else self.sorts[path].lie)(writer)
        except (OSError, asyncio.IncompleteReadError, KeyError):
            pass
        finally:
            writer.close()


def _expired_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "liar")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / "liar.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@dataclass
class Case:
    """One liar, connected."""

    sort: str
    path: str
    given: Connected
    delivery: dict[str, Any] = field(default_factory=dict)


def lie_in_eighteen_ways(scene: Scene) -> None:
    """Each liar is told of one alert; what they do to it is judged one by one."""
    liars = Liars(scene.folder)
    liars.start()
    calls = Calls(scene.house.url, scene.folder)
    cases = _connect(calls, liars)
    kinds = [
        Kind(
            "elsewhere",
            {"territory": region.upper(), "concerns": ["violence"],
             "alleged_offender": {"relation": "other_adult"}},
        )
        for region in REGIONS
    ]  # fmt: skip
    since = scene.client_lines()
    reporter = scene.stage.reporter(count=len(REGIONS), every=0.1, kinds=kinds)
    reporter.start()
    reporter.join(120)
    alerts = [
        line["id"] for line in read_lines(scene.stage.client_log)[since:] if line["event"] == "accepted"
    ]
    wrong: list[str] = []

    def all_through() -> bool:
        found = {one["agency"]: one for alert in alerts for one in deliveries_of(calls, alert)}
        for case in cases:
            case.delivery = found.get(case.given.agency_id, {})
        return all(
            case.delivery.get("state") in ("transmitted", "acknowledged")
            or (case.sort in (HOSTILE_TLS, COMES_LATE) and len(_outcomes(case)) >= 1)
            for case in cases
        )

    try:
        until(all_through, seconds=240, every=1.0)
    except AssertionError:
        wrong.append("not all came to an end in time")
    for case in cases:
        wrong += _judge(case, liars)
    wrong += _lie_about_receipts(scene.house.url, calls, cases, alerts)
    calls.close()
    scene.notes.append(f"{len(cases)} ways to answer, 7 ways to acknowledge")
    if wrong:
        raise AssertionError("; ".join(wrong))


def _connect(calls: Calls, liars: Liars) -> list[Case]:
    cases = []
    bodies = [f"{role}-{region}" for region in REGIONS for role in ROLES]
    for code, (name, sort) in zip(bodies, SORTS.items(), strict=True):
        agency = find_agency(calls, code)
        assert agency, code
        path = f"/{code}"
        liars.sorts[path] = sort
        base = (
            f"https://127.0.0.1:{liars.tls_port}" if name == HOSTILE_TLS else f"http://127.0.0.1:{liars.port}"
        )
        cases.append(Case(name, path, connect(calls, agency, base + path, send_test=False)))
    time.sleep(2)  # the notifier's copy of the directory follows
    return cases


def _outcomes(case: Case) -> list[str]:
    return [one["outcome"] for one in case.delivery.get("attempts", ()) if one["outcome"]]


def _judge(case: Case, liars: Liars) -> list[str]:
    wrong = []
    sort, heard, outcomes = liars.sorts[case.path], liars.heard[case.path], _outcomes(case)
    lied = outcomes[: 1 if sort.is_taken else LIES]
    if not lied or not set(lied) <= sort.outcomes:
        wrong.append(f"{case.sort}: attempts ended {outcomes}")
    if len({one for one, _ in heard}) > 1 or len({digest for _, digest in heard}) > 1:
        wrong.append(f"{case.sort}: heard under {len(set(heard))} ids or bodies")
    if len(heard) > len(case.delivery.get("attempts", ())):
        wrong.append(f"{case.sort}: {len(heard)} requests, {len(outcomes)} attempts written")
    if sort.is_taken and len(heard) > 1:
        wrong.append(f"{case.sort}: sent again without a cause")
    if case.sort == HOSTILE_TLS and (heard or case.delivery.get("transmitted_at")):
        wrong.append(f"{case.sort}: it was spoken to")
    if case.sort == COMES_LATE:
        wrong += _judge_wish(case)
    if case.delivery.get("state") == "acknowledged":
        wrong.append(f"{case.sort}: acknowledged without a receipt")
    return wrong


def _judge_wish(case: Case) -> list[str]:
    """Honoured, but never beyond a sixth of the legal time that is left."""
    if case.delivery.get("state") != "waiting":
        return []
    next_at = datetime.fromisoformat(case.delivery["next_attempt_at"])
    deadline = datetime.fromisoformat(case.delivery["deadline_at"])
    ended = datetime.fromisoformat(case.delivery["attempts"][-1]["ended_at"])
    wait, most = next_at - ended, (deadline - ended) / 6 + timedelta(seconds=1)
    return [] if wait <= most else [f"{case.sort}: waits {wait}, at most {most}"]


def _lie_about_receipts(url: str, calls: Calls, cases: list[Case], alerts: list[str]) -> list[str]:
    """Wrong receipts change nothing, the right one does, and once more it is the same answer."""
    one, other = cases[0], cases[1]
    wrong: list[str] = []
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        tried = {
            "of another digest": _post(http, one, one, digest="0" * 64),
            "for another agency's delivery": _post(http, other, one),
            "unsigned": _post(http, one, one, signed=False),
            "signed by another key": _post(
                http, one, one, key=OKPKey.generate_key("Ed25519").as_dict(private=True)
            ),
            "of another delivery": _post(http, one, one, names=other.delivery["id"]),
        }
        wrong += [
            f"receipt {name}: {status}" for name, (status, _) in tried.items() if not 400 <= status < 500
        ]
        if "acknowledged" in _states(calls, alerts, (one, other)):
            wrong.append("a wrong receipt acknowledged a delivery")
        first, text = _post(http, one, one)
        again, same = _post(http, one, one)
        if first >= 300 or again >= 300 or text != same:
            wrong.append(f"receipt twice: {first}, {again}, the same answer: {text == same}")
    if _states(calls, alerts, (one, other)) != ["acknowledged", "transmitted"]:
        wrong.append(f"after the receipt: {_states(calls, alerts, (one, other))}")
    return wrong


def _states(calls: Calls, alerts: list[str], cases: tuple[Case, ...]) -> list[str]:
    found = {one["id"]: one["state"] for alert in alerts for one in deliveries_of(calls, alert)}
    return [found[case.delivery["id"]] for case in cases]


def _post(
    http: httpx.Client,
    speaker: Case,
    about: Case,
    *,
    digest: str = "",
    names: str = "",
    signed: bool = True,
    key: dict[str, Any] | None = None,
) -> tuple[int, str]:
    form = {
        "grant_type": "client_credentials",
        "client_id": speaker.given.client_id,
        "client_secret": speaker.given.client_secret,
    }
    token = http.post("/oauth/token", data=form).raise_for_status().json()["access_token"]
    receipt = {
        "delivery": names or about.delivery["id"],
        "notice_digest": digest or about.delivery["notice_digest"],
        "status": "received",
        "person": {"name": "Кезекші маман", "position": "кезекші"},
        "reference": f"LIE-{uuid4().hex[:8]}" if digest or names else "LIE-1",
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    text = json.dumps(receipt, ensure_ascii=False)
    body, kind = text.encode(), "application/json"
    if signed:
        own = OKPKey.import_key(key or speaker.given.receipt_key or {})
        body = jws.serialize_compact({"alg": "Ed25519"}, text, own, algorithms=["Ed25519"]).encode()
        kind = "application/jose"
    answer = http.post(
        f"/v1/deliveries/{about.delivery['id']}/receipt",
        content=body,
        headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
    )
    return answer.status_code, answer.text
