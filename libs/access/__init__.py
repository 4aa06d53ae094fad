"""Who may see which field of an alert: one table, one pure function, one shaping of the answer.

The table is data (``table.yaml``), the decision is :func:`may`, and :func:`shape` cuts a content
document down to what the decision allows. Every service that answers with data asks here.
"""

from access.decision import Alert, Conflict, Reader, may
from access.shaping import FIELDS, levels, shape
from access.table import BODIES, TABLE, Group, Level, Purpose, Row, Status

__all__ = [
    "BODIES",
    "FIELDS",
    "TABLE",
    "Alert",
    "Conflict",
    "Group",
    "Level",
    "Purpose",
    "Reader",
    "Row",
    "Status",
    "levels",
    "may",
    "shape",
]
