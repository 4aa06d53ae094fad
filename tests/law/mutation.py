"""Plants one wrong word at a time in every rule of the law, and sees whether an example of that rule objects.

``python -m tests.law.mutation`` prints the figures by file and by what was changed.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import get_args

import yaml

from notifier.domain.clock import Clock
from notifier.domain.edition import CONCERNS, Condition, Dispatch, Edition, Force, Rule, Withholding
from tests.factories.law import the_lawbook
from tests.law.examples import Example, all_examples, rule_files

STRANGER = "prosecutor"
"""A role that no rule names: put in the place of the right one."""


@dataclass(frozen=True)
class Mutant:
    """A rule with one thing wrong; ``aspect`` is the field of the file, ``change`` says what."""

    aspect: str
    change: str
    rule: Rule


def mutants(rule: Rule) -> Iterator[Mutant]:
    """The rule with one thing wrong, many times over."""
    for aspect, change, wrong in _wrong(rule):
        yield Mutant(aspect, change, wrong)


def _wrong(rule: Rule) -> Iterator[tuple[str, str, Rule]]:
    for concern in CONCERNS:
        yield "scope", f"± {concern}", replace(rule, scope=rule.scope ^ {concern})
    yield from _parties(rule)
    for clock in _other_clocks(rule.clock):
        yield "clock", f"{rule.clock.code} → {clock.code}", replace(rule, clock=clock)
    for force in get_args(Force):
        if force != rule.force:
            yield "force", f"→ {force}", replace(rule, force=force)
    yield "kind", "the other", replace(rule, kind="act" if rule.kind == "notice" else "notice")
    for dispatch in get_args(Dispatch):
        if dispatch != rule.dispatch:
            yield "dispatch", f"→ {dispatch}", replace(rule, dispatch=dispatch)
    yield from _starts(rule)
    for fact in rule.evidence:
        fewer = tuple(other for other in rule.evidence if other != fact)
        yield "evidence", f"{fact} dropped", replace(rule, evidence=fewer)
    yield "evidence", "one more", replace(rule, evidence=(*rule.evidence, "case.difficult"))
    yield "lasting", "the other", replace(rule, lasting=not rule.lasting)
    yield "calls_out", "the other", replace(rule, calls_out=not rule.calls_out)
    for place, condition in enumerate(rule.when):
        for change, changed in _weaker(condition):
            when = (*rule.when[:place], *changed, *rule.when[place + 1 :])
            yield "when", change, replace(rule, when=when)
    yield from _advice(rule)
    yield from _withheld(rule)


def _parties(rule: Rule) -> Iterator[tuple[str, str, Rule]]:
    for party in rule.obliged:
        others = tuple(STRANGER if role == party else role for role in rule.obliged)
        yield "obliged", f"{party} → {STRANGER}", replace(rule, obliged=others)
        if len(rule.obliged) > 1:
            fewer = tuple(role for role in rule.obliged if role != party)
            yield "obliged", f"{party} dropped", replace(rule, obliged=fewer)
    yield "obliged", "one more", replace(rule, obliged=(*rule.obliged, "first_holder", "coordinating_body"))
    for party in rule.recipients:
        others = tuple(STRANGER if role == party else role for role in rule.recipients)
        yield "recipient", f"{party} → {STRANGER}", replace(rule, recipients=others)
        fewer = tuple(role for role in rule.recipients if role != party)
        yield "recipient", f"{party} dropped", replace(rule, recipients=fewer)
    yield "recipient", "one more", replace(rule, recipients=(*rule.recipients, STRANGER))


def _other_clocks(clock: Clock) -> Iterator[Clock]:
    others = [
        Clock("none"),
        Clock("immediately"),
        Clock("immediately", target=timedelta(minutes=30)),
        Clock("hours", 1),
        Clock("hours", 2),
        Clock("same_day"),
        *(Clock("working_days", days, "from_moment") for days in (1, 2, 3, 10)),
        *(Clock("working_days", days, "from_day") for days in (1, 2, 3, 4, 10, 11)),
    ]
    if clock.kind == "working_days":
        others.append(replace(clock, amount=clock.amount + 1))
        others.append(replace(clock, binding=not clock.binding))
    yield from (other for other in others if other != clock)


def _starts(rule: Rule) -> Iterator[tuple[str, str, Rule]]:
    if rule.starts == "fact":
        yield "starts", "→ information", replace(rule, starts="information", after=())
        for fact in rule.after:
            fewer = tuple(other for other in rule.after if other != fact)
            yield "starts", f"after {fact} dropped", replace(rule, after=fewer)
        return
    yield (
        "starts",
        "the other",
        replace(rule, starts="notice" if rule.starts == "information" else "information"),
    )
    yield "starts", "→ fact", replace(rule, starts="fact", after=("case.difficult",))
    for fact in rule.after:
        fewer = tuple(other for other in rule.after if other != fact)
        yield "starts", f"after {fact} dropped", replace(rule, after=fewer)
        yield "starts", "only after a fact", replace(rule, starts="fact")


def _weaker(condition: Condition) -> Iterator[tuple[str, tuple[Condition, ...]]]:
    yield f"no condition on {condition.fact}", ()
    for value in condition.values:
        fewer = tuple(other for other in condition.values if other is not value)
        if isinstance(value, bool):
            yield f"{condition.fact} {not value}", (replace(condition, values=(not value,)),)
        else:
            yield f"{condition.fact} without {value}", (replace(condition, values=fewer),)


def _advice(rule: Rule) -> Iterator[tuple[str, str, Rule]]:
    if rule.advice is None:
        return
    yield "advisory", "none", replace(rule, advice=None)
    yield "advisory", "another reason", replace(rule, advice=replace(rule.advice, reason="because"))
    for concern in CONCERNS:
        if concern not in rule.scope:
            scope = rule.advice.scope ^ {concern}
            yield "advisory", f"± {concern}", replace(rule, advice=replace(rule.advice, scope=scope))


def _withheld(rule: Rule) -> Iterator[tuple[str, str, Rule]]:
    def with_(place: int, *changed: Withholding) -> Rule:
        return replace(rule, withheld=(*rule.withheld[:place], *changed, *rule.withheld[place + 1 :]))

    for place, withholding in enumerate(rule.withheld):
        yield "withheld", f"no longer for {withholding.reason}", with_(place)
        yield "withheld", "another reason", with_(place, replace(withholding, reason="because"))
        for condition in withholding.when:
            for change, changed in _weaker(condition):
                yield "withheld", change, with_(place, replace(withholding, when=changed))


@cache
def _senders(edition_id: str) -> tuple[Rule, ...]:
    """The rules that bring information to somebody: all that another rule's duties depend on."""
    rules = the_lawbook().edition(edition_id).rules
    return tuple(rule for rule in rules if rule.dispatch != "none" and rule.starts != "fact")


