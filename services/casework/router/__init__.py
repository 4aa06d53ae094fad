"""Door 1, HTTP: parse, call one use case, shape the answer."""

from casework.router import cases, tasks

ROUTERS = (cases.router, tasks.router)

__all__ = ["ROUTERS"]
