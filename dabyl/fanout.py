"""The fan-out of one alert in a terminal: who was told, attempts, receipts, clocks; live, then final."""

import time
from datetime import UTC, datetime
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


class Fanout:
    """Watches one alert until nothing moved for a while.

    Args:
        names: agency names by id, for people.
    """

    def __init__(self, calls: Calls, alert_id: str, console: Console, names: dict[str, str]) -> None:
        self._calls = calls
        self._alert_id = alert_id
        self._console = console
        self._names = names
        self._began = time.monotonic()
        self.deliveries: list[dict[str, Any]] = []

    def watch(self, *, at_most_seconds: float) -> bool:
        """Show until every delivery has an answer, or nothing moved for a while after the first ones did.

        Returns:
            Whether at least one delivery was seen.
        """
        last_change = time.monotonic()
        before: object = None
        with Live(self._table(), console=self._console, refresh_per_second=5, transient=True) as live:
            while time.monotonic() - self._began < at_most_seconds:
                self._read()
                now = [(d["id"], d["state"], len(d["attempts"])) for d in self.deliveries]
                if now != before:
                    before, last_change = now, time.monotonic()
                live.update(self._table())
                states = {d["state"] for d in self.deliveries}
                if self.deliveries and states <= {"acknowledged", "rejected"}:
                    break
                if self.deliveries and time.monotonic() - last_change > REST_SECONDS:
                    break
                time.sleep(POLL_SECONDS)
        self._console.print(self._table())
        return bool(self.deliveries)

    def _read(self) -> None:
        token = self._calls.token(role="operator")
        try:
            self.deliveries = self._calls.get(f"/v1/alerts/{self._alert_id}/deliveries", token=token)["items"]
        except CallRefused as refusal:
            if refusal.status not in (404, 503):
                raise

    def _table(self) -> Table:
        table = Table(title=f"Alert {self._alert_id}", title_justify="left", expand=False)
        for heading in ("Agency", "Duties", "State", "Attempts", "Told after", "Receipt after", "Clock"):
            table.add_column(heading, overflow="fold")
        for delivery in self.deliveries:
            table.add_row(*self._row(delivery))
        return table

    def _row(self, delivery: dict[str, Any]) -> tuple[Text | str, ...]:
        state, reason = delivery["state"], delivery.get("reason")
        shown = f"{_MARK.get(state, '·')} {state}" + (f" ({reason})" if reason and state == "waiting" else "")
        if delivery.get("escalation_level"):
            shown += f" ▲{delivery['escalation_level']}"
        name = self._names.get(str(delivery["agency"]), delivery["role"])
        rules = ", ".join(sorted({duty["rule"] for duty in delivery["duties"]}))
        return (
            name,
            rules,
            Text(shown, style=_STYLE.get(state, "")),
            " ".join(str(attempt.get("outcome") or "running") for attempt in delivery["attempts"][-6:])
            + (f" ({len(delivery['attempts'])})" if len(delivery["attempts"]) > 6 else ""),
            _after(delivery.get("transmitted_at"), delivery),
            _after(delivery.get("acknowledged_at"), delivery),
            _clock(delivery),
        )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _after(at: str | None, delivery: dict[str, Any]) -> str:
    planned = delivery.get("planned_at")
    if at is None:
        return "–"
    if planned is None:
        return _instant(at).strftime("%H:%M:%S")
    return f"{(_instant(at) - _instant(planned)).total_seconds():.2f} s"


def _clock(delivery: dict[str, Any]) -> str:
    dues = [duty["due_at"] for duty in delivery["duties"] if duty.get("due_at")]
    if not dues:
        return "–"
    left = (min(map(_instant, dues)) - datetime.now(UTC)).total_seconds()
    sign = "late " if left < 0 else ""
    minutes, seconds = divmod(int(abs(left)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02}:{seconds:02}"
