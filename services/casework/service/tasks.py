"""Duties become tasks; facts about them close or mark them. Events come in any order, some twice."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from casework import repository
from casework.domain.case import COORDINATING, Coordinator, choose_coordinator
from casework.domain.task import Copy, Facts, State, Task, heir_of
from common.contracts.notifier import ObligationFact, ObligationOpened
from common.contracts.vocabulary import CaseFactCode, DutyKind
from common.db import Session
from common.timing import Now

_RECORDED_HERE = frozenset(code.value for code in CaseFactCode)
"""Of the facts that meet a duty, those whose record is kept here; the others are told to notifier."""


async def take_duties(
    session: Session, told: Sequence[tuple[ObligationOpened, Mapping[UUID, UUID]]], *, now: Now
) -> None:
    """Turn act-duties into tasks and learn who coordinates; duties to send a notice stay out.

    Args:
        told: each with which agency owes which duty; none for a duty that nobody holds yet.
    """
    cases = await repository.open_cases(session, (event.alert_id for event, _ in told), now=now())
    shut_out = await repository.shut_out_of(session, (case.id for case in cases.values()))
    heirs = await repository.heirs_of(session, cases)
    if heirs:
        told = [(event, _inherited(event, owners, heirs)) for event, owners in told]
    # An event that was overtaken by a conflict of interest still names the owner of that time.
    told = [
        (
            event,
            {d: who for d, who in owners.items() if who not in shut_out.get(cases[event.alert_id].id, ())},
        )
        for event, owners in told
    ]
    duties = [
        (cases[event.alert_id].id, duty, assignees.get(duty.obligation_id))
        for event, assignees in told
        for duty in event.obligations
        if duty.kind is DutyKind.ACT
    ]
    for event, assignees in told:
        case = cases[event.alert_id]
        case.territory = case.territory or event.territory
        known = repository.coordinator_of(case)
        chosen = choose_coordinator(_candidates(event.obligations, assignees, known))
        if chosen is not None:
            case.coordinating_role, case.coordinating_agency = chosen.role, chosen.agency
    await repository.put_cases(session, cases.values())
    ids = [duty.obligation_id for _, duty, _ in duties]
    existing = await repository.tasks_by_obligation(session, ids)
    facts = await repository.facts_of(session, ids)
    tasks: dict[UUID, tuple[UUID, Task]] = {}
    for case_id, duty, assignee in duties:
        key = duty.obligation_id
        earlier = tasks[key][1] if key in tasks else existing.get(key)
        if assignee is None and earlier is not None and case_id in shut_out:
            assignee = earlier.copy.assignee  # noqa: PLW2901  # whoever has it now keeps it
        copy = _copy_of(duty, assignee)
        task = Task(copy) if earlier is None else earlier.with_copy(copy)
        tasks[key] = (case_id, task.with_facts(facts.get(key, Facts())))
    await repository.put_tasks(session, list(tasks.values()), existing)


async def take_facts(
    session: Session, told: Sequence[tuple[UUID, Iterable[UUID], Facts]], *, now: Now
) -> None:
    """What happened to duties: met, breached, waived; a late one stays marked.

    Args:
        told: alert, obligations, and what happened to each of them.
    """
    cases = await repository.open_cases(session, (alert_id for alert_id, _, _ in told), now=now())
    ids = {key for _, obligations, _ in told for key in obligations}
    known = await repository.facts_of(session, ids)
    facts: dict[UUID, tuple[UUID, Facts]] = {}
    for alert_id, obligations, fact in told:
        for key in obligations:
            earlier = facts[key][1] if key in facts else known.get(key, Facts())
            facts[key] = (alert_id, fact.with_earlier(earlier))
    await repository.put_facts(session, facts, known)
    existing = await repository.tasks_by_obligation(session, ids)
    tasks = [(cases[facts[key][0]].id, task.with_facts(facts[key][1])) for key, task in existing.items()]
    await repository.put_tasks(session, tasks, existing)


def _inherited(
    event: ObligationOpened, owners: Mapping[UUID, UUID], heirs: Mapping[tuple[UUID, UUID, str], UUID]
) -> dict[UUID, UUID]:
    """An event that was overtaken by a succession still names the retired body."""
    roles = {duty.obligation_id: duty.obliged for duty in event.obligations}
    return {
        duty: heir_of(heirs, event.alert_id, who, roles[duty]) if duty in roles else who
        for duty, who in owners.items()
    }


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
