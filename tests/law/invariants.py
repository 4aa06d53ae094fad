"""Random facts, and what must hold for every alert whatever it says.

``python -m tests.law.invariants 100000`` runs as many as asked for and prints the figures.
"""

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from uuid import UUID, uuid4, uuid5

from common.contracts import vocabulary
from notifier.domain.calendar import local_day
from notifier.domain.edition import CONCERNS
from notifier.domain.evaluation import Duty, Evaluation, evaluate, follow
from notifier.domain.facts import Facts, Occurrence
from notifier.domain.planning import Case, plan
from notifier.domain.resolution import Absence, Directory, Holding
from tests.factories.law import local, the_lawbook

NAMED = {"violence", "cruelty", "bullying", "witness_of_violence"}
LOCKED = {"parent", "guardian", "relative", "household_member"}
NEVER_CONTACTED = {"child", "legal_rep", "emergency_medical"}
REGIONAL, GUARDIANSHIP = "regional_child_rights_body", "guardianship_body"
COORDINATED = ("R136-12.1", "R136-12.2", "R136-12.3a", "R136-12.3b", "R136-12.4", "R136-12.5", "R136-12.6",
               "R136-12.7", "R136-17", "R136-18", "R136-19", "R136-20", "R136-21")  # fmt: skip
TERRITORY = "KZ-75"
FIRST_DAY = datetime(2024, 3, 2, tzinfo=UTC)
THE_LAW = the_lawbook().edition("joint_order_2026")
ROLES = sorted(THE_LAW.role_names)
REPORTERS = [*ROLES, "parent", "citizen", "anonymous", "teacher", "nobody", "social_pedagogue"]
BANDS = [band.value for band in vocabulary.AgeBand]


def some(random: Random) -> Facts:
    """Facts of any alert: every code of the vocabulary, every flag, any time from March 2024 to 2036."""
    return Facts(
        received_at=FIRST_DAY + timedelta(seconds=random.randrange(12 * 365 * 86400)),
        territory=TERRITORY,
        concerns=frozenset(random.sample(CONCERNS, random.choice([0, 1, 1, 1, 2, 2, 3, 7]))),
        reporter=random.choice(REPORTERS),
        reported_by=random.choice([None, "staff", "head"]),
        occasion=random.choice(list(vocabulary.Occasion)),
        channel=random.choice(list(vocabulary.Channel)),
        cyber=random.random() < 0.2,
        direct_threat=random.random() < 0.4,
        needs_medical_care=random.random() < 0.3,
        without_parental_care=random.random() < 0.3,
        offender_relation=random.choice(list(vocabulary.OffenderRelation)),
        parents_may_be_informed=random.choice([None, True, False]),
        parent_lock=random.choice([None, None, None, True, False]),
        age_band=random.choice(BANDS),
        regional_body=random.random() < 0.7,
    )


def broken(facts: Facts, evaluation: Evaluation) -> list[str]:
    """The invariants that this answer breaks; nothing when all hold."""
    everything = (
        *evaluation.obligations,
        *(entry.duty for entry in evaluation.advisories),
        *(entry.duty for entry in evaluation.withheld),
    )
    found = {name for duty in everything for name, wrong in _wrong(duty).items() if wrong}
    duties = evaluation.obligations
    reached = {duty.recipient for duty in duties if duty.is_sent} | {evaluation.first_holder}
    checks = {
        "trio of ¶8": _told_by_8(duties) != _owed_by_8(facts, evaluation),
        "guardianship stands in": _wrongly_coordinated(facts, everything),
        "a parent under the lock": is_locked(facts) and any(duty.recipient == "legal_rep" for duty in duties),
        "pending, and nobody will tell it": any(
            duty.obliged_body not in reached for duty in everything if duty.state == "pending"
        ),
        "nothing owed, and no person asked": (evaluation.needs_a_person is None) != bool(duties),
    }
    return sorted(found | {name for name, wrong in checks.items() if wrong})


def is_locked(facts: Facts) -> bool:
    """Whether parents must not be told: what a person has said beats the alert."""
    if facts.parent_lock is not None:
        return facts.parent_lock
    return facts.offender_relation in LOCKED or facts.parents_may_be_informed is False


def _wrong(duty: Duty) -> dict[str, bool]:
    ends = [moment for moment in (duty.due_at, duty.breach_at) if moment]
    calendar = the_lawbook().calendar
    return {
        "due after breach": ends != sorted(ends),
        "due before its start": any(moment < duty.starts_at for moment in ends),
        "a working-day clock ends on a day off": duty.clock.kind == "working_days"
        and not all(calendar.is_working(local_day(moment)) for moment in ends),
        "a message to somebody never contacted": duty.is_sent and duty.recipient in NEVER_CONTACTED,
        "a body notifies itself": duty.is_sent and duty.recipient in {duty.obliged, duty.obliged_body},
    }


