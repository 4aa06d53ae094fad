"""Door 1, HTTP: parse, call one use case, shape the answer."""

from notifier.router import (
    alerts,
    changes,
    conflicts,
    conservation,
    deliveries,
    endpoints,
    inbox,
    internal,
    obligations,
    parents,
)

ROUTERS = (
    alerts.router,
    changes.router,
    obligations.router,
    conflicts.router,
    parents.router,
    deliveries.router,
    inbox.router,
    endpoints.router,
    conservation.router,
    internal.router,
)
