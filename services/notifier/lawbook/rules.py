"""Reads one rule of the law, and refuses what would mislead: a notice to nobody, a message to a parent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from notifier.domain.clock import Clock, Counted
from notifier.domain.edition import (
    CONCERNS,
    STAND_INS,
    Act,
    Advice,
    Condition,
    Dispatch,
    DutyKind,
    Force,
    Parameters,
    Phrase,
    Rule,
    Starts,
    Withholding,
)
from notifier.domain.facts import Facts
from notifier.lawbook.document import Document

_PARAGRAPH = re.compile(r"(?P<paragraph>\d+)(?:\((?P<part>\d+)\))?")
_HOURS = re.compile(r"(?P<hours>\d+)h")
_ASKABLE = frozenset(Facts.__dataclass_fields__) - {"received_at", "territory", "concerns"}


@dataclass(frozen=True, slots=True)
class RuleReader:
    """Reads one rule with what its file and its edition say around it."""

    node: Document
    acts: Mapping[str, Act]
    parameters: Parameters
    reasons: Mapping[str, Phrase]
    role_names: Mapping[str, Phrase]
    replaceable: bool

    def rule(self) -> Rule:
        """The rule, checked. Raises ``LawUnreadable``."""
        node = self.node
        rule_id = node.text("rule")
        node.place = f"{node.place} ({rule_id})"
        act, paragraph = node.text("act"), node.text("paragraph")
        node.take("examples")  # run by tests/law
        rule = Rule(
            id=rule_id,
            act=act,
            paragraph=paragraph,
            citation=self._citation(act, paragraph),
            force=node.one_of("force", Force),
            kind=node.one_of("kind", DutyKind),
            text=node.node("duty").phrase(),
            reading=node.node("reading").phrase() if "reading" in node else None,
            doubts=node.texts("doubts"),
            scope=self._scope(node),
            when=_conditions(node),
            advice=self._advice(),
            withheld=tuple(map(self._withholding, node.nodes("withheld"))),
            obliged=node.texts("obliged"),
            recipients=node.texts("recipient"),
            starts=node.one_of("starts", Starts, default="information"),
            clock=self._clock(),
            dispatch=node.one_of("dispatch", Dispatch),
            replaceable=self.replaceable,
        )
        node.end()
        self._check(rule)
        return rule

    def _check(self, rule: Rule) -> None:
        if not rule.obliged or not rule.scope:
            raise self.node.fail("nobody is obliged, or no concern is named")
        unknown = {*rule.obliged, *rule.recipients} - STAND_INS - self.role_names.keys()
        if unknown:
            raise self.node.fail(f"no such role: {', '.join(sorted(unknown))}")
        if rule.kind == "notice" and rule.dispatch == "none":
            raise self.node.fail("a notice that is never sent")
        if rule.dispatch != "none" and not rule.recipients:
            raise self.node.fail("a message to nobody")
        if rule.dispatch != "none" and not self.parameters.never_contacted.isdisjoint(rule.recipients):
            raise self.node.fail("a message to somebody whom Dabyl never contacts")

    def _citation(self, act: str, paragraph: str) -> Phrase:
        match = _PARAGRAPH.fullmatch(paragraph)
        if act not in self.acts or not match:
            raise self.node.fail("act or paragraph unknown")
        short, number, part = self.acts[act].short, match["paragraph"], match["part"]
        if part:
            return Phrase(
                f"{short.kk}, {number}-тармақтың {part}) тармақшасы",
                f"{short.ru}, пп. {part}) п. {number}",
                f"{short.en}, ¶{number}({part})",
            )
        return Phrase(f"{short.kk}, {number}-тармақ", f"{short.ru}, п. {number}", f"{short.en}, ¶{number}")

    def _scope(self, node: Document) -> frozenset[str]:
        scope = frozenset(node.texts("scope"))
        if not scope.issubset(CONCERNS):
            raise node.fail("scope names an unknown concern")
        return scope

    def _reason(self, node: Document) -> tuple[str, Phrase]:
        code = node.text("reason")
        if code not in self.reasons:
            raise node.fail("reason unknown")
        return code, self.reasons[code]

    def _advice(self) -> Advice | None:
        if "advisory" not in self.node:
            return None
        node = self.node.node("advisory")
        advice = Advice(self._scope(node), *self._reason(node))
        node.end()
        return advice

    def _withholding(self, node: Document) -> Withholding:
        withholding = Withholding(*self._reason(node), when=_conditions(node))
        node.end()
        return withholding

    def _clock(self) -> Clock:
        found = self.node.take("clock")
        if isinstance(found, dict):
            node = Document(found, f"{self.node.place} › clock")
            amount = node.take("working_days")
            if not isinstance(amount, int) or amount < 1:
                raise node.fail("working_days is not a number of days")
            clock = Clock("working_days", amount, node.one_of("counted", Counted))
            node.end()
            return clock
        if found in {"same_day", "none"}:
            return Clock(found)
        if found == "immediately":
            return Clock("immediately", target=self.parameters.immediate_target)
        if isinstance(found, str) and (match := _HOURS.fullmatch(found)):
            return Clock("hours", int(match["hours"]))
        raise self.node.fail("clock unknown")


def _conditions(node: Document) -> tuple[Condition, ...]:
    found = node.take("when", default={})
    asked = Document(found, f"{node.place} › when")
    conditions = []
    for fact in asked:
        if fact not in _ASKABLE:
            raise asked.fail(f"{fact} is no fact")
        value = asked.take(fact)
        conditions.append(Condition(fact, tuple(value) if isinstance(value, list) else (value,)))
    return tuple(conditions)


def place_in_text(rule: Rule) -> tuple[str, int, int, str]:
    """Order of the text: act, paragraph, part, then the letter of our own id."""
    match = _PARAGRAPH.fullmatch(rule.paragraph)
    paragraph, part = match.groups(default="0") if match else ("0", "0")
    return rule.act, int(paragraph), int(part), rule.id
