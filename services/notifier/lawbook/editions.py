"""Reads one folder of the law into an ``Edition``."""

from collections.abc import Mapping
from pathlib import Path

from notifier.domain.calendar import start_of
from notifier.domain.edition import Act, ActsFor, Edition, Parameters, Phrase, Rule
from notifier.lawbook.document import Document, read
from notifier.lawbook.rules import RuleReader, place_in_text


def read_edition(folder: Path, role_names: Mapping[str, Phrase]) -> Edition:
    """The edition whose files lie in ``folder``. Raises ``LawUnreadable``."""
    head = read(folder / "edition.yaml")
    acts = {act.id: act for act in map(_act, head.nodes("acts"))}
    main = head.text("in_force_with")
    if main not in acts:
        raise head.fail("in_force_with names no act")
    reasons = head.node("reasons").phrases()
    file = read(folder / "parameters.yaml")
    parameters = _parameters(file.node("parameters"))
    file.end()
    rules: list[Rule] = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name in {"edition.yaml", "parameters.yaml"}:
            continue
        file = read(path)
        replaceable = bool(file.take("replaceable", default=False))
        rules += [
            RuleReader(node, acts, parameters, reasons, role_names, replaceable=replaceable).rule()
            for node in file.nodes("rules")
        ]
        file.end()
    ids = [rule.id for rule in rules]
    if not ids or len(ids) != len(set(ids)):
        raise head.fail("no rules, or a rule id said twice")
    rules.sort(key=place_in_text)
    edition = Edition(
        id=head.text("edition"),
        effective_from=start_of(acts[main].effective_from),
        acts=acts,
        parameters=parameters,
        rules=tuple(rules),
        role_names=role_names,
    )
    head.end()
    return edition


def _act(node: Document) -> Act:
    title = node.take("title")
    effective = node.node("effective_from")
    act = Act(
        id=node.text("act"),
        short=node.node("short").phrase(),
        title=title,
        original=node.texts("original"),
        numbers=node.texts("numbers"),
        registered_on=node.day("registered_on"),
        registration=node.text("registration"),
        effective_from=effective.day("date"),
        effective_assumed=bool(effective.take("assumed")),
    )
    effective.end()
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
