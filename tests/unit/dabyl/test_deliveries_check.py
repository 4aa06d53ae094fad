"""What ``dabyl deliveries check`` says by its exit code: wrong is 1, unknown is 2."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dabyl.__main__ import app
from dabyl.calls import Calls
from dabyl.weighing import PATIENCE, exit_code, lines, weigh
from gateway.domain.routes import ROUTES

WELL = {"service": "intake", "holds": True, "waiting": 0, "oldest_at": None, "missing": {"notifier": 0}}


def a_balance(**more: Any) -> dict[str, Any]:
    return {
        "holds": True, "planned": 1, "states": {"waiting": 1}, "imbalances": [],
        "outboxes": [WELL], "silent": [],
    } | more  # fmt: skip


def test_nobody_answers_is_two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bootstrap.json").write_text('{"client_id": "x", "client_secret": "x"}')
    monkeypatch.setenv("DABYL_HOME", str(tmp_path))
    monkeypatch.setenv("DABYL_URL", "http://127.0.0.1:9")
    assert CliRunner().invoke(app, ["deliveries", "check"]).exit_code == 2


def test_a_publisher_that_is_silent_is_two_and_named() -> None:
    balance = a_balance(silent=["casework"])
    assert exit_code(balance) == 2
    said = "\n".join(lines(balance))
    assert "casework" in said
    assert "adds up" not in said


def test_what_is_wrong_counts_before_what_is_not_known() -> None:
    stuck = WELL | {
        "holds": False,
        "waiting": 3,
        "oldest_at": "2026-10-23T10:00:00Z",
        "missing": {"notifier": 2},
    }
    balance = a_balance(holds=False, outboxes=[stuck], silent=["casework"])
    assert exit_code(balance) == 1
    said = "\n".join(lines(balance))
    assert "3 events did not leave" in said
    assert "2 events were never taken by notifier" in said


def test_all_is_well_is_nought() -> None:
    assert exit_code(a_balance()) == 0
    assert list(lines(a_balance()))[-1] == "the ledger adds up"


def test_the_whole_ledger_may_take_longer_than_any_other_call(tmp_path: Path) -> None:
    """Here every call may take 1 s; the ledger takes longer than that, and so does one outbox."""
    (tmp_path / "bootstrap.json").write_text('{"client_id": "x", "client_secret": "x"}')
    given_up = threading.Event()

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.answer({"access_token": "t", "expires_in": 600})

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/v1/conservation":
                given_up.wait(1.6)
                self.answer(a_balance())
            elif path.endswith("/casework"):
                given_up.wait(10)
            else:
                self.answer(WELL | {"service": path.rpartition("/")[2]})

        def answer(self, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    calls = Calls(f"http://127.0.0.1:{server.server_port}", tmp_path, patience=1)
    try:
        balance = weigh(calls, "whole")
    finally:
        given_up.set()
        calls.close()
        server.shutdown()
        server.server_close()
    assert (balance["planned"], balance["silent"]) == (1, ["casework"])


def test_the_command_waits_longer_than_the_gateway() -> None:
    [route] = [one for one in ROUTES if one.template == "/v1/conservation"]
    assert route.timeout < PATIENCE
