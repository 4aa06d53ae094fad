"""All SQL of casework."""

from casework.repository.appointments import add_appointment, appointments_of, get_appointment
from casework.repository.cases import (
    OpenCase,
    alerts_of,
    coordinator_of,
    find_case,
    list_cases,
    note_receipts,
    open_cases,
    put_cases,
)
from casework.repository.exclusions import change_exclusions, is_shut_out, shut_out_of
from casework.repository.explanations import add_explanation, explanations_of
from casework.repository.facts import facts_of, put_facts
from casework.repository.joined import cases_together, point_cases
from casework.repository.records import (
    add_record,
    find_record,
    find_record_by_token,
    is_superseded,
    lock_case,
    records_of,
)
from casework.repository.successions import add_successions, heirs_of
from casework.repository.tasks import as_rule, find_task, list_tasks, put_tasks, tasks_by_obligation, tasks_of

__all__ = [
    "OpenCase",
    "add_appointment",
    "add_explanation",
    "add_record",
    "add_successions",
    "alerts_of",
    "appointments_of",
    "as_rule",
    "cases_together",
    "change_exclusions",
    "coordinator_of",
    "explanations_of",
    "facts_of",
    "find_case",
    "find_record",
    "find_record_by_token",
    "find_task",
    "get_appointment",
    "heirs_of",
    "is_shut_out",
    "is_superseded",
    "list_cases",
    "list_tasks",
    "lock_case",
    "note_receipts",
    "open_cases",
    "point_cases",
    "put_cases",
    "put_facts",
    "put_tasks",
    "records_of",
    "shut_out_of",
    "tasks_by_obligation",
    "tasks_of",
]
