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
    FactCode,
    Force,
    Phrase,
    Rule,
    Starts,
    Withholding,
)
from notifier.domain.facts import Facts
from notifier.lawbook.document import Document

_PARAGRAPH = re.compile(r"(?P<paragraph>\d+)(?:\((?P<part>\d+)\))?")
_APPENDIX = re.compile(r"App\. (?P<number>\d+)")
_HOURS = re.compile(r"(?P<hours>\d+)h")
TRANSMITTED = "delivery.transmitted"
"""What meets every notice: its delivery reached the agency's edge."""
CASE_CLOSED = "case.closed"
_ASKABLE = frozenset(Facts.__dataclass_fields__) - {"received_at", "territory", "concerns"}


@dataclass(frozen=True, slots=True)
class Names:
    """What the files of all editions share: roles and facts in words."""

    roles: Mapping[str, Phrase]
    facts: Mapping[str, FactCode]


@dataclass(frozen=True, slots=True)
class RuleReader:
    """Reads one rule with what its file and its edition say around it."""

    node: Document
    act: Act
    reasons: Mapping[str, Phrase]
    names: Names
    replaceable: bool

    def rule(self) -> Rule:
        """The rule, checked. Raises ``LawUnreadable``."""
        node = self.node
        rule_id = node.text("rule")
        node.place = f"{node.place} ({rule_id})"
        paragraph = node.text("paragraph")
        row = node.take("row", default=rule_id)
        node.take("examples")  # run by tests/law
        starts, after = self._starts()
        kind = node.one_of("kind", DutyKind)
        rule = Rule(
            id=rule_id,
            row=row or "",
            act=self.act.id,
            edition=self.act.edition,
            paragraph=paragraph,
            citation=citation(self.act, paragraph, node),
            force=node.one_of("force", Force),
            kind=kind,
            text=node.node("duty").phrase(),
            reading=node.node("reading").phrase() if "reading" in node else None,
            doubts=node.texts("doubts"),
            scope=self._scope(node),
            when=_conditions(node),
            advice=self._advice(),
            withheld=tuple(map(self._withholding, node.nodes("withheld"))),
            obliged=node.texts("obliged"),
            recipients=node.texts("recipient"),
            starts=starts,
            after=after,
            evidence=self._evidence(kind),
            lasting=bool(node.take("lasting", default=False)),
            calls_out=bool(node.take("calls_out", default=False)),
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
        unknown = {*rule.obliged, *rule.recipients} - STAND_INS - self.names.roles.keys()
        if unknown:
            raise self.node.fail(f"no such role: {', '.join(sorted(unknown))}")
        if rule.kind == "notice" and rule.dispatch == "none":
            raise self.node.fail("a notice that is never sent")
        if rule.dispatch != "none" and not rule.recipients:
            raise self.node.fail("a message to nobody")
        if rule.lasting and rule.evidence != (CASE_CLOSED,):
            raise self.node.fail("a lasting duty that something else than the end of the case ends")
        if rule.calls_out and rule.dispatch != "at_once":
            raise self.node.fail("a call-out that does not leave at once")

    def _starts(self) -> tuple[Starts, tuple[str, ...]]:
        found = self.node.take("starts", default="information")
        if isinstance(found, dict):
            node = Document(found, f"{self.node.place} › starts")
            after = node.texts("after")
            also = node.take("or", default=None)
            node.end()
            if not after or not self.names.facts.keys() >= set(after):
                raise self.node.fail("starts after no fact that facts.yaml names")
            if also not in {None, "information"}:
                raise self.node.fail("starts after a fact, or by information; by nothing else")
            return ("information" if also else "fact"), after
        if found not in {"information", "notice"}:
            raise self.node.fail("starts must be information, notice, or after a fact")
        return found, ()

    def _evidence(self, kind: DutyKind) -> tuple[str, ...]:
        named = self.node.texts("evidence")
        if kind == "notice" and TRANSMITTED not in named:
            named = (TRANSMITTED, *named)
        if not named or not self.names.facts.keys() >= set(named):
            raise self.node.fail("no evidence meets it, or one that facts.yaml does not name")
        return named

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
            counted = node.one_of("counted", Counted)
            clock = Clock("working_days", amount, counted, binding=not node.take("target", default=False))
            node.end()
            return clock
        if found in {"same_day", "none", "immediately"}:
            return Clock(found)
        if isinstance(found, str) and (match := _HOURS.fullmatch(found)):
            return Clock("hours", int(match["hours"]))
        raise self.node.fail("clock unknown")


def citation(act: Act, paragraph: str, node: Document) -> Phrase:
    """Act and paragraph in words. Raises ``LawUnreadable`` for a paragraph that is none."""
    short = act.short
    if match := _APPENDIX.fullmatch(paragraph):
        number = match["number"]
        return Phrase(
            f"{short.kk}, {number}-қосымша",
            f"{short.ru}, приложение {number}",
            f"{short.en}, Appendix {number}",
        )
    match = _PARAGRAPH.fullmatch(paragraph)
    if not match:
        raise node.fail("paragraph unknown")
    number, part = match["paragraph"], match["part"]
    if part:
        return Phrase(
            f"{short.kk}, {number}-тармақтың {part}) тармақшасы",
            f"{short.ru}, пп. {part}) п. {number}",
            f"{short.en}, ¶{number}({part})",
        )
    return Phrase(f"{short.kk}, {number}-тармақ", f"{short.ru}, п. {number}", f"{short.en}, ¶{number}")


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


def place_in_text(act: str, paragraph: str, ident: str) -> tuple[str, int, int, str]:
    """Order of the text: act, paragraph, part, then the letter of our own id; appendices last."""
    if match := _APPENDIX.fullmatch(paragraph):
        return act, 1000 + int(match["number"]), 0, ident
    match = _PARAGRAPH.fullmatch(paragraph)
    number, part = match.groups(default="0") if match else ("0", "0")
    return act, int(number), int(part), ident
