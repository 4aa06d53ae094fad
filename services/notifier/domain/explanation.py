"""The law in words: why each duty is owed, by which reading, and how its clock was counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from notifier.domain.calendar import LOCAL, WorkingCalendar, local_day
from notifier.domain.edition import Edition, Phrase
from notifier.domain.evaluation import Duty, Evaluation, evaluate
from notifier.domain.facts import Facts

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
        "Редакция: {id}, қолданыла бастаған күні {on}", "Редакция: {id}, с {on}", "Edition: {id}, from {on}"
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
    return list(_Teller(edition, facts, calendar, language).lines(evaluation))


@dataclass(frozen=True, slots=True)
class _Teller:
    edition: Edition
    facts: Facts
    calendar: WorkingCalendar
    language: Language

    def lines(self, evaluation: Evaluation) -> Iterator[str]:
        yield self._say("received", at=self._moment(self.facts.received_at))
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
                yield from self._duty(duty, reason)
        if not (evaluation.obligations or evaluation.advisories or evaluation.withheld):
            yield self._say("nothing")

    def _about_edition(self) -> Iterator[str]:
        line = self._say("edition", id=self.edition.id, on=self._day(local_day(self.edition.effective_from)))
        assumed = any(act.effective_assumed for act in self.edition.acts.values())
        yield line + (self._say("assumed") if assumed else "")
        if self.edition.not_yet_in_force:
            yield self._say("not_yet")

    def _duty(self, duty: Duty, reason: Phrase | None) -> Iterator[str]:
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
        if duty.due_at is None:
            yield self._say("none")
            return
        received_on = local_day(duty.starts_at)
        yield self._say(
            clock.counted or clock.kind,
            amount=clock.amount,
            target=int(clock.target.total_seconds() // 60),
            due=self._moment(duty.due_at),
            first=self._day(self.calendar.first_working(received_on)),
        )
        if clock.kind != "working_days" or duty.breach_at is None:
            return
        yield self._say("breach", breach=self._moment(duty.breach_at))
        days = [self._day(day) for day in self.calendar.days_off(received_on, local_day(duty.breach_at))]
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
