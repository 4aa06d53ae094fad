"""An agency's system that keeps every byte it was sent: headers in their order, bodies as they came."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from joserfc import jws
from joserfc.jwk import OKPKey

from dabyl.calls import Calls
from dabyl.onboarding import Connected, connect, find_agency
from tests.acceptance.raw import Answer, ask
from tests.acceptance.reporting import until


@dataclass(frozen=True)
class Taken:
    """One request as it came."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def notice(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    def everything(self) -> bytes:
        head = "\n".join(f"{name}: {value}" for name, value in self.headers)
        return self.path.encode() + b"\n" + head.encode("latin-1", "replace") + b"\n\n" + self.body


@dataclass
class Recorder:
    """A server on loopback; answers 200 to everything, or what ``status`` says."""

    url: str
    taken: list[Taken] = field(default_factory=list)
    status: int = 200


@contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder that listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            recorder.taken.append(Taken(self.path, tuple(self.headers.items()), body))
            self.send_response(recorder.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
            """Say nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recorder = Recorder(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Agency:
    """An agency of the register with a system of its own, connected as ``dabyl agency add`` does it.

    Args:
        code: agency code.
        url: where its notices go; ``None`` for a body that pulls.
    """

    def __init__(self, calls: Calls, code: str, url: str | None = None) -> None:
        self._calls = calls
        found = find_agency(calls, code)
        assert found is not None, code
        # Of two endpoints in force the newest counts, but one that was left keeps what waits for it.
        assert url is None or not _endpoints_in_force(calls, found), (
            f"{code} has an endpoint: take another body"
        )
        self.code = code
        self.id = str(found["id"])
        self.bodies = tuple(mandate["role"] for mandate in found["mandates"])
        self.connected: Connected = connect(calls, found, url, send_test=False)
        self.token = self.log_in()

    def log_in(self) -> str:
        """A token by its own client id and secret."""
        form = (
            f"grant_type=client_credentials&client_id={self.connected.client_id}"
            f"&client_secret={self.connected.client_secret}"
        )
        headers = (("Content-Type", "application/x-www-form-urlencoded"),)
        answer = ask(self._calls.url, "POST", "/oauth/token", headers=headers, body=form.encode())
        assert answer.status == 200, answer
        return str(json.loads(answer.body)["access_token"])

    def call(
        self,
        method: str,
        target: str,
        *,
        grant: str | None = None,
        body: bytes | None = None,
        media: str = "",
    ) -> Answer:
        """One call with its own token."""
        headers = [("Authorization", f"Bearer {self.token}")]
        if grant is not None:
            headers.append(("Dabyl-Grant", grant))
        if body is not None:
            headers.append(("Content-Type", media or "application/json"))
        return ask(self._calls.url, method, target, headers=headers, body=body)

    def inbox(self) -> list[dict[str, Any]]:
        """What waits, as the inbox gives it."""
        answer = self.call("GET", "/v1/inbox")
        assert answer.status == 200, answer
        return list(json.loads(answer.body)["items"])

    def open(self, notice: dict[str, Any]) -> Answer:
        """The content behind a notice."""
        return self.call("GET", path_of(notice["content"]["url"]), grant=notice["content"]["grant"])

    def receipt(self, notice: dict[str, Any], digest: str, **changes: Any) -> dict[str, Any]:
        """What it would answer."""
        told = {
            "delivery": notice["delivery"],
            "notice_digest": digest,
            "status": "received",
            "person": {"name": "Кезекші маман", "position": "кезекші"},
            "reference": f"R-{uuid4().hex[:8]}",
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        return told | changes

    def signed(self, receipt: dict[str, Any], key: dict[str, Any] | None = None) -> bytes:
        """The receipt as compact JWS, with its own key or another."""
        private = OKPKey.import_key(key or self.connected.receipt_key or {})
        text = json.dumps(receipt, ensure_ascii=False)
        return jws.serialize_compact({"alg": "Ed25519"}, text, private, algorithms=["Ed25519"]).encode()

    def answer(self, notice: dict[str, Any], receipt: dict[str, Any], *, sign: bool = True) -> Answer:
        """Send a receipt, signed where it has a key."""
        signs = sign and self.connected.receipt_key is not None
        body = self.signed(receipt) if signs else json.dumps(receipt, ensure_ascii=False).encode()
        return self.call(
            "POST", path_of(notice["receipt"]["url"]), body=body,
            media="application/jose" if signs else "application/json",
        )  # fmt: skip


def _endpoints_in_force(calls: Calls, agency: dict[str, Any]) -> list[str]:
    page = calls.get("/v1/endpoints", token=calls.registrar(), agency=agency["id"])
    return [one["id"] for one in page["items"] if one["revoked_at"] is None]


def path_of(url: str) -> str:
    """Path and query of a URL in a notice."""
    return url[url.index("/v1/") :]


def notice_for(recorder: Recorder, path: str, *, seconds: float = 20) -> Taken:
    """The newest notice that came to a path of the recorder."""

    def newest() -> Taken | None:
        found = [one for one in recorder.taken if one.path == path and not one.notice.get("test")]
        return found[-1] if found else None

    taken: Taken = until(newest, seconds=seconds)
    return taken
