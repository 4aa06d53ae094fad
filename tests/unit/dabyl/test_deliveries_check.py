"""What ``dabyl deliveries check`` says by its exit code: wrong is 1, unknown is 2."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dabyl.__main__ import app
from dabyl.weighing import exit_code, lines

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
