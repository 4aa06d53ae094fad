"""The law as a page: every row of the list of obligations, beside the rule that executes it.

``python -m notifier.lawbook docs/law.md`` writes it; a test proves that the written page is fresh.
"""

from collections.abc import Iterator

from notifier.domain.clock import Clock
from notifier.domain.edition import COORDINATING_BODY, FIRST_HOLDER, HUB, Condition, Phrase, Rule
from notifier.domain.periodic import PeriodicDuty
from notifier.lawbook import ActEdition, Lawbook
from notifier.lawbook.rows import Row
from notifier.lawbook.rules import place_in_text

_STAND_INS = {
    FIRST_HOLDER: "whoever has it first",
    COORDINATING_BODY: "regional child rights body, else guardianship body",
    HUB: "contact centre 111 (or the hub of public channels)",
    "concerned_body": "the body concerned",
}
_CONCERNS = {
    "violence": "violence",
    "cruelty": "cruelty",
    "bullying": "bullying",
    "witness_of_violence": "witness of violence",
    "suicidal_behaviour": "suicidal behaviour",
    "crisis": "crisis",
    "other": "other",
}
_DISPATCH = {
    "at_once": "sent at once",
    "on_release": "sent on release by the obliged body, by itself 4 h before it is due",
    "none": "nothing is sent",
}
_LIVES = {
    "alert": "a field of the alert",
    "form": "a form",
    "catalogue": "a catalogue of casework",
    "return": "a return to registry",
    "access": "the access table",
    "standing": "not executable: no event starts it",
    "another_act": "not executable: the act is not in our sources",
    "order": "a one-off duty of the issuers",
}
_EVERY = {
    "month": "every month",
    "quarter": "every quarter",
    "half_year": "every half-year",
    "school_year": "every school year",
}
_HEAD = """<!-- Written by `make contracts` from services/notifier/law: change those files, not this page. -->

# The law, row by row

Each row of parts A, C and D of the list of obligations stands here, with what the platform does about it; a
row that asks two things stands here once for each. Part B, the thirteen kinds of help under ¶26–28 of the
joint order, has no rows: a plan assigns pedagogical, social or legal help, by R136-26, R136-27 or R136-28,
and the platform does not tell the items within one of them apart. The Kazakh and Russian texts are short
renderings of the duty, not quotations. Where the text leaves a doubt, the reading that is used is given,
with the number of the doubt (K, X, J, G) in the list of discrepancies.

*Force*: `law` and `joint order` bind; `internal practice` is a choice of ours and binds nobody. *At once*
has no number in either order: the platform rings after {target} minutes, and records no breach. For working
days the first moment is the stricter reading and rings, the second is the later reading and is the formal
breach. A clock starts when its holder has the information. *Lasting* duties accompany the case and end
with it.
"""

_Place = tuple[str, int, int, str]