def _told_by_8(duties: tuple[Duty, ...]) -> set[str | None]:
    return {duty.recipient for duty in duties if duty.rule.startswith("R136-8")}


def _owed_by_8(facts: Facts, evaluation: Evaluation) -> set[str | None]:
    """Never empty, self-notification aside, and nobody else is an addressee."""
    coordinating = REGIONAL if facts.regional_body else GUARDIANSHIP
    trio: set[str | None] = {"internal_affairs", coordinating, "regional_child_ombudsman"}
    return trio - {evaluation.first_holder} if facts.concerns & NAMED else set()


def _wrongly_coordinated(facts: Facts, everything: tuple[Duty, ...]) -> bool:
    """Guardianship stands in exactly where there is no regional body, and somebody always coordinates."""
    coordinated = [duty for duty in everything if duty.rule.startswith(COORDINATED)]
    coordinating = REGIONAL if facts.regional_body else GUARDIANSHIP
    if any(duty.obliged != coordinating or duty.stand_in == facts.regional_body for duty in coordinated):
        return True
    return bool(facts.concerns & NAMED) and not any(duty.rule == "R136-17" for duty in coordinated)


@cache
def holders() -> dict[str, UUID]:
    """An agency for every role; some hold two."""
    doubled = {"guardianship_body": "minors_commission", "child_violence_help_cabinet": "health_authority"}
    return {role: uuid5(UUID(int=0), doubled.get(role, role)) for role in ROLES}


def broken_plan(facts: Facts, evaluation: Evaluation, random: Random) -> list[str]:
    """Whether somebody excluded is told, or the reporter of its own report."""
    agencies = holders()
    excluded = frozenset(random.sample(sorted(set(agencies.values())), random.choice([0, 1, 3])))
    since = local("2020-01-01 00:00:00")
    absences = () if facts.regional_body else (Absence(REGIONAL, TERRITORY, since),)
    directory = Directory(tuple(Holding(a, role, TERRITORY, since) for role, a in agencies.items()), absences)
    reporter = agencies.get(facts.reporter)
    case = Case(
        territory=TERRITORY,
        received_at=facts.received_at,
        reporter_agency=reporter,
        excluded=excluded,
        auto_dispatch_before=timedelta(hours=4),
    )
    planned = plan(evaluation, directory, case, uuid4)
    found = []
    if {delivery.agency for delivery in planned.deliveries} & excluded:
        found.append("an excluded agency is told")
    if {each.obliged_agency for each in planned.duties} & excluded:
        found.append("an excluded agency owes")
    if any(each.recipient_agency in excluded for each in planned.duties if each.delivery_id):
        found.append("a duty carries to an excluded agency")
    if is_locked(facts) and any(each.duty.recipient == "legal_rep" for each in planned.duties):
        found.append("a parent is told under the lock")
    carried = {each.duty.key for each in planned.duties if each.delivery_id}
    beside = {each.duty.key for each in planned.withheld if each.reason != "implicated"}
    if any(
        duty.rule.startswith("R136-8") and duty.key not in carried | beside for duty in evaluation.obligations
    ):
        found.append("an exclusion leaves one of the trio untold")
    called = {each.duty.rule for each in planned.duties if each.delivery_id and reporter is not None
              and each.recipient_agency == reporter}  # fmt: skip
    if called - {"R136-12.3a"}:
        found.append("the reporter is told of its own report")
    return found


def run(count: int, seed: int) -> Counter[str]:
    """How often each invariant broke in that many random alerts, and of their later facts."""
    random, lawbook, broke = Random(seed), the_lawbook(), Counter[str]()
    later = sorted({fact for rule in THE_LAW.rules for fact in rule.after})
    for _ in range(count):
        facts = some(random)
        law = lawbook.edition_at(facts.received_at)
        evaluation = evaluate(law, facts, lawbook.calendar)
        broke.update(broken(facts, evaluation))
        broke.update(broken_plan(facts, evaluation, random))
        occurrence = Occurrence(random.choice(later), facts.received_at + timedelta(days=3))
        opened = follow(law, facts, occurrence, lawbook.calendar).obligations
        if is_locked(facts) and any(duty.recipient == "legal_rep" for duty in opened):
            broke["a parent under the lock, later"] += 1
    return broke


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    result = run(asked, seed=1)
    sys.stdout.write(f"{asked} alerts, broken: {dict(result) or 'none'}\n")
    sys.exit(1 if result else 0)
