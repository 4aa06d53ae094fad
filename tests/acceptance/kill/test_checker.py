"""The checker finds each fault that it is there for, planted in a clean pair of logs."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.acceptance.kill.checker import Sent, Told, Verdict, World, check

WORLD = World(
    named={"violence": frozenset({"police", "body", "centre"}), "elsewhere": frozenset({"centre"})},
    readers=frozenset({"police", "body"}),
    answering=frozenset({"police", "body"}),
)
Logs = tuple[list[Sent], list[Told]]


def a_clean_pair() -> Logs:
    """Three alerts, the last for the centre only; the police took the first notice at the second try."""
    sent = [
        Sent(f"A{n}", "violence" if n < 2 else "elsewhere", f"story-{n}", ((201, f"id-{n}"),))
        for n in range(3)
    ]
    told: list[Told] = []
    for one in sent:
        for agency in sorted(WORLD.named[one.kind]):
            line = Told(
                agency=agency,
                alert=f"{agency}-{one.reference}",
                delivery=f"delivery-{agency}-{one.reference}",
                digest=f"digest-{agency}-{one.reference}",
                answer="200",
            )
            if agency == "police" and one.reference == "A0":
                told.append(replace(line, answer="500"))
            told.append(line)
            if agency in WORLD.readers:
                told += [
                    replace(line, answer="opened", narrative=one.narrative),
                    replace(line, answer="receipt_accepted"),
                ]
    return sent, told


def _without(logs: Logs, gone: Callable[[Told], bool]) -> Logs:
    return logs[0], [line for line in logs[1] if not gone(line)]


def _changed(logs: Logs, which: Callable[[Told], bool], **change: str) -> Logs:
    return logs[0], [replace(line, **change) if which(line) else line for line in logs[1]]


def _to(agency: str, reference: str) -> Callable[[Told], bool]:
    return lambda line: line.alert == f"{agency}-{reference}"


def _judge(logs: Logs) -> Verdict:
    return check(*logs, WORLD)


def test_a_clean_pair_is_clean() -> None:
    verdict = _judge(a_clean_pair())
    assert verdict.clean, str(verdict)
    assert (verdict.accepted, verdict.taken, verdict.repeats, verdict.receipts) == (3, 7, 1, 4)


def test_an_alert_that_was_never_accepted_is_not_due() -> None:
    sent, told = a_clean_pair()
    assert _judge(([*sent, Sent("A9", "violence", "story-9", ())], told)).clean


FAULTS: dict[str, tuple[str, Callable[[Logs], Logs]]] = {
    "lost at one agency that reads": ("lost", lambda logs: _without(logs, _to("police", "A1"))),
    "lost at one agency that does not read": ("lost", lambda logs: _without(logs, _to("centre", "A2"))),
    "lost everywhere": ("lost", lambda logs: _without(logs, lambda line: line.alert.endswith("A1"))),
    "tried and never taken": (
        "lost",
        lambda logs: _changed(logs, _to("centre", "A0"), answer="500"),
    ),
    "one lost, another doubled: the counts agree": (
        "lost",
        lambda logs: _changed(
            _changed(logs, _to("police", "A1"), narrative="story-0"),
            lambda line: _to("police", "A1")(line) and line.answer != "opened",
            narrative="",
        ),
    ),
    "sent to an agency that the law does not name": (
        "misrouted",
        lambda logs: (logs[0], [*logs[1], Told("stranger", "x", "delivery-x", "digest-x", "200")]),
    ),
    "sent to a named agency, of another kind": (
        "misrouted",
        lambda logs: (
            logs[0],
            [
                *logs[1],
                Told("body", "body-A2", "d-body-A2", "x", "200"),
                Told("body", "body-A2", "d-body-A2", "x", "opened", "story-2"),
            ],
        ),
    ),
    "one delivery id at two agencies": (
        "misrouted",
        lambda logs: _changed(logs, _to("body", "A0"), delivery="delivery-police-A0"),
    ),
    "an agency reads the story of another alert": (
        "misrouted",
        lambda logs: _changed(
            logs,
            lambda line: line.agency == "police" and line.answer == "opened" and line.alert == "police-A1",
            narrative="story-2",
        ),
    ),
    "a repeat under a new delivery id": (
        "changed_id",
        lambda logs: _changed(
            logs, lambda line: _to("police", "A0")(line) and line.answer == "500", delivery="another"
        ),
    ),
    "one delivery id for two alerts": (
        "changed_id",
        lambda logs: _changed(logs, _to("centre", "A1"), delivery="delivery-centre-A0"),
    ),
    "a repeat with another body": (
        "changed_body",
        lambda logs: _changed(
            logs, lambda line: _to("police", "A0")(line) and line.answer == "500", digest="another"
        ),
    ),
    "one key, two alerts": (
        "twice",
        lambda logs: ([replace(logs[0][0], answers=((201, "id-0"), (200, "id-7"))), *logs[0][1:]], logs[1]),
    ),
    "created twice": (
        "twice",
        lambda logs: ([replace(logs[0][0], answers=((201, "id-0"), (201, "id-0"))), *logs[0][1:]], logs[1]),
    ),
    "two references, one alert": (
        "twice",
        lambda logs: ([replace(logs[0][0], answers=((201, "id-1"),)), *logs[0][1:]], logs[1]),
    ),
    "one alert stored twice and fanned out twice": (
        "twice",
        lambda logs: (
            logs[0],
            [
                *logs[1],
                Told("police", "police-ghost", "delivery-ghost", "digest-ghost", "200"),
                Told("police", "police-ghost", "delivery-ghost", "digest-ghost", "opened", "story-0"),
            ],
        ),
    ),
    "a receipt that was never taken": (
        "unanswered",
        lambda logs: _without(
            logs, lambda line: _to("body", "A0")(line) and line.answer == "receipt_accepted"
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    sort, plant = FAULTS[fault]
    verdict = _judge(plant(a_clean_pair()))
    assert sort in verdict.findings, str(verdict)
