"""Door 1, HTTP: parse, call one use case, shape the answer."""

from casework.router import cases, records, tasks

ROUTERS = (cases.router, records.router, tasks.router)

__all__ = ["ROUTERS"]
