"""Door 1, HTTP: parse, call one use case, shape the answer."""

from notifier.router import (
    alarms,
    alerts,
    by_hand,
    changes,
    conflicts,
    conservation,
    deliveries,
    endpoints,
    inbox,
    internal,
    joining,
    obligations,
    parents,
    periods,
    redrives,
    statistics,
)

ROUTERS = (
    alerts.router,
    changes.router,
    obligations.router,
    alarms.router,
    conflicts.router,
    joining.router,
    parents.router,
    deliveries.router,
    by_hand.router,
    inbox.router,
    periods.router,
    endpoints.router,
    conservation.router,
    redrives.router,
    statistics.router,
    internal.router,
)
