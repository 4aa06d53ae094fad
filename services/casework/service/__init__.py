"""What casework can do. One function, one transaction, opened by whichever door called."""

from casework.service.appointments import PersonSeals, appoint_case_manager, open_employee
from casework.service.cases import CaseView, get_case, join_cases, list_cases, list_tasks, open_cases
from casework.service.conflicts import lower_conflict, raise_conflict
from casework.service.explanations import Explaining, take_explanation
from casework.service.records import Recorded, RecordSeals, add_record, list_records
from casework.service.successions import take_passed
from casework.service.tasks import take_duties, take_facts

__all__ = [
    "CaseView",
    "Explaining",
    "PersonSeals",
    "RecordSeals",
    "Recorded",
    "add_record",
    "appoint_case_manager",
    "get_case",
    "join_cases",
    "list_cases",
    "list_records",
    "list_tasks",
    "lower_conflict",
    "open_cases",
    "open_employee",
    "raise_conflict",
    "take_duties",
    "take_explanation",
    "take_facts",
    "take_passed",
]
