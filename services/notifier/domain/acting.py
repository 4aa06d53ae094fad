"""What an obliged body may do with its own duty: send its notice now, state that it is done, or waive it.

Neither order lets a body free itself from what is owed at once, in an hour or the same day: such a duty is
never waived. What is counted in days, or has no limit, may turn out to be moot; then its body says so with a
reason and a second person, and a breach that was before stays on record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from notifier.domain.edition import FactCode, Rule

_OWED = ("pending", "open")
_PROMPT = ("immediately", "hours", "same_day")


class Act(StrEnum):
    """What can be done with a duty by whom it binds."""

    RELEASE = "release"
    WAIVER = "waiver"
    EVIDENCE = "evidence"


class AlertAct(StrEnum):
    """What can be done with a whole alert by a body that knows it."""

    RELEASE = "release"
    CORRECTION = "correction"
    WITHDRAWAL = "withdrawal"
    RATING = "rating"
    UNFOUNDED = "unfounded"
    CONFLICT = "conflict"
    CONFLICT_LOWERED = "conflict_lowered"
    PARENT_LOCK = "parent_lock"
    LOCK_LIFTED = "lock_lifted"


@dataclass(frozen=True, slots=True)
class Choice:
    """What may be done with one duty, and by which fact codes its body may state it done."""

    may: tuple[Act, ...]
    facts: tuple[str, ...]


def choice_of(rule: Rule, facts: Mapping[str, FactCode], *, state: str, has_left: bool) -> Choice:
    """What its obliged body may do with a duty that stands so.

    Args:
        facts: the codes of the edition under which it was born.
        has_left: a notice of it exists, sent or on its way.
    """
    if state not in _OWED:
        return Choice((), ())
    stated = tuple(code for code in rule.evidence if code in facts and facts[code].source == "agency")
    possible = {
        Act.RELEASE: rule.dispatch == "on_release" and not has_left,
        Act.EVIDENCE: bool(stated),
        Act.WAIVER: _may_be_moot(rule) and not has_left,
    }
    return Choice(tuple(act for act, is_possible in possible.items() if is_possible), stated)


def _may_be_moot(rule: Rule) -> bool:
    return rule.clock.kind not in _PROMPT and rule.dispatch != "at_once" and not rule.lasting
