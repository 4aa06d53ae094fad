"""The figures of the last run as a table, for the terminal and for docs/faults.md."""

import sys
from typing import Any

from tests.faults.catalogue import FAULTS
from tests.faults.planted import PLANTED
from tests.faults.record import ROOT, Record

PAGE = ROOT / "docs" / "faults.md"
BEGIN = "<!-- figures: made by `python -m tests.faults table`, not by hand -->"
END = "<!-- end of figures -->"

NOT_RUN = (
    ("F6", "broker killed half a second after a queue was declared", "`tests/conformance/test_canary.py`"),
    ("F10", "upgrade of the broker from 3.13 to 4.x", "there is one RabbitMQ here (3.10)"),
    (
        "F11",
        "failover of a PostgreSQL cluster; a disk that is full",
        "one server; SQLSTATE 53100 is raised instead",
    ),
    ("F12", "a transaction open for 30 min at 200 deliveries a second", "two minutes here"),
    ("F13", "leap seconds, daylight saving", "times are UTC; the calendar has its own tests"),
    ("F18", "one agency hangs with 10,000 due", "`make bench`"),
    ("F34", "timestamp authority", "there is none in the house"),
    ("F35", "72 h soak", "not in one run"),
    (
        "",
        "several machines; DNS that lies",
        "one machine; `tests/conformance/test_channels.py` resolves for itself",
    ),
)
"""What is not injected by `make faults`, with the reason or the place where it is."""

ELSEWHERE = (
    (
        "F1, F2, F3, F5",
        "random kills of every process",
        "`make kills`, and every await point in `make simulation`",
    ),
    (
        "F10",
        "broker of three nodes: one killed, one suspended, one parted from the others",
        "`python -m tests.faults.cluster`",
    ),
    ("F20, F21", "poison events, delivery limits", "`tests/conformance/test_bus.py`"),
    (
        "F22, F23, F24, F25, F26, F28",
        "races of submissions, corrections, redrives, endpoints, pulls",
        "`tests/service`",
    ),
    ("F27", "SMTP bounces, greylisting", "`tests/service/notifier/test_bounces.py`"),
    ("F29", "deadlines that pass while blocked", "`tests/service/notifier/test_clocks.py`"),
    ("F31", "key rotation in a series of retries", "`tests/service/notifier/test_endpoints.py`"),
    ("F32", "escalation", "`tests/service/notifier/test_escalation.py`"),
)


def write_table(record: Record) -> None:
    """Print it, and put it into the page."""
    parts = (_stories, _shortly, _kills, _cluster, _planted)
    text = "\n".join([line for part in parts for line in (*part(record), "")] + _rest())
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    sys.stdout.write(text + "\n")


def _stories(record: Record) -> list[str]:
    lines = [
        "| fault | made by | form | s | accepted | lost | misrouted | repeats, same id / changed "
        "| longest way to the police | invariants |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        line = record.find(fault.name, 1) or record.find(fault.name, 0)
        if line is None:
            lines.append(f"| {fault.numbers} {fault.name} | {fault.how} | not run | | | | | | | |")
            continue
        verdict = "hold" if line["good"] else f"**{'; '.join(_reasons(line))}**"
        lines.append(
            f"| {fault.numbers} {fault.name} | {fault.how} | {'full' if line['full'] else 'short'} "
            f"| {line['seconds']:.0f} | {line['accepted']} | {line['lost']} | {line['misrouted']} "
            f"| {line['repeats']} / {line['changed_id']} | {line['latency']:.1f} s | {verdict} |"
        )
    return lines


def _shortly(record: Record) -> list[str]:
    """The same in scaled time, in one line."""
    played = [line for fault in FAULTS if (line := record.find(fault.name, 0))]
    if not played:
        return ["In scaled time: not run."]
    good = sum(line["good"] for line in played)
    sums = {name: sum(line[name] for line in played) for name in ("accepted", "lost", "misrouted", "seconds")}
    others = [f"{line['fault']}: {'; '.join(_reasons(line))}" for line in played if not line["good"]]
    return [
        f"In scaled time (`make faults SHORT=1`, {played[0]['version']}): {good} of {len(FAULTS)} good"
        f" in {sums['seconds'] / 60:.0f} min, {sums['accepted']} alerts accepted, lost {sums['lost']},"
        f" misrouted {sums['misrouted']}.{' Not good: ' if others else ''}{'. '.join(others)}"
    ]


def _cluster(record: Record) -> list[str]:
    line = record.find("cluster", 0)
    if line is None:
        return ["Three nodes: not run."]
    word = "good" if line["good"] else "**not good**"
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in line["seconds"].items())
    return [
        f"Three nodes, one killed, one suspended, one parted from the others: {word}, {line['accepted']}"
        f" alerts accepted, lost {line['lost']}, misrouted {line['misrouted']}; {took}."
    ]


def _reasons(line: dict[str, Any]) -> list[str]:
    found = [f"{sort}: {cases[0]}" for sort, cases in line["findings"].items()]
    return [*found, *line.get("broken", ()), *([line["failure"]] if line["failure"] else [])]


def _kills(record: Record) -> list[str]:
    rounds = [line for line in record.lines() if line["fault"] == "kills"]
    head = ["| round of kills | kills | accepted | lost | misrouted | repeats | changed id | min | of | |"]
    lines = [*head, "|---|---|---|---|---|---|---|---|---|---|"]
    for one in rounds:
        minutes = sum(one["seconds"].values()) / 60
        word = "good" if one["good"] else f"**not good**: {'; '.join(_reasons(one))}"
        lines.append(
            f"| {one['number']} | {one['kills']} | {one['accepted']} | {one['lost']} | {one['misrouted']} "
            f"| {one['repeats']} | {one['changed_id']} | {minutes:.1f} | {one['version']} | {word} |"
        )
    sums = {name: sum(one[name] for one in rounds) for name in ("kills", "accepted", "lost", "misrouted")}
    lines.append(
        f"| all | {sums['kills']} | {sums['accepted']} | {sums['lost']} | {sums['misrouted']} | | | | | |"
    )
    return lines


def _planted(record: Record) -> list[str]:
    lines = ["| protection taken away | fault that must be noticed | |", "|---|---|---|"]
    for protection, fault in PLANTED.items():
        line = record.find(f"planted: {protection}", 0)
        if line is None:
            lines.append(f"| {protection} | {fault} | not run |")
        else:
            found = "; ".join(_reasons(line))[:160]
            lines.append(
                f"| {protection} | {fault} | {'found: ' + found if line['good'] else '**not found**'} |"
            )
    return lines


def _rest() -> list[str]:
    lines = ["| not made here | | why, or where |", "|---|---|---|"]
    return [*lines, *(f"| {numbers} | {what} | {why} |" for numbers, what, why in (*ELSEWHERE, *NOT_RUN))]