def page(lawbook: Lawbook) -> str:
    """The page in Markdown, of the latest edition of every act that we hold."""
    latest = {edition.act.id: edition for edition in lawbook.editions}
    target = lawbook.practices[-1].parameters.immediate_target
    parts = [_HEAD.format(target=int(target.total_seconds() // 60))]
    parts += ["\n".join(_summary(latest))]
    parts += ["\n".join(_act(edition, lawbook)) for _, edition in sorted(latest.items(), reverse=True)]
    return "\n".join(parts).rstrip() + "\n"


def _summary(latest: dict[str, ActEdition]) -> Iterator[str]:
    yield "| Act | Edition | In force from | Rules | Periodic duties | Other rows |"
    yield "|---|---|---|---|---|---|"
    for _, edition in sorted(latest.items(), reverse=True):
        act = edition.act
        assumed = " (assumed)" if act.effective_assumed else ""
        yield (
            f"| {act.short.en} | `{edition.id}` | {act.effective_from}{assumed} | {len(edition.rules)} "
            f"| {len(edition.periodic)} | {len(edition.rows)} |"
        )
    yield ""


def _act(edition: ActEdition, lawbook: Lawbook) -> Iterator[str]:
    act = edition.act
    yield f"## {act.short.en}"
    yield ""
    for language in ("kk", "ru"):
        if title := act.title.get(language):
            yield f"{title}  "
    yield f"{'; '.join(act.numbers)}. Registered {act.registered_on}, No. {act.registration}."
    yield ""
    yield from _index(edition)
    entries: list[tuple[_Place, Iterator[str]]] = [
        *((place_in_text(act.id, rule.paragraph, rule.id), _rule(rule, lawbook)) for rule in edition.rules),
        *(
            (place_in_text(act.id, each.paragraph, each.id), _periodic(each, lawbook))
            for each in edition.periodic
        ),
        *((_place_of(act.id, row), _row(row)) for row in edition.rows),
    ]
    for _, lines in sorted(entries, key=lambda entry: entry[0]):
        yield from lines


def _index(edition: ActEdition) -> Iterator[str]:
    """One line a row: what it asks, and where it lives."""
    act = edition.act.id
    lines: list[tuple[_Place, str]] = [
        (
            place_in_text(act, rule.paragraph, rule.id),
            f"| {rule.row or '–'} | {_paragraph(rule.paragraph)} | {rule.text.kk} / {rule.text.ru} "
            f"| {rule.force} | {'lasting' if rule.lasting else _clock(rule.clock)} | rule `{rule.id}` |",
        )
        for rule in edition.rules
    ]
    lines += [
        (
            place_in_text(act, duty.paragraph, duty.id),
            f"| {duty.row} | {_paragraph(duty.paragraph)} | {duty.text.kk} / {duty.text.ru} "
            f"| {duty.force} | {_EVERY[duty.every]} | periodic duty `{duty.id}` |",
        )
        for duty in edition.periodic
    ]
    lines += [
        (
            _place_of(act, row),
            f"| {row.id} | {_paragraph(row.paragraph)} | {row.text.kk} / {row.text.ru} "
            f"| – | – | {_LIVES[row.lives]} |",
        )
        for row in edition.rows
    ]
    yield "| Row | Paragraph | Duty | Force | Clock | Lives in |"
    yield "|---|---|---|---|---|---|"
    yield from (line for _, line in sorted(lines))
    yield ""


def _place_of(act: str, row: Row) -> _Place:
    if row.lives == "order":
        return (act, 10_000, 0, row.id)
    return place_in_text(act, row.paragraph, row.id)


def _rule(rule: Rule, lawbook: Lawbook) -> Iterator[str]:
    own = "" if rule.row else " (a practice of ours, no row of the list)"
    yield f"### {rule.id} · {_paragraph(rule.paragraph)}{own}"
    yield ""
    yield from _texts(rule.text)
    recipients = ", ".join(_role(role, lawbook) for role in rule.recipients)
    yield f"- **Who**: {', '.join(_role(role, lawbook) for role in rule.obliged)}" + (
        f" → {recipients}" if recipients else ""
    )
    yield f"- **For**: {_scope(rule)}"
    if rule.when:
        yield f"- **When**: {'; '.join(_condition(condition) for condition in rule.when)}"
    for withholding in rule.withheld:
        conditions = "; ".join(_condition(condition) for condition in withholding.when)
        yield f"- **Withheld**: {withholding.text.en} ({conditions})"
    yield f"- **Starts**: {_starts(rule, lawbook)}"
    yield f"- **Clock**: {'lasting; ends with the case' if rule.lasting else _clock(rule.clock)}"
    yield f"- **Met by**: {'; '.join(lawbook.names.facts[fact].text.en for fact in rule.evidence)}"
    yield f"- **Message**: {_DISPATCH[rule.dispatch]}" + (
        "; also to a partner that reported" if rule.calls_out else ""
    )
    yield from _foot(rule.force, rule.reading, rule.doubts, replaceable=rule.replaceable)


def _periodic(duty: PeriodicDuty, lawbook: Lawbook) -> Iterator[str]:
    yield f"### {duty.id} · {_paragraph(duty.paragraph)}"
    yield ""
    yield from _texts(duty.text)
    recipients = ", ".join(_role(role, lawbook) for role in duty.recipients)
    yield f"- **Who**: {', '.join(_role(role, lawbook) for role in duty.obliged)}" + (
        f" → {recipients}" if recipients else ""
    )
    yield f"- **Returns**: {_EVERY[duty.every]}; {_due(duty)}"
    if duty.first and duty.last:
        yield f"- **Term**: periods that begin from {duty.first} to {duty.last}"
    yield f"- **Met by**: {'; '.join(lawbook.names.facts[fact].text.en for fact in duty.evidence)}"
    yield from _foot(duty.force, duty.reading, duty.doubts, replaceable=False)


def _row(row: Row) -> Iterator[str]:
    yield f"### {row.id} · {_paragraph(row.paragraph)}"
    yield ""
    yield from _texts(row.text)
    yield f"- **Who**: {row.obliged}"
    yield f"- **No rule**: {_LIVES[row.lives]}. {row.answer}"
    yield ""


def _foot(force: str, reading: Phrase | None, doubts: tuple[str, ...], *, replaceable: bool) -> Iterator[str]:
    yield f"- **Force**: {force}" + ("; our configuration of an act we do not hold" if replaceable else "")
    if reading:
        numbers = f" [{', '.join(doubts)}]" if doubts else ""
        yield f"- **Reading**: {reading.kk} / {reading.ru} / {reading.en}{numbers}"
    elif doubts:
        yield f"- **Doubts**: {', '.join(doubts)}"
    yield ""


def _texts(text: Phrase) -> Iterator[str]:
    yield f"> {text.kk}  "
    yield f"> {text.ru}  "
    yield f"> *{text.en}*"
    yield ""


def _paragraph(paragraph: str) -> str:
    return paragraph if paragraph[0].isalpha() else f"¶{paragraph}"


def _role(role: str, lawbook: Lawbook) -> str:
    return _STAND_INS.get(role) or lawbook.names.roles[role].en


def _scope(rule: Rule) -> str:
    named = [word for concern, word in _CONCERNS.items() if concern in rule.scope]
    text = "every concern" if len(named) == len(_CONCERNS) else ", ".join(named)
    if rule.advice:
        advised = ", ".join(word for concern, word in _CONCERNS.items() if concern in rule.advice.scope)
        text += f"; for guidance only: {advised} ({rule.advice.text.en})"
    return text


def _condition(condition: Condition) -> str:
    fact = condition.fact.replace("_", " ")
    if condition.values == (True,):
        return fact
    if condition.values == (False,):
        return f"no {fact}" if fact != "parents may be informed" else "parents may not be informed"
    return f"{fact}: {' or '.join(str(value).replace('_', ' ') for value in condition.values)}"


def _starts(rule: Rule, lawbook: Lawbook) -> str:
    after = "after: " + " or ".join(lawbook.names.facts[fact].text.en for fact in rule.after)
    if rule.starts == "fact":
        return after
    if rule.starts == "notice":
        return "when the message reaches the obliged body"
    return "when the obliged body has the information" + (f", or {after}" if rule.after else "")


def _clock(clock: Clock) -> str:
    match clock.kind:
        case "immediately":
            return "at once (a target of ours, not a limit of the law)"
        case "hours":
            return f"{clock.amount} hour{'s' if clock.amount > 1 else ''}, round the clock"
        case "same_day":
            return "by the end of the day of receipt, days off included"
        case "working_days":
            days = f"{clock.amount} working day{'s' if clock.amount > 1 else ''}"
            return f"{days} {_counted(clock)}"
        case _:
            return "no limit in the text, or a limit of another act"


def _counted(clock: Clock) -> str:
    if not clock.binding:
        return "(a target of ours; the text gives no limit)"
    if clock.counted == "from_moment":
        return "from the moment: rings at the same hour of the last day, breach at its end"
    return "from the day: rings with the day of receipt as day 1, breach with the day after it as day 1"


def _due(duty: PeriodicDuty) -> str:
    due = duty.due
    match due.by:
        case "school_year_start":
            text = "before the school year begins: rings on the last working day, breach on the last day"
        case "day_after":
            rings = f"the {due.day}th" if due.inclusive else f"the {due.day - 1}th"
            text = f"rings on {rings} of the following month, breach after the {due.day}th"
        case _:
            text = "rings on the last working day of the period" + (
                ", breach at its end" if due.binding else "; no breach by this reading"
            )
    if due.cut_off:
        numbers = " and ".join(str(number) for number in due.cut_off_in)
        text += f"; in periods {numbers} it rings {due.cut_off} working days earlier"
    return text
