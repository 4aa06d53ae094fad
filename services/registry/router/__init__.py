"""Door 1, HTTP: parse, call one use case, shape the answer."""

from registry.router import absences, agencies, endpoints, returns, snapshot, territories

ROUTERS = (
    territories.router,
    agencies.router,
    endpoints.router,
    absences.router,
    returns.router,
    snapshot.router,
)

__all__ = ["ROUTERS"]
