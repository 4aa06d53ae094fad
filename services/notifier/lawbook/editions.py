"""Reads one folder of the law into the edition of one act, and one file of practice into parameters."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import get_args

from notifier.domain.edition import Act, ActsFor, FactCode, FactSource, Parameters, Rule
from notifier.domain.periodic import PeriodicDuty
from notifier.lawbook.document import Document, read
from notifier.lawbook.periodic import read_periodic
from notifier.lawbook.rows import Row, read_rows
from notifier.lawbook.rules import Names, RuleReader, place_in_text

HEAD = "edition.yaml"


@dataclass(frozen=True, slots=True)
class ActEdition:
    """One act as it stood from ``act.effective_from`` on.

    Attributes:
        amends: id of the edition that it changes; its files then hold only what is new or replaced,
            and ``repeals`` names the rules that end.
        rules: complete, with what an amended edition left in place; in the order of the text.
        periodic: duties that come with the calendar and not with an alert.
        rows: paragraphs that are no rule, and where they live.
    """

    id: str
    act: Act
    amends: str | None
    repeals: tuple[str, ...]
    rules: tuple[Rule, ...]
    periodic: tuple[PeriodicDuty, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Practice:
    """Our own choices from a day on; not law."""

    id: str
    effective_from: date
    parameters: Parameters


def read_edition(folder: Path, names: Names) -> ActEdition:
    """The edition whose files lie in ``folder``, without what it amends. Raises ``LawUnreadable``."""
    head = read(folder / HEAD)
    edition_id = head.text("edition")
    act = _act(head.node("act"), edition_id, head.node("in_force"))
    reasons = head.node("reasons").phrases() if "reasons" in head else {}
    amends = head.text("amends") if "amends" in head else None
    repeals = head.texts("repeals")
    head.end()
    rules: list[Rule] = []
    periodic: list[PeriodicDuty] = []
    rows: list[Row] = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name == HEAD:
            continue
        file = read(path)
        replaceable = bool(file.take("replaceable", default=False))
        rules += [
            RuleReader(node, act, reasons, names, replaceable=replaceable).rule()
            for node in file.nodes("rules")
        ]
        periodic += [read_periodic(node, act, names) for node in file.nodes("periodic")]
        rows += read_rows(file, act)
        file.end()
    ids = [rule.id for rule in rules] + [duty.id for duty in periodic] + [row.id for row in rows]
    if not ids or len(ids) != len(set(ids)):
        raise head.fail("no rules, or a rule id said twice")
    rules.sort(key=lambda rule: place_in_text(rule.act, rule.paragraph, rule.id))
    return ActEdition(edition_id, act, amends, repeals, tuple(rules), tuple(periodic), tuple(rows))


def read_practice(path: Path) -> Practice:
    """Our parameters from a day on. Raises ``LawUnreadable``."""
    file = read(path)
    practice = Practice(file.text("practice"), file.day("from"), _parameters(file.node("parameters")))
    file.end()
    return practice


def read_facts(path: Path) -> dict[str, FactCode]:
    """The codes by which later facts open and meet duties. Raises ``LawUnreadable``."""
    file = read(path)
    found: dict[str, FactCode] = {}
    sources = file.node("facts")
    for source in get_args(FactSource):
        codes = sources.node(source)
        for code in codes:
            if code in found:
                raise codes.fail(f"{code} said by two sources")
            found[code] = FactCode(code, codes.node(code).phrase(), source)
    sources.end()
    file.end()
    return found


def _act(node: Document, edition_id: str, in_force: Document) -> Act:
    act = Act(
        id=node.text("id"),
        short=node.node("short").phrase(),
        title=node.take("title"),
        original=node.texts("original"),
        numbers=node.texts("numbers"),
        registered_on=node.day("registered_on"),
        registration=node.text("registration"),
        edition=edition_id,
        effective_from=in_force.day("from"),
        effective_assumed=bool(in_force.take("assumed")),
    )
    in_force.end()
    node.end()
    return act


def _parameters(node: Document) -> Parameters:
    acting = node.node("acts_for")
    acts_for: dict[str, ActsFor] = {}
    for person in acting:
        entry = acting.node(person)
        acts_for[person] = ActsFor(entry.text("body"), entry.take("reported_by", default=None))
        entry.end()
    parameters = Parameters(
        immediate_target=node.duration("immediate_target"),
        auto_dispatch_before=node.duration("auto_dispatch_before"),
        hub=node.text("hub"),
        hub_release_after=node.duration("hub_release_after"),
        identifying_bodies=node.texts("identifying_bodies"),
        other_subjects=frozenset(node.texts("other_subjects")),
        acts_for=acts_for,
        never_contacted=frozenset(node.texts("never_contacted")),
        within=node.take("within"),
    )
    node.end()
    return parameters
