"""The fan-out of one alert in a terminal: who was told, attempts, receipts, clocks; live, then final."""

import time
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dabyl.calls import CallRefused, Calls

_STYLE = {
    "acknowledged": "green",
    "transmitted": "cyan",
    "waiting": "yellow",
    "leased": "yellow",
    "rejected": "red",
    "dead": "red",
    "cancelled": "dim",
    "superseded": "dim",
}
_MARK = {"acknowledged": "✔", "transmitted": "→", "waiting": "…", "leased": "…", "rejected": "✘", "dead": "✘"}
REST_SECONDS = 4.0
POLL_SECONDS = 0.2
SHOWN_RUNS = 4


class Fanout:
    """Watches one alert until it comes to rest.

    Args:
        codes: agency codes by id, for people.
    """

    def __init__(self, calls: Calls, alert_id: str, console: Console, codes: dict[str, str]) -> None:
        self._calls = calls
        self._alert_id = alert_id
        self._console = console
        self._codes = codes
        self._began = time.monotonic()
        self.deliveries: list[dict[str, Any]] = []

    def watch(self, *, at_most_seconds: float) -> bool:
        """Show until every delivery has an answer, or no state changed for a while.

        Attempts that only repeat do not count as change: a dead agency is tried for ever.

        Returns:
            Whether at least one delivery was seen.
        """
        last_change = time.monotonic()
        before: object = None
        with Live(self._table(), console=self._console, refresh_per_second=5, transient=True) as live:
            while time.monotonic() - self._began < at_most_seconds:
                self._read()
                now = [
                    (d["id"], d["state"], d["transmitted_at"], d["acknowledged_at"]) for d in self.deliveries
                ]
                if now != before:
                    before, last_change = now, time.monotonic()
                live.update(self._table())
                states = {d["state"] for d in self.deliveries}
                if self.deliveries and states <= {"acknowledged", "rejected"}:
                    break
                rested = time.monotonic() - last_change > REST_SECONDS
                if self.deliveries and rested and not self._may_just_stumble():
                    break
                time.sleep(POLL_SECONDS)
        self._console.print(self._table())
        return bool(self.deliveries)

    def _may_just_stumble(self) -> bool:
        """Whether an agency failed only once or twice so far, so that its next try is worth waiting for."""
        return any(d["state"] == "waiting" and 1 <= len(d["attempts"]) <= 2 for d in self.deliveries)

    def _read(self) -> None:
        token = self._calls.token(role="operator")
        try:
            self.deliveries = self._calls.get(f"/v1/alerts/{self._alert_id}/deliveries", token=token)["items"]
        except CallRefused as refusal:
            if refusal.status not in (404, 503):
                raise

    def _table(self) -> Table:
        table = Table(expand=False)
        table.add_column("Agency", no_wrap=True, min_width=34)
        table.add_column("Duties", overflow="fold", max_width=24)
        table.add_column("State", no_wrap=True)
        table.add_column("Attempts", overflow="fold")
        table.add_column("Told", justify="right", no_wrap=True)
        table.add_column("Receipt", justify="right", no_wrap=True)
        table.add_column("Clock left", justify="right", no_wrap=True)
        for delivery in sorted(self.deliveries, key=lambda d: (d["planned_at"], d["role"])):
            table.add_row(*self._row(delivery))
        return table

    def _row(self, delivery: dict[str, Any]) -> tuple[Text | str, ...]:
        state, reason = delivery["state"], delivery.get("reason")
        shown = f"{_MARK.get(state, '·')} {state}" + (f": {reason}" if reason and state == "waiting" else "")
        if delivery.get("escalation_level"):
            shown += f" ▲{delivery['escalation_level']}"
        rules = sorted({duty["rule"] for duty in delivery["duties"]})
        return (
            self._codes.get(str(delivery["agency"]), delivery["role"]),
            " ".join(rules),
            Text(shown, style=_STYLE.get(state, "")),
            _attempts(delivery["attempts"]),
            _after(delivery.get("transmitted_at"), delivery["planned_at"]),
            _after(delivery.get("acknowledged_at"), delivery["planned_at"]),
            _clock(delivery),
        )


def _attempts(attempts: list[dict[str, Any]]) -> str:
    outcomes = [str(attempt.get("outcome") or "running") for attempt in attempts]
    runs = [(outcome, len(list(run))) for outcome, run in groupby(outcomes)]
    shown = [outcome if count == 1 else f"{outcome} ×{count}" for outcome, count in runs]
    return ("… " if len(shown) > SHOWN_RUNS else "") + ", ".join(shown[-SHOWN_RUNS:])


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _after(at: str | None, planned: str) -> str:
    return "–" if at is None else f"{(_instant(at) - _instant(planned)).total_seconds():.2f} s"


def _clock(delivery: dict[str, Any]) -> str:
    dues = [duty["due_at"] for duty in delivery["duties"] if duty.get("due_at")]
    if not dues or delivery["state"] == "acknowledged":
        return "–"
    left = (min(map(_instant, dues)) - datetime.now(UTC)).total_seconds()
    minutes, seconds = divmod(int(abs(left)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{'late ' if left < 0 else ''}{hours}:{minutes:02}:{seconds:02}"
