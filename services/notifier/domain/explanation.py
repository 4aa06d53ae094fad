"""The law in words: why each duty is owed, by which reading, and how its clock was counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from notifier.domain.calendar import LOCAL, WorkingCalendar, local_day
from notifier.domain.edition import COORDINATING_BODY, Act, Edition, Phrase
from notifier.domain.evaluation import Duty, Evaluation, evaluate
from notifier.domain.facts import Facts
from notifier.domain.situation import GUARDIANSHIP_BODY

Language = Literal["kk", "ru", "en"]

_WEEKDAYS: dict[str, tuple[str, ...]] = {
    "kk": ("дс", "сс", "ср", "бс", "жм", "сб", "жс"),
    "ru": ("пн", "вт", "ср", "чт", "пт", "сб", "вс"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}

_WORDS = {
    "received": Phrase(
        "Түскен уақыты: {at} (Алматы уақыты)",
        "Получено: {at} (время Алматы)",
        "Received: {at} (Almaty time)",
    ),
    "edition": Phrase(
        "{act}: {id} редакциясы, қолданыла бастаған күні {on}",
        "{act}: редакция {id}, действует с {on}",
        "{act}: edition {id}, in force from {on}",
    ),
    "nobody_bound": Phrase(
        "Назар аударыңыз: бұл фактілер бойынша ешкім міндетті емес, адам қарауы керек",
        "Внимание: по этим фактам никто не обязан действовать, нужен взгляд человека",
        "Attention: on these facts nobody is bound to act, a person must look",
    ),
    "lasting": Phrase(
        "Іспен бірге жүреді және іспен бірге аяқталады",
        "Сопровождает дело и кончается вместе с ним",
        "Accompanies the case and ends with it",
    ),
    "evidence": Phrase(
        "Орындалғанын растайды: {facts}", "Исполнение подтверждает: {facts}", "Met by: {facts}"
    ),
    "target_days": Phrase(
        "Мәтінде мерзім жоқ; бағдар – {amount} жұмыс күні, 1-күн – {first}, соңғы сәті {due}; "
        "бұл заңда белгіленген мерзім емес",
        "Срока в тексте нет; ориентир – рабочих дней: {amount}, день 1 – {first}, до {due}; "
        "это не срок по закону",
        "The text gives no limit; target: working days {amount}, day 1 is {first}, by {due}; "
        "a target, not a limit of the law",
    ),
    "assumed": Phrase(
        " (қолданысқа енгізілген күні болжам бойынша)",
        " (дата введения в действие предположительная)",
        " (date of entry into force assumed)",
    ),
    "not_yet": Phrase(
        "Бұл күні бұйрық әлі қолданысқа енгізілмеген деп есептеледі; бізде бар ең ерте редакция қолданылды",
        "На эту дату приказ, по нашему предположению, ещё не действовал; применена самая ранняя редакция",
        "On this date the order was, we assume, not yet in force; the earliest edition was used",
    ),
    "reporter": Phrase(
        "Ақпаратты бірінші алған: {role} (хабарлаушы)",
        "Первым получил информацию: {role} (сообщивший)",
        "First to have the information: {role} (the reporter)",
    ),
    "hub": Phrase(
        "Ақпаратты бірінші алған: {role} (ашық арналарды қабылдайды)",
        "Первым получил информацию: {role} (принимает открытые каналы)",
        "First to have the information: {role} (holds the public channels)",
    ),
    "obligations": Phrase("Міндеттер", "Обязанности", "Duties"),
    "advisories": Phrase(
        "Бағдар ретінде, міндеттемейді", "Для ориентира, не обязывает", "For guidance, not binding"
    ),
    "withheld": Phrase("Орындалмайды", "Не исполняются", "Withheld"),
    "nothing": Phrase(
        "Бұл фактілер бойынша бұйрық ешкімге міндет жүктемейді",
        "По этим фактам приказ ни на кого не возлагает обязанностей",
        "On these facts the order lays no duty on anybody",
    ),
    "reading": Phrase("Оқылуы: {text}", "Прочтение: {text}", "Reading: {text}"),
    "reason": Phrase("Себебі: {text}", "Причина: {text}", "Reason: {text}"),
    "starts": Phrase(
        "Мерзім {role} хабарлама алған кезде басталады; төменде – бірден алады деп есептелген",
        "Срок начнётся, когда уведомление получит {role}; ниже – как если бы оно пришло сразу",
        "The clock starts when the notice reaches: {role}; counted below as if it arrived at once",
    ),
    "stand_in": Phrase(
        "Өңірлік орган жоқ: оның орнына қорғаншылық органы әрекет етеді",
        "Регионального органа нет: его замещает орган опеки",
        "No regional body: the guardianship body stands in",
    ),
    "provisional": Phrase(
        "Алдын ала есеп: бұл жылғы ауыстырылған жұмыс күндері әлі расталмаған",
        "Предварительно: переносы рабочих дней этого года ещё не подтверждены",
        "Provisional: the moved working days of this year are not confirmed yet",
    ),
    "immediately": Phrase(
        "Дереу: нысаналы уақыт – {target} мин, соңғы сәті {due}; бұл заңда белгіленген мерзім емес",
        "Незамедлительно: ориентир – {target} мин, до {due}; это не срок по закону",
        "At once: target {target} min, by {due}; a target, not a limit of the law",
    ),
    "hours": Phrase(
        "{amount} сағат, тәулік бойы; соңғы сәті {due}",
        "{amount} ч круглосуточно: до {due}",
        "{amount} h round the clock: by {due}",
    ),
    "same_day": Phrase(
        "Түскен күні; соңғы сәті {due}", "В день поступления: до {due}", "On the day of receipt: by {due}"
    ),
    "none": Phrase("Мәтінде мерзім жоқ", "Срока в тексте нет", "The text gives no limit"),
    "from_moment": Phrase(
        "Сәттен бастап {amount} жұмыс күні; соңғы сәті {due}",
        "Рабочих дней с момента: {amount}; до {due}",
        "Working days from the moment: {amount}; by {due}",
    ),
    "from_day": Phrase(
        "Күннен бастап {amount} жұмыс күні; 1-күн – {first}; соңғы сәті {due}",
        "Рабочих дней со дня: {amount}; день 1 – {first}; до {due}",
        "Working days from the day: {amount}; day 1 is {first}; by {due}",
    ),
    "breach": Phrase(
        "Бұзушылық мына сәттен кейін тіркеледі: {breach} (түскен күні есепке кірмейді)",
        "Нарушение фиксируется после {breach} (день получения не считается)",
        "A breach is recorded after {breach} (the day of receipt not counted)",
    ),
    "days_off": Phrase("Демалыс күндері: {days}", "Нерабочие дни: {days}", "Days off: {days}"),
}

_FORCE = {
    "law": Phrase("заң", "закон", "law"),
    "joint order": Phrase("бірлескен бұйрық", "совместный приказ", "joint order"),
    "internal practice": Phrase("ішкі тәжірибе", "внутренняя практика", "internal practice"),
}


def explain(
    edition: Edition, facts: Facts, calendar: WorkingCalendar, language: Language = "en"
) -> list[str]:
    """What the edition says about these facts, line by line: paragraph, force, reading, clock arithmetic."""
    evaluation = evaluate(edition, facts, calendar)
    return list(_Teller(edition, calendar, language).lines(facts, evaluation))


def explain_duty(
    edition: Edition, duty: Duty, calendar: WorkingCalendar, language: Language = "en"
) -> list[str]:
    """One duty: paragraph, force, who owes what to whom, reading, clock arithmetic, evidence, edition."""
    teller = _Teller(edition, calendar, language)
    return [*teller.duty(duty, None), *teller.origin(duty)]


def explain_obligation(
    edition: Edition,
    rule_id: str,
    *,
    obliged: str,
    recipient: str | None,
    starts_at: datetime,
    pending: bool,
    calendar: WorkingCalendar,
    language: Language = "en",
) -> list[str]:
    """A stored obligation, as ``explain_duty``, from what the ledger keeps of it.

    Args:
        edition: under which it was born; ``KeyError`` when it has no such rule.
        starts_at: its true start, or the projected one while it is ``pending``.
    """
    rule = edition.rule(rule_id)
    due_at, breach_at = rule.clock.times(starts_at, calendar)
    body = edition.parameters.within.get(obliged, obliged)
    duty = Duty(
        rule=rule.id,
        citation=rule.citation,
        force=rule.force,
        kind=rule.kind,
        text=rule.text,
        obliged=obliged,
        obliged_body=body,
        recipient=recipient,
        clock=rule.clock,
        dispatch=rule.dispatch,
        holder=obliged,
        starts_at=starts_at,
        due_at=due_at,
        breach_at=breach_at,
        state="pending" if pending else "open",
        urgency="routine",
        provisional=rule.clock.is_provisional(starts_at, calendar),
        stand_in=obliged == GUARDIANSHIP_BODY and COORDINATING_BODY in rule.obliged,
        replaceable=rule.replaceable,
        edition=rule.edition,
        evidence=rule.evidence,
        lasting=rule.lasting,
    )
    return explain_duty(edition, duty, calendar, language)


@dataclass(frozen=True, slots=True)
class _Teller:
    edition: Edition
    calendar: WorkingCalendar
    language: Language

    def lines(self, facts: Facts, evaluation: Evaluation) -> Iterator[str]:
        """The whole answer."""
        yield self._say("received", at=self._moment(facts.received_at))
        yield from self._about_edition()
        yield self._say(evaluation.holder, role=self._role(evaluation.first_holder))
        for title, entries in (
            ("obligations", [(duty, None) for duty in evaluation.obligations]),
            ("advisories", [(advisory.duty, advisory.text) for advisory in evaluation.advisories]),
            ("withheld", [(withheld.duty, withheld.text) for withheld in evaluation.withheld]),
        ):
            if not entries:
                continue
            yield ""
            yield f"{self._say(title)}: {len(entries)}"
            for duty, reason in entries:
                yield from self.duty(duty, reason)
        if evaluation.needs_a_person:
            yield self._say("nobody_bound")
        if not (evaluation.obligations or evaluation.advisories or evaluation.withheld):
            yield self._say("nothing")

    def _about_edition(self) -> Iterator[str]:
        for act in self.edition.acts.values():
            yield self._act(act)
        if self.edition.not_yet_in_force:
            yield self._say("not_yet")

    def _act(self, act: Act) -> str:
        line = self._say("edition", act=self._in(act.short), id=act.edition, on=self._day(act.effective_from))
        return line + (self._say("assumed") if act.effective_assumed else "")

    def origin(self, duty: Duty) -> Iterator[str]:
        """What meets it, and the edition that says so."""
        facts = [self.edition.facts[fact].text for fact in duty.evidence if fact in self.edition.facts]
        yield "    " + self._say("evidence", facts="; ".join(map(self._in, facts)))
        yield "    " + self._act(self.edition.acts[self.edition.rule(duty.rule).act])

    def duty(self, duty: Duty, reason: Phrase | None) -> Iterator[str]:
        """One duty, and why it is withheld or only advised."""
        force = self._in(_FORCE[duty.force])
        yield f"{duty.rule} · {self._in(duty.citation)} · {force}"
        recipient = f" → {self._role(duty.recipient)}" if duty.recipient else ""
        yield f"    {self._role(duty.obliged)}{recipient}: {self._in(duty.text)}"
        for line in self._details(duty, reason):
            yield f"    {line}"

    def _details(self, duty: Duty, reason: Phrase | None) -> Iterator[str]:
        if reason:
            yield self._say("reason", text=self._in(reason))
        rule = self.edition.rule(duty.rule)
        if rule.reading:
            doubts = f" [{', '.join(rule.doubts)}]" if rule.doubts else ""
            yield self._say("reading", text=self._in(rule.reading)) + doubts
        if duty.stand_in:
            yield self._say("stand_in")
        if duty.state == "pending":
            yield self._say("starts", role=self._role(duty.holder))
        yield from self._clock(duty)

    def _clock(self, duty: Duty) -> Iterator[str]:
        clock = duty.clock
        if duty.lasting:
            yield self._say("lasting")
            return
        if duty.due_at is None:
            yield self._say("none")
            return
        received_on = local_day(duty.starts_at)
        yield self._say(
            (clock.counted or clock.kind) if clock.binding else "target_days",
            amount=clock.amount,
            target=int(clock.target.total_seconds() // 60),
            due=self._moment(duty.due_at),
            first=self._day(self.calendar.first_working(received_on)),
        )
        if clock.kind != "working_days":
            return
        last = duty.due_at
        if duty.breach_at is not None:
            last = duty.breach_at
            yield self._say("breach", breach=self._moment(duty.breach_at))
        days = [self._day(day) for day in self.calendar.days_off(received_on, local_day(last))]
        if days:
            yield self._say("days_off", days=", ".join(days))
        if duty.provisional:
            yield self._say("provisional")

    def _say(self, key: str, **values: object) -> str:
        return self._in(_WORDS[key]).format(**values)

    def _in(self, phrase: Phrase) -> str:
        return phrase.trilingual()[self.language]

    def _role(self, role: str) -> str:
        return self._in(self.edition.name_of(role))

    def _day(self, day: date) -> str:
        return f"{_WEEKDAYS[self.language][day.weekday()]} {day:%d.%m.%Y}"

    def _moment(self, moment: datetime) -> str:
        local = moment.astimezone(LOCAL)
        return f"{self._day(local.date())} {local:%H:%M:%S}"
