"""The tables, the chart and the sizing page, written by the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import goals

MARK = "<!-- figures -->"
OURS = "dabyl"


def write(found: dict[str, Any], folder: Path) -> None:
    """README.md keeps its words and gets new figures; chart.svg is drawn anew."""
    readme = folder / "README.md"
    words = readme.read_text().partition(MARK)[0].rstrip()
    readme.write_text(f"{words}\n\n{MARK}\n\n{figures(found)}")
    (folder / "chart.svg").write_text(chart(found))
    sizing_page = folder.parent / "docs" / "sizing.md"
    sizing_page.write_text(sizing(found))


def _measured(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: one for key, one in found["contestants"].items() if "per_second" in one}


def figures(found: dict[str, Any]) -> str:
    """Ratios first, then goals, then absolute figures."""
    measured = _measured(found)
    ours = measured.get(OURS)
    load = f"; load average before it: {found['load_before']:.1f}" if "load_before" in found else ""
    lines = [
        f"Run on {found['cores']} cores{', quick' if found['quick'] else ''}; sink: {found['sink']}{load}.",
        "",
        *(f"**{name} failed**: {said}\n" for name, said in found.get("failed", {}).items()),
        "![deliveries a second, CPU a delivery](chart.svg)",
        "",
    ]
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
        lines.append("")
    if wanted := goals.rows(found, measured):
        lines += ["| goal | wanted | measured | |", "|---|---|---|---|", *wanted, ""]
    lines += [
        "| who | deliveries/s | alerts/s | CPU s per 1,000, app / everything"
        " | first p50 / p99 ms | last of 8 p50 / p99 ms | peak memory MB (PSS) |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in measured.values():
        light = one["light"]
        lost = "" if one["deliveries"] >= one["expected"] else f" ({one['deliveries']} of {one['expected']})"
        lines.append(
            f"| {one['name']} | {one['per_second']:.0f}{lost} | {one['accepted_per_second']:.0f}"
            f" | {one['cpu_app_per_1000']:.2f} / {one['cpu_all_per_1000']:.2f}"
            f" | {light['first_p50']:.0f} / {light['first_p99']:.0f}"
            f" | {light['last_p50']:.0f} / {light['last_p99']:.0f} | {one['memory_mb']:.0f} |"
        )
    lines += ["", *(text for key, say in _SAID.items() if key in found for text in (say(found[key]), ""))]
    return "\n".join(lines).rstrip() + "\n"


def _limits(raw: dict[str, Any]) -> str:
    return (
        f"**Limits** of this machine in this run: PostgreSQL {raw['postgres_inserts']:.0f} one-row commits/s,"
        f" RabbitMQ {raw['rabbit_confirms']:.0f} confirmed messages/s."
    )


def _receipts(one: dict[str, Any]) -> str:
    return (
        f"**Receipts** (no peer has them): {one['receipts_per_second']:.0f} signed receipts/s,"
        f" {one['opened_per_second']:.0f} contents opened/s; one of each costs"
        f" {one['cpu_app_per_1000']:.2f} / {one['cpu_all_per_1000']:.2f} CPU s per 1,000 (services / everything)."
    )


def _hanging(one: dict[str, Any]) -> str:
    calm, hangs = one["undisturbed"], one["hanging"]
    return (
        f"**One agency hangs** (accepts, never answers): the other seven get {hangs['per_second']:.0f} deliveries/s"
        f" instead of {calm['per_second']:.0f}; at 10 alerts/s the last of the seven comes after"
        f" {hangs['last_p50']:.0f} / {hangs['last_p90']:.0f} / {hangs['last_p99']:.0f} ms (p50 / p90 / p99) instead of"
        f" {calm['last_p50']:.0f} / {calm['last_p90']:.0f} / {calm['last_p99']:.0f}. Two houses in turn,"
        f" {one['blocks']} blocks of 4 s each; in brackets above, where nine of ten drawings of whole blocks lie."
    )


def _dead(one: dict[str, Any]) -> str:
    rows = [
        f"**Three of ten agencies dead**, {one['heap']} deliveries waiting for them; from sending an alert to the"
        " first attempts of its immediate notices, at 5 alerts/s:",
        "",
        "| to agencies that | first attempts | p50 ms | p99 ms | later than 1 s |",
        "|---|---|---|---|---|",
    ]
    names = {
        "alive": "answer", "refused": "refuse connections", "silent": "accept and never answer",
        "no_connection": "take no connection",
    }  # fmt: skip
    rows += [
        f"| {label} | {one[key]['attempts']} | {one[key]['p50']:.0f} | {one[key]['p99']:.0f} | {one[key]['late']} |"
        for key, label in names.items()
    ]
    return "\n".join(rows)


def _workers(one: dict[str, Any]) -> str:
    return (
        f"**A heap for the workers alone** (the alerts are accepted before): one drains {one['one']:.0f}"
        f" deliveries/s, two {one['two']:.0f}; PostgreSQL, the sink and casework share the cores with them."
    )


def _growth(one: dict[str, Any]) -> str:
    empty, full, burst = one["empty"], one["full"], one["burst"]
    return (
        f"**Growth**: looking for due rows and claiming 100 of them takes {empty['claim_p50']:.1f} /"
        f" {empty['claim_p99']:.1f} ms (p50 / p99) with empty tables and {full['claim_p50']:.1f} /"
        f" {full['claim_p99']:.1f} ms beside {one['finished']:,} finished and {one['open']:,} open deliveries;"
        f" writing 100 results {empty['results_p50']:.1f} and {full['results_p50']:.1f} ms. Meanwhile the claims used"
        f" the index of what waits {one['scans']['by_index']} times and read the table from end to end"
        f" {one['scans']['whole']} times. The whole house, from HTTP to the last result, costs"
        f" {burst['empty']['cpu_all_per_1000']:.2f} CPU s per 1,000 deliveries before and"
        f" {burst['full']['cpu_all_per_1000']:.2f} after."
    )


_SAID: dict[str, Callable[[dict[str, Any]], str]] = {
    "receipts": _receipts, "hanging": _hanging, "dead": _dead, "growth": _growth, "workers": _workers,
    "limits": _limits,
}  # fmt: skip


_PANELS = (("deliveries a second", "per_second", "{:.0f}"), ("CPU s per 1,000", "cpu_all_per_1000", "{:.2f}"))


def chart(found: dict[str, Any]) -> str:
    """Two panels of bars: deliveries a second, and what a thousand cost."""
    ones = sorted(_measured(found).values(), key=lambda one: -one["per_second"])
    rows = []
    for panel, (title, key, form) in enumerate(_PANELS):
        left, room = 250 + panel * 330, 250
        rows.append(f'<text x="{left}" y="18" font-weight="bold">{title}</text>')
        largest = max((one[key] for one in ones), default=1.0)
        for place, one in enumerate(ones):
            y, width = 30 + place * 26, max(1.0, one[key] / largest * room)
            colour = "#1f6f54" if one["name"].startswith("Dabyl") else "#9aa5ab"
            if panel == 0:
                rows.append(
                    f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{_short(one["name"])}</text>'
                )
            rows.append(
                f'<rect x="{left}" y="{y}" width="{width:.1f}" height="18" fill="{colour}"/>'
                f'<text x="{left + width + 6:.1f}" y="{y + 13}">{form.format(one[key])}</text>'
            )
    height = 40 + 26 * len(ones)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {height}" width="900" height="{height}"'
    return (
        f'{head} role="img" font-family="sans-serif" font-size="12"><title>Deliveries a second, and CPU</title>'
        f'<rect width="900" height="{height}" fill="#ffffff"/>{"".join(rows)}</svg>\n'
    )


def _short(name: str) -> str:
    """A name that fits beside its bar."""
    return name if len(name) <= 38 else f"{name[:37]}…"


def sizing(found: dict[str, Any]) -> str:
    """What an operator plans with."""
    ours = _measured(found).get(OURS)
    embedded = _measured(found).get("embedded")
    lines = [
        "# Sizing", "",
        "Written by `make bench`; the figures are of the machine of that run and grow with cores.", "",
        f"| what | measured on {found['cores']} cores, everything on one machine |", "|---|---|",
    ]  # fmt: skip
    if ours:
        cpu = ours["cpu_all_per_1000"]
        year = 241_869 * 8
        lines += [
            f"| deliveries a second, in a burst | {ours['per_second']:.0f} |",
            f"| CPU for 1,000 deliveries (services / with PostgreSQL and RabbitMQ)"
            f" | {ours['cpu_app_per_1000']:.1f} s / {cpu:.1f} s |",
            f"| a year of the country (241,869 alerts, 8 deliveries each), sent in one go"
            f" | {year / ours['per_second'] / 60:.0f} min, {year * cpu / 1000 / 3600:.1f} h of CPU |",
            f"| memory of all seven processes (PSS), at most | {ours['memory_mb']:.0f} MB |",
        ]
    if receipts := found.get("receipts"):
        lines.append(
            f"| CPU for 1,000 contents opened and answered with a signed receipt (services / everything)"
            f" | {receipts['cpu_app_per_1000']:.1f} s / {receipts['cpu_all_per_1000']:.1f} s |"
        )
    if embedded:
        lines.append(
            f"| embedded house (SQLite, one process), deliveries a second | {embedded['per_second']:.0f} |"
        )
    if growth := found.get("growth"):
        lines.append(
            f"| look and claim 100: empty tables / {growth['finished']:,} finished and {growth['open']:,} open"
            f" | {growth['empty']['claim_p50']:.1f} ms / {growth['full']['claim_p50']:.1f} ms |"
        )
        lines.append(
            "| CPU for 1,000 deliveries: empty tables / full"
            f" | {growth['burst']['empty']['cpu_all_per_1000']:.1f} s"
            f" / {growth['burst']['full']['cpu_all_per_1000']:.1f} s |"
        )
    if workers := found.get("workers"):
        lines.append(
            f"| deliveries a second of one worker / of two, on the same cores"
            f" | {workers['one']:.0f} / {workers['two']:.0f} |"
        )
    lines += [
        "", "How it grows:", "",
        "- **with alerts**: linear. Planning, sending and writing are done in groups, so that a busy second costs less",
        "  for each alert than a quiet one.",
        "- **with agencies of one alert**: linear in notices; one more agency is one POST, one row each of delivery,",
        "  notice, attempt and audit.",
        "- **with agencies that are connected**: one lane each; a lane costs memory only while it sends.",
        "- **with open and finished deliveries**: a claim reads partial indexes of what waits; finished rows cost disk.",
        "- **with processes**: APIs, workers and relays may run side by side; they share nothing but the",
        "  database and the broker, and claims of one never wait for those of another. Each may open 20 connections to",
        "  PostgreSQL: the 11 of the compose file are 220 of its `max_connections=300` (3 are kept for the superuser), so",
        "  three more fit; beyond, raise it.",
        "- **with endpoints**: each worker of notifier holds a broker channel for every lane, up to `channel_max` (8,192 in",
        "  the compose file, 2,047 where it is not set). Lanes beyond are found by time, with `channels_exhausted` in",
        "  the log: up to a second later, and nothing else.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
