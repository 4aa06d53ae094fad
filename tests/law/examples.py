"""Runs the worked examples that the law files carry."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from notifier.domain.calendar import LOCAL, WorkingCalendar
from notifier.domain.edition import CONCERNS, Edition
from notifier.domain.evaluation import Advisory, Duty, Evaluation, Withheld, evaluate, follow
from notifier.domain.facts import Occurrence
from notifier.lawbook import LAW
from tests.factories.law import local, some_facts

_ASPECTS = ("obliged", "recipient", "holder", "state", "due", "breach", "in", "reason")
_SHARED = ("force", "kind", "dispatch", "starts", "evidence", "lasting", "calls_out")


@dataclass(frozen=True)
class Example:
    """One worked example of one rule."""

    edition: str
    rule: str
    name: str
    given: dict[str, Any]
    expect: list[dict[str, Any]] | None
    by_concern: dict[str, str] | None
    each: dict[str, Any]

    def failures(self, edition: Edition, calendar: WorkingCalendar) -> Iterator[str]:
        """What the edition answers otherwise than the example says; nothing when it holds."""
        if self.expect is not None:
            yield from self._unlike(self._ask(edition, calendar, self.given))
        for concern in CONCERNS if self.by_concern is not None else ():
            found = self._ask(edition, calendar, {**self.given, "concerns": [concern]})
            kinds = {entry["in"] for entry in found}
            answer = {"obligations": "owed", "advisories": "advisory", "withheld": "withheld"}
            said = "nothing" if not kinds else answer[kinds.pop()] if len(kinds) == 1 else "several"
            assert self.by_concern is not None
            if said != self.by_concern[concern]:
                yield f"{concern}: {said}, not {self.by_concern[concern]}"

    def _ask(
        self, edition: Edition, calendar: WorkingCalendar, given: dict[str, Any]
    ) -> list[dict[str, Any]]:
        facts = some_facts(**{key: value for key, value in given.items() if key != "later"})
        if later := given.get("later"):
            occurrence = Occurrence(later["fact"], local(later["at"]), later.get("body"))
            return self._answers(follow(edition, facts, occurrence, calendar))
        return self._answers(evaluate(edition, facts, calendar))

    def _unlike(self, found: list[dict[str, Any]]) -> Iterator[str]:
        assert self.expect is not None
        if len(found) != len(self.expect):
            yield f"{len(found)} duties, not {len(self.expect)}"
            return
        for answer, expected in zip(found, self.expect, strict=True):
            for aspect, value in {"in": "obligations", **expected}.items():
                assert aspect in _ASPECTS, aspect
                if answer[aspect] != value:
                    yield f"{aspect}: {answer[aspect]}, not {value}"
            shared = {"lasting": False, "calls_out": False, **self.each} if self.each else {}
            for aspect, value in shared.items():
                assert aspect in _SHARED, aspect
                said = [value] if isinstance(answer[aspect], list) and isinstance(value, str) else value
                if answer[aspect] != said:
                    yield f"{aspect}: {answer[aspect]}, not {said}"

    def _answers(self, evaluation: Evaluation) -> list[dict[str, Any]]:
        return [
            *(_answer("obligations", duty) for duty in evaluation.obligations if duty.rule == self.rule),
            *(
                _beside("advisories", entry)
                for entry in evaluation.advisories
                if entry.duty.rule == self.rule
            ),
            *(_beside("withheld", entry) for entry in evaluation.withheld if entry.duty.rule == self.rule),
        ]


def _beside(where: str, entry: Advisory | Withheld) -> dict[str, Any]:
    return {**_answer(where, entry.duty), "reason": entry.reason}


def _answer(where: str, duty: Duty) -> dict[str, Any]:
    return {
        "in": where,
        "obliged": duty.obliged,
        "recipient": duty.recipient,
        "holder": duty.holder,
        "state": duty.state,
        "due": f"{duty.due_at.astimezone(LOCAL):%Y-%m-%d %H:%M:%S}" if duty.due_at else None,
        "breach": f"{duty.breach_at.astimezone(LOCAL):%Y-%m-%d %H:%M:%S}" if duty.breach_at else None,
        "force": duty.force,
        "kind": duty.kind,
        "dispatch": duty.dispatch,
        "starts": duty.starts,
        "evidence": list(duty.evidence),
        "lasting": duty.lasting,
        "calls_out": duty.calls_out,
    }


def rule_files(folder: Path = LAW) -> list[Path]:
    """Every file that holds rules."""
    return [
        path
        for path in sorted(folder.glob("*/*.yaml"))
        if "rules:" in path.read_text(encoding="utf-8").splitlines()
    ]


@cache
def all_examples() -> list[Example]:
    """Every example of every rule of every edition."""
    return [
        Example(
            edition=path.parent.name,
            rule=rule["rule"],
            name=example.get("name", "by concern"),
            given=example.get("given", {}),
            expect=example.get("expect"),
            by_concern=example.get("by_concern"),
            each=example.get("each", {}),
        )
        for path in rule_files()
        for rule in yaml.safe_load(path.read_text(encoding="utf-8"))["rules"]
        for example in rule["examples"]
    ]
