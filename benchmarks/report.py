"""The table, the chart and the goals, written by the run."""

from pathlib import Path
from typing import Any

MARK = "<!-- figures -->"
OURS = "dabyl"


def write(found: dict[str, Any], folder: Path) -> None:
    """README.md keeps its words and gets new figures; chart.svg is drawn anew."""
    readme = folder / "README.md"
    words = readme.read_text().partition(MARK)[0].rstrip()
    readme.write_text(f"{words}\n\n{MARK}\n\n{figures(found)}")
    (folder / "chart.svg").write_text(chart(found))
    (folder.parent / "docs" / "sizing.md").write_text(sizing(found))


def _measured(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: one for key, one in found["contestants"].items() if "per_second" in one}


def figures(found: dict[str, Any]) -> str:
    """Ratios first, then goals, then absolute figures."""
    measured = _measured(found)
    ours = measured.get(OURS)
    lines = [
        f"Run on {found['cores']} cores{', quick' if found['quick'] else ''}; sink: {found['sink']}.",
        "",
    ]
    lines += ["![deliveries a second](chart.svg)", ""]
    if ours:
        lines += [
            "| ours ÷ | deliveries/s | alerts accepted/s | CPU a delivery, everything |",
            "|---|---|---|---|",
        ]
        for key, one in measured.items():
            if key != OURS:
                lines.append(
                    f"| {one['name']} | {ours['per_second'] / one['per_second']:.2f}"
                    f" | {ours['accepted_per_second'] / one['accepted_per_second']:.2f}"
                    f" | {ours['cpu_all_per_1000'] / one['cpu_all_per_1000']:.2f} |"
                )
        lines += ["", "| goal | wanted | measured | |", "|---|---|---|---|", *_goals(found, measured, ours)]
    lines += [
        "", "| who | deliveries/s | alerts/s | CPU s per 1,000, app / everything"
        " | first p50 / p99 ms | last of 8 p50 / p99 ms | memory MB (PSS) |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in measured.values():
        light = one["light"]
        lost = "" if one["deliveries"] >= one["expected"] else f" ({one['deliveries']} of {one['expected']})"
        lines.append(
            f"| {one['name']} | {one['per_second']:.0f}{lost} | {one['accepted_per_second']:.0f}"
            f" | {one['cpu_app_per_1000']:.2f} / {one['cpu_all_per_1000']:.2f}"
            f" | {light['first_p50']:.0f} / {light['first_p99']:.0f}"
            f" | {light['last_p50']:.0f} / {light['last_p99']:.0f} | {one['memory_mb']:.0f} |"
        )
    lines += [
        "",
        *(f"{key}: could not be started here." for key in found["contestants"] if key not in measured),
    ]
    if raw := found.get("limits"):
        lines += [
            f"Limits of this machine in this run: PostgreSQL {raw['postgres_inserts']:.0f} one-row commits/s,"
            f" RabbitMQ {raw['rabbit_confirms']:.0f} confirmed messages/s."
        ]
    return "\n".join(lines).rstrip() + "\n"


def _goals(found: dict[str, Any], measured: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    rows: list[tuple[str, str, float, bool]] = []

    def ratio(label: str, key: str, wanted: float) -> None:
        if key in measured:
            value = ours["per_second"] / measured[key]["per_second"]
            rows.append((f"deliveries/s ÷ {label}", f"≥ {wanted:g}", value, value >= wanted))

    ratio("Node", "peer_node", 2)
    ratio("tuned FastStream", "peer_faststream", 8)
    ratio("tuned Procrastinate", "peer_procrastinate", 12)
    ratio("Celery", "peer_celery", 20)
    if "peer_node" in measured:
        node = measured["peer_node"]
        cpu = ours["cpu_all_per_1000"] / node["cpu_all_per_1000"]
        accepted = ours["accepted_per_second"] / node["accepted_per_second"]
        rows.append(("CPU a delivery, everything ÷ Node", "≤ 0.5", cpu, cpu <= 0.5))
        rows.append(("alerts accepted/s ÷ Node", "≥ 1.5", accepted, accepted >= 1.5))
    light = ours["light"]
    rows.append(("last of 8 at 5 alerts/s, p50 ms", "≤ 10", light["last_p50"], light["last_p50"] <= 10))
    rows.append(("last of 8 at 5 alerts/s, p99 ms", "≤ 25", light["last_p99"], light["last_p99"] <= 25))
    rows.append(("memory of all processes, MB", "≤ 250", ours["memory_mb"], ours["memory_mb"] <= 250))
    if "hanging" in found:
        value = found["hanging"]["per_second"] / ours["per_second"] * 8 / 7
        rows.append(("one agency hangs: the other seven", "≥ 0.9", value, value >= 0.9))
    if "two_workers" in found:
        value = found["two_workers"]["per_second"] / ours["per_second"]
        rows.append(("two workers ÷ one (on these cores)", "≥ 1.7", value, value >= 1.7))
    if "growth" in found:
        value = found["growth"]["ratio"]
        rows.append(("claim with 1 M finished, 100 k open ÷ empty", "≤ 1.5", value, value <= 1.5))
    if "embedded" in measured:
        value = measured["embedded"]["per_second"]
        rows.append(("embedded, deliveries/s", "≥ 300", value, value >= 300))
    return [
        f"| {name} | {goal} | {value:.2f} | {'met' if met else '**missed**'} |"
        for name, goal, value, met in rows
    ]


def chart(found: dict[str, Any]) -> str:
    """Bars of deliveries a second."""
    bars = sorted(_measured(found).values(), key=lambda one: -one["per_second"])
    most = max((one["per_second"] for one in bars), default=1.0)
    rows = []
    for place, one in enumerate(bars):
        y, width = 10 + place * 28, max(1.0, one["per_second"] / most * 380)
        colour = "#1f6f54" if one["name"].startswith("Dabyl") else "#9aa5ab"
        rows.append(
            f'<text x="250" y="{y + 14}" text-anchor="end">{one["name"]}</text>'
            f'<rect x="260" y="{y}" width="{width:.1f}" height="20" fill="{colour}"/>'
            f'<text x="{266 + width:.1f}" y="{y + 14}">{one["per_second"]:.0f}</text>'
        )
    height = 20 + 28 * len(bars)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="700" height="{height}" role="img"'
    return f'{head} font-family="sans-serif" font-size="12"><title>Deliveries a second</title>{"".join(rows)}</svg>\n'


def sizing(found: dict[str, Any]) -> str:
    """What an operator plans with."""
    ours = _measured(found).get(OURS, {})
    embedded = _measured(found).get("embedded", {})
    growth = found.get("growth")
    lines = [
        "# Sizing", "",
        "Written by `make bench`; the figures are of the machine of that run and grow with cores.", "",
        f"| what | measured on {found['cores']} cores, everything on one machine |", "|---|---|",
    ]  # fmt: skip
    if ours:
        cpu = ours["cpu_all_per_1000"]
        lines += [
            f"| deliveries a second, in a burst | {ours['per_second']:.0f} |",
            f"| CPU for 1,000 deliveries (services / with PostgreSQL and RabbitMQ)"
            f" | {ours['cpu_app_per_1000']:.1f} s / {cpu:.1f} s |",
            f"| a year of the country (241,869 alerts, 8 deliveries each) | {241_869 * 8 * cpu / 1000 / 3600:.1f} h of CPU |",
            f"| memory of all processes (PSS) | {ours['memory_mb']:.0f} MB |",
        ]
    if embedded:
        lines.append(f"| embedded house, deliveries a second | {embedded['per_second']:.0f} |")
    if growth:
        lines.append(
            f"| look and claim 100: empty table / {growth['finished']:,} finished and {growth['open']:,} open"
            f" | {growth['empty_ms']:.1f} ms / {growth['full_ms']:.1f} ms |"
        )
    lines += [
        "", "How it grows:", "",
        "- **with alerts**: linear. Planning, sending and writing are done in groups, so that a busy second costs less",
        "  for each alert than a quiet one.",
        "- **with agencies of one alert**: linear in notices; one more agency is one POST, one row each of delivery,",
        "  notice, attempt and audit.",
        "- **with agencies that are connected**: one lane each; a lane costs memory only while it sends.",
        "- **with open and finished deliveries**: a claim reads partial indexes of what waits; finished rows cost disk.",
        "- **with processes**: any number of APIs, workers and relays may run side by side; they share nothing but the",
        "  database and the broker.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
