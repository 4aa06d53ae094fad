"""What was promised against what arrived, from two logs only: the reporting client's and the agencies' own.

Nothing of the house is asked: no database, no queue, no API. The checker knows which agencies the law names
for each kind of alert, who of them reads the narrative, and who has no server.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TAKEN = frozenset({"200", "pulled"})
TOUCHED = TAKEN | {"500", "reset"}


@dataclass(frozen=True)
class Sent:
    """One alert as its reporter knows it: answers are (status, id) in order."""

    reference: str
    kind: str
    narrative: str
    answers: tuple[tuple[int, str], ...]

    @property
    def accepted(self) -> bool:
        return bool(self.answers)


@dataclass(frozen=True)
class Told:
    """One line of an agency's log."""

    agency: str
    alert: str
    delivery: str
    digest: str
    answer: str
    narrative: str = ""


@dataclass(frozen=True)
class World:
    """What the law and the cast say.

    Attributes:
        named: agencies that each kind of alert must reach at once.
        readers: agencies that may read the narrative, and so tell alerts apart.
        answering: agencies that end with a receipt.
    """

    named: Mapping[str, frozenset[str]]
    readers: frozenset[str]
    answering: frozenset[str]

    @property
    def agencies(self) -> frozenset[str]:
        return frozenset().union(*self.named.values())


@dataclass
class Verdict:
    """Findings by sort; no finding, no fault."""

    accepted: int = 0
    taken: int = 0
    repeats: int = 0
    receipts: int = 0
    findings: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def found(self, sort: str, what: str) -> None:
        self.findings[sort].append(what)

    @property
    def clean(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        counts = (
            f"{self.accepted} accepted, {self.taken} taken, {self.repeats} repeats, {self.receipts} receipts"
        )
        faults = [f"{sort}: {len(cases)}, e.g. {cases[0]}" for sort, cases in self.findings.items()]
        return "; ".join([counts, *faults])


def check(sent: Iterable[Sent], told: Iterable[Told], world: World) -> Verdict:
    """Compare. Sorts of findings: twice, lost, misrouted, changed_id, changed_body, unanswered."""
    sent, told = list(sent), [line for line in told if line.answer != "refused_signature"]
    verdict = Verdict(accepted=sum(one.accepted for one in sent))
    _check_answers(sent, verdict)
    by_agency: dict[str, list[Told]] = defaultdict(list)
    for line in told:
        by_agency[line.agency].append(line)
    for agency in sorted(world.agencies | set(by_agency)):
        _check_agency(agency, sent, by_agency[agency], world, verdict)
    _check_deliveries(told, verdict)
    return verdict


def _check_answers(sent: list[Sent], verdict: Verdict) -> None:
    ids: dict[str, str] = {}
    for one in sent:
        given = {alert for _, alert in one.answers}
        if len(given) > 1:
            verdict.found("twice", f"{one.reference}: one key, {len(given)} alerts")
        if sum(status == 201 for status, _ in one.answers) > 1:
            verdict.found("twice", f"{one.reference}: created more than once")
        for alert in given:
            if ids.setdefault(alert, one.reference) != one.reference:
                verdict.found("twice", f"{one.reference} and {ids[alert]} are one alert")


def _check_agency(agency: str, sent: list[Sent], lines: list[Told], world: World, verdict: Verdict) -> None:
    due = {one.narrative: one for one in sent if one.accepted and agency in world.named.get(one.kind, ())}
    taken = {line.alert for line in lines if line.answer in TAKEN}
    touched = {line.alert for line in lines if line.answer in TOUCHED}
    verdict.taken += len(taken)
    if len(taken) < len(due):
        verdict.found("lost", f"{agency}: {len(due)} alerts due, {len(taken)} arrived")
    if len(touched) > len(due):
        verdict.found("misrouted", f"{agency}: {len(due)} alerts due, {len(touched)} came")
    for alert in touched:
        deliveries = {line.delivery for line in lines if line.alert == alert and line.answer in TOUCHED}
        if len(deliveries) > 1:
            verdict.found("changed_id", f"{agency}: one alert under {len(deliveries)} delivery ids")
    answered = {line.alert for line in lines if line.answer == "receipt_accepted"}
    verdict.receipts += len(answered)
    if agency in world.answering and taken - answered:
        verdict.found("unanswered", f"{agency}: {len(taken - answered)} receipts were never taken")
    if agency in world.readers:
        _check_reader(agency, sent, due, lines, verdict)


def _check_reader(
    agency: str, sent: list[Sent], due: dict[str, Sent], lines: list[Told], verdict: Verdict
) -> None:
    known = {one.narrative: one for one in sent}
    opened: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if line.answer == "opened" and line.narrative:
            opened[line.narrative].add(line.alert)
    for narrative, one in due.items():
        if narrative not in opened:
            verdict.found("lost", f"{agency}: {one.reference} was never read")
        elif len(opened[narrative]) > 1:
            verdict.found("twice", f"{agency}: {one.reference} came as {len(opened[narrative])} alerts")
    for narrative in opened.keys() - due.keys():
        which = known[narrative].reference if narrative in known else "an alert that nobody sent"
        verdict.found("misrouted", f"{agency} read {which}")
    alerts = [alert for handles in opened.values() for alert in handles]
    if len(alerts) != len(set(alerts)):
        verdict.found("misrouted", f"{agency}: one alert showed the narratives of two")


def _check_deliveries(told: list[Told], verdict: Verdict) -> None:
    homes: dict[str, set[str]] = defaultdict(set)
    bodies: dict[str, set[str]] = defaultdict(set)
    alerts: dict[str, set[str]] = defaultdict(set)
    times: dict[str, int] = defaultdict(int)
    for line in told:
        if line.answer not in TOUCHED:
            continue
        homes[line.delivery].add(line.agency)
        bodies[line.delivery].add(line.digest)
        alerts[line.delivery].add(line.alert)
        times[line.delivery] += 1
    verdict.repeats = sum(count - 1 for count in times.values())
    for delivery in times:
        if len(homes[delivery]) > 1:
            verdict.found("misrouted", f"delivery {delivery} came to {sorted(homes[delivery])}")
        if len(bodies[delivery]) > 1:
            verdict.found("changed_body", f"delivery {delivery} came with {len(bodies[delivery])} bodies")
        if len(alerts[delivery]) > 1:
            verdict.found("changed_id", f"delivery {delivery} stands for {len(alerts[delivery])} alerts")


def read_client_log(file: Path) -> list[Sent]:
    """The client's lines ``posting`` (before the first try) and ``accepted`` (each answer), put together."""
    alerts: dict[str, dict[str, Any]] = {}
    for line in _lines(file):
        one = alerts.setdefault(line["reference"], {"answers": []})
        if line["event"] == "posting":
            one |= {"kind": line["kind"], "narrative": line["narrative"]}
        elif line["event"] == "accepted":
            one["answers"].append((int(line["status"]), str(line["id"])))
    return [
        Sent(reference, one["kind"], one["narrative"], tuple(one["answers"]))
        for reference, one in alerts.items()
    ]


def read_agency_log(file: Path) -> list[Told]:
    """The simulators' lines; the ids of test notices are of no alert and are left out."""
    names = ("agency", "alert", "delivery", "digest", "answer", "narrative")
    return [Told(**{name: str(line.get(name, "")) for name in names}) for line in _lines(file)]


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
