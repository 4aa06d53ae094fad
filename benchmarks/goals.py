"""The goals, and what the run measured of each."""

from typing import Any

PEERS = {
    "peer_node": ("Node", 2.0),
    "peer_faststream": ("tuned FastStream", 8.0),
    "peer_procrastinate": ("tuned Procrastinate", 12.0),
    "peer_celery": ("Celery", 20.0),
}
"""Deliveries a second: so many times as many as each."""
CPU = {"peer_node": 0.5, "peer_faststream": 0.125}
"""CPU a delivery, everything: at most so much of each."""
DEAD = ("refused", "silent", "no_connection")


class _Rows(list[str]):
    def least(self, label: str, wanted: float, value: float) -> None:
        self._add(label, f"≥ {wanted:g}", value, is_met=value >= wanted)

    def most(
        self, label: str, wanted: float, value: float, *, within: tuple[float, float] | None = None
    ) -> None:
        """``within``: where nine of ten drawings lie, shown beside the value."""
        self._add(label, f"≤ {wanted:g}", value, is_met=value <= wanted, within=within)

    def _add(
        self,
        label: str,
        wanted: str,
        value: float,
        *,
        is_met: bool,
        within: tuple[float, float] | None = None,
    ) -> None:
        spread = f" ({within[0]:.2f}–{within[1]:.2f})" if within else ""
        self.append(f"| {label} | {wanted} | {value:.2f}{spread} | {'met' if is_met else '**missed**'} |")


def rows(found: dict[str, Any], measured: dict[str, dict[str, Any]]) -> list[str]:
    """A row a goal of a Markdown table; goals of parts that failed are left out."""
    lines = _Rows()
    if ours := measured.get("dabyl"):
        _beside_peers(lines, ours, measured)
        _alone(lines, ours)
    _scenarios(lines, found)
    if embedded := measured.get("embedded"):
        lines.least("embedded, deliveries/s", 300, embedded["per_second"])
        if celery := measured.get("peer_celery"):
            ratio = embedded["per_second"] / celery["per_second"]
            lines.least("embedded ÷ Celery with its servers", 1, ratio)
    return lines


def _beside_peers(lines: _Rows, ours: dict[str, Any], measured: dict[str, dict[str, Any]]) -> None:
    for key, (label, wanted) in PEERS.items():
        if peer := measured.get(key):
            lines.least(f"deliveries/s ÷ {label}", wanted, ours["per_second"] / peer["per_second"])
    for key, most in CPU.items():
        if peer := measured.get(key):
            cpu = ours["cpu_all_per_1000"] / peer["cpu_all_per_1000"]
            lines.most(f"CPU a delivery, everything ÷ {PEERS[key][0]}", most, cpu)
    if node := measured.get("peer_node"):
        accepted = ours["accepted_per_second"] / node["accepted_per_second"]
        lines.least("alerts accepted/s ÷ Node", 1.5, accepted)


def _alone(lines: _Rows, ours: dict[str, Any]) -> None:
    if "bare" in ours:
        lines.least("deliveries/s ÷ bare POSTs of the same client", 0.3, ours["per_second"] / ours["bare"])
    lines.most("last of 8 at 5 alerts/s, p50 ms", 10, ours["light"]["last_p50"])
    lines.most("last of 8 at 5 alerts/s, p99 ms", 25, ours["light"]["last_p99"])
    lines.most("peak memory of all seven processes, MB", 250, ours["memory_mb"])


def _scenarios(lines: _Rows, found: dict[str, Any]) -> None:
    if hanging := found.get("hanging"):
        lines.least("one agency hangs: throughput of the other seven", 0.9, hanging["ratio_per_second"])
        for percent in (50, 90, 99):
            lines.most(
                f"one agency hangs: p{percent} of the other seven ÷ undisturbed", 1.1,
                hanging[f"ratio_last_p{percent}"], within=hanging[f"within_p{percent}"],
            )  # fmt: skip
    if dead := found.get("dead"):
        lines.most("three of ten dead: first attempts to the living, p99 ms", 1000, dead["alive"]["p99"])
        worst = max(dead[key]["p99"] for key in DEAD)
        lines.most("three of ten dead: first attempts to the dead, p99 ms", 1000, worst)
    if growth := found.get("growth"):
        label = f"beside {growth['finished']:,} finished and {growth['open']:,} open ÷ empty"
        lines.most(f"claim {label}, p50", 1.5, growth["ratio"])
        lines.most(f"claim {label}, p99", 1.5, growth["ratio_p99"])
        burst = growth["burst"]
        cpu = burst["full"]["cpu_all_per_1000"] / burst["empty"]["cpu_all_per_1000"]
        lines.most(f"CPU a delivery through the house {label}", 1.5, cpu)
    if workers := found.get("workers"):
        lines.least("two workers ÷ one (on these cores, with everything else)", 1.7, workers["ratio"])