@cache
def own_examples(edition_id: str, rule_id: str) -> tuple[Example, ...]:
    """The examples in one rule of one file; those of a single case before those of every concern."""
    own = [example for example in all_examples() if (example.edition, example.rule) == (edition_id, rule_id)]
    return tuple(sorted(own, key=lambda example: example.by_concern is not None))


def is_seen(edition: Edition, mutant: Mutant) -> bool:
    """Whether an example of the rule itself fails; only what its own duties depend on is evaluated."""
    rest = tuple(rule for rule in _senders(edition.id) if rule.id != mutant.rule.id)
    planted = replace(edition, rules=(mutant.rule, *rest))
    examples = own_examples(mutant.rule.edition, mutant.rule.id)
    if mutant.aspect in {"scope", "advisory"}:
        examples = examples[::-1]
    calendar = the_lawbook().calendar
    return any(next(example.failures(planted, calendar), None) is not None for example in examples)


def all_rules() -> list[tuple[Edition, Rule]]:
    """Every rule of every edition, each with the law of its time."""
    lawbook = the_lawbook()
    return [
        (lawbook.edition(edition.id), rule)
        for edition in lawbook.editions
        for rule in lawbook.edition(edition.id).rules
        if rule.edition == edition.id
    ]


def _file_of() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in rule_files():
        for rule in yaml.safe_load(Path(path).read_text(encoding="utf-8"))["rules"]:
            found[rule["rule"]] = f"{path.parent.name}/{path.name}"
    return found


def main() -> int:
    """Run all mutants; 0 when every one was seen."""
    files, planted, seen, by_file = _file_of(), Counter[str](), Counter[str](), Counter[str]()
    for edition, rule in all_rules():
        for mutant in mutants(rule):
            planted[mutant.aspect] += 1
            by_file[files[rule.id]] += 1
            if is_seen(edition, mutant):
                seen[mutant.aspect] += 1
            else:
                say(f"NOT SEEN  {rule.id}  {mutant.aspect}  {mutant.change}")
    for aspect, count in sorted(planted.items()):
        say(f"{aspect:12} {seen[aspect]:5} of {count:5}")
    for file, count in sorted(by_file.items()):
        say(f"{file:45} {count:5} planted")
    say(f"{sum(seen.values())} of {sum(planted.values())} changes seen, {len(all_rules())} rules")
    return 0 if seen == planted else 1


def say(line: str) -> None:
    """One line for the person who runs this."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
