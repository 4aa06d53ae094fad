"""Duties become tasks; facts about them close or mark them. Events come in any order, some twice."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from casework import repository
from casework.domain.case import COORDINATING, Coordinator, choose_coordinator
from casework.domain.task import Copy, Facts, State, Task
from common.contracts.notifier import ObligationFact, ObligationOpened
from common.contracts.vocabulary import CaseFactCode, DutyKind
from common.db import Session
from common.timing import Now

_RECORDED_HERE = frozenset(code.value for code in CaseFactCode)
"""Of the facts that meet a duty, those whose record is kept here; the others are told to notifier."""


async def take_duties(
    session: Session, event: ObligationOpened, assignees: Mapping[UUID, UUID], *, now: Now
) -> None:
    """Turn act-duties into tasks and learn who coordinates; duties to send a notice stay out.

    ``assignees`` says which agency owes which duty; none for a duty that nobody holds yet.
    """
    case = await repository.open_case(session, event.alert_id, now=now())
    if case.territory is None:
        case.territory = event.territory
    chosen = choose_coordinator(_candidates(event.obligations, assignees, repository.coordinator_of(case)))
    if chosen is not None:
        case.coordinating_role, case.coordinating_agency = chosen.role, chosen.agency
    acts = [duty for duty in event.obligations if duty.kind is DutyKind.ACT]
    ids = [duty.obligation_id for duty in acts]
    known = await repository.tasks_by_obligation(session, ids)
    facts = await repository.facts_of(session, ids)
    tasks = []
    for duty in acts:
        copy = _copy_of(duty, assignees.get(duty.obligation_id))
        row = known.get(duty.obligation_id)
        task = Task(copy) if row is None else repository.as_rule(row).with_copy(copy)
        tasks.append(task.with_facts(facts.get(duty.obligation_id, Facts())))
    await repository.put_tasks(session, case.id, tasks, known)


async def mark_met(
    session: Session, alert_id: UUID, obligations: Iterable[UUID], *, at: datetime, now: Now
) -> None:
    """The duties were fulfilled at ``at``; a late one stays marked."""
    await _take_facts(session, alert_id, dict.fromkeys(obligations, Facts(met_at=at)), now=now)


async def mark_breached(
    session: Session, alert_id: UUID, obligations: Iterable[UUID], *, at: datetime, now: Now
) -> None:
    """The formal limit of the duties passed at ``at``."""
    await _take_facts(session, alert_id, dict.fromkeys(obligations, Facts(breached_at=at)), now=now)


async def mark_waived(
    session: Session, alert_id: UUID, obligations: Iterable[UUID], *, at: datetime, now: Now
) -> None:
    """Their obliged body will not do these duties, and said why; a late one stays marked."""
    await _take_facts(session, alert_id, dict.fromkeys(obligations, Facts(waived_at=at)), now=now)


async def _take_facts(session: Session, alert_id: UUID, told: Mapping[UUID, Facts], *, now: Now) -> None:
    case = await repository.open_case(session, alert_id, now=now())
    known = await repository.facts_of(session, told)
    facts = {key: fact.with_earlier(known.get(key, Facts())) for key, fact in told.items()}
    await repository.put_facts(session, alert_id, facts)
    rows = await repository.tasks_by_obligation(session, told)
    tasks = [repository.as_rule(row).with_facts(facts[key]) for key, row in rows.items()]
    await repository.put_tasks(session, case.id, tasks, rows)


def _candidates(
    duties: Iterable[ObligationFact], assignees: Mapping[UUID, UUID], known: Coordinator | None
) -> list[Coordinator]:
    found = [
        Coordinator(duty.obliged, assignees[duty.obligation_id])
        for duty in duties
        if duty.obliged in COORDINATING and duty.obligation_id in assignees
    ]
    return found if known is None else [known, *found]


def _copy_of(duty: ObligationFact, assignee: UUID | None) -> Copy:
    return Copy(
        obligation_id=duty.obligation_id,
        rule=duty.rule,
        obliged=duty.obliged,
        recipient=duty.recipient,
        force=duty.force,
        state=State(duty.state),
        starts_at=duty.starts_at,
        due_at=duty.due_at,
        breach_at=duty.breach_at,
        assignee=assignee,
        evidence=tuple(code for code in duty.evidence if code in _RECORDED_HERE),
    )
