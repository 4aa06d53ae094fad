"""Door 1, HTTP: parse, call one use case, shape the answer."""

from notifier.router import alerts, deliveries, endpoints, inbox, internal, obligations

ROUTERS = (
    alerts.router,
    obligations.router,
    deliveries.router,
    inbox.router,
    endpoints.router,
    internal.router,
)
