"""Reads one duty that comes with the calendar."""

from notifier.domain.edition import STAND_INS, Act, Force
from notifier.domain.periodic import DueBy, DueRule, Every, PeriodicDuty
from notifier.lawbook.document import Document
from notifier.lawbook.rules import Names, citation


def read_periodic(node: Document, act: Act, names: Names) -> PeriodicDuty:
    """The duty, checked. Raises ``LawUnreadable``."""
    duty_id = node.text("rule")
    node.place = f"{node.place} ({duty_id})"
    paragraph = node.text("paragraph")
    node.take("examples")  # run by tests/law
    duty = PeriodicDuty(
        id=duty_id,
        row=node.take("row", default=duty_id),
        act=act.id,
        edition=act.edition,
        paragraph=paragraph,
        citation=citation(act, paragraph, node),
        force=node.one_of("force", Force),
        text=node.node("duty").phrase(),
        reading=node.node("reading").phrase() if "reading" in node else None,
        doubts=node.texts("doubts"),
        obliged=node.texts("obliged"),
        recipients=node.texts("recipient"),
        every=node.one_of("every", Every),
        due=_due(node.node("due")),
        evidence=node.texts("evidence"),
        first=node.day("first") if "first" in node else None,
        last=node.day("last") if "last" in node else None,
    )
    node.end()
    unknown = {*duty.obliged, *duty.recipients} - STAND_INS - names.roles.keys()
    if not duty.evidence or not names.facts.keys() >= set(duty.evidence):
        raise node.fail("no evidence meets it, or one that facts.yaml does not name")
    if unknown or not duty.obliged:
        raise node.fail(f"no such role: {', '.join(sorted(unknown)) or 'nobody is obliged'}")
    return duty


def _due(node: Document) -> DueRule:
    by = node.one_of("by", DueBy)
    cut_off = node.node("cut_off") if "cut_off" in node else None
    numbers = cut_off.take("in") if cut_off else []
    rule = DueRule(
        by=by,
        day=int(node.take("day")) if by == "day_after" else 0,
        inclusive=bool(node.take("inclusive", default=True)),
        cut_off=int(cut_off.take("working_days")) if cut_off else 0,
        cut_off_in=tuple(numbers),
        binding=bool(node.take("binding", default=True)),
    )
    if cut_off:
        cut_off.end()
    node.end()
    return rule
