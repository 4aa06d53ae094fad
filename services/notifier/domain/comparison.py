"""What an amendment changes: two states of the law, line by line (``dabyl law diff A B``)."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Literal

from notifier.domain.edition import Condition, Edition, Parameters, Phrase, Rule, Withholding

Language = Literal["kk", "ru", "en"]

_SAME_BY_NATURE = frozenset({"id", "row", "edition", "citation"})


def diff(before: Edition, after: Edition, language: Language = "en") -> list[str]:
    """Editions, rules and parameters that differ; empty when both say the same.

    ``+`` is new, ``-`` is gone, ``~`` is changed, each with its paragraph; codes and values stand as in the
    files, texts in ``language``.
    """
    return [
        *_acts(before, after, language),
        *_rules(before, after, language),
        *_parameters(before.parameters, after.parameters),
    ]


def _acts(before: Edition, after: Edition, language: Language) -> Iterator[str]:
    for act_id in sorted({*before.acts, *after.acts}):
        old, new = before.acts.get(act_id), after.acts.get(act_id)
        name = (new or old or before.acts[act_id]).short.trilingual()[language]
        told_old = f"{old.edition} ({old.effective_from})" if old else "–"
        told_new = f"{new.edition} ({new.effective_from})" if new else "–"
        if told_old != told_new:
            yield f"~ {name}: {told_old} → {told_new}"


def _rules(before: Edition, after: Edition, language: Language) -> Iterator[str]:
    old = {rule.id: rule for rule in before.rules}
    new = {rule.id: rule for rule in after.rules}
    for rule in before.rules:
        if rule.id not in new:
            yield f"- {_title(rule, language)}"
    for rule in after.rules:
        if rule.id not in old:
            yield f"+ {_title(rule, language)}"
            continue
        changes = list(_changes(old[rule.id], rule, language))
        if changes:
            yield f"~ {_title(rule, language)}"
            yield from (f"    {change}" for change in changes)


def _title(rule: Rule, language: Language) -> str:
    return f"{rule.id} · {rule.citation.trilingual()[language]}: {rule.text.trilingual()[language]}"


def _changes(old: Rule, new: Rule, language: Language) -> Iterator[str]:
    for field in fields(Rule):
        if field.name in _SAME_BY_NATURE:
            continue
        was, is_now = getattr(old, field.name), getattr(new, field.name)
        if was != is_now:
            name = {"text": "duty", "advice": "advisory"}.get(field.name, field.name)
            yield f"{name}: {_told(was, language)} → {_told(is_now, language)}"
    if old.clock == new.clock:
        return
    if old.clock.code == new.clock.code:
        yield f"target: {old.clock.target} → {new.clock.target}"


def _parameters(old: Parameters, new: Parameters) -> Iterator[str]:
    for field in fields(Parameters):
        was, is_now = getattr(old, field.name), getattr(new, field.name)
        if was != is_now:
            yield f"~ {field.name}: {_told(was, 'en')} → {_told(is_now, 'en')}"


def _told(value: object, language: Language) -> str:
    if value in (None, (), "", frozenset()):
        return "–"
    if isinstance(value, tuple | frozenset):
        listed = value if isinstance(value, tuple) else sorted(value)
        return ", ".join(_told(each, language) for each in listed)
    match value:
        case Phrase():
            return value.trilingual()[language]
        case Condition():
            return f"{value.fact} = {_told(value.values, language)}"
        case Withholding():
            return f"{value.reason} ({_told(value.when, language)})"
        case _:
            return str(getattr(value, "code", value))
