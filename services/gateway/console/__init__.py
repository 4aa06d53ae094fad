"""Door for people: server-rendered pages in Kazakh, Russian and English.

Nothing about a child stands in an address, a title or a log. Pages work without script for reading; script
adds ticking clocks and live updates.
"""

from fastapi import APIRouter

from gateway.console import affairs, alarms, alerts, correcting, duties, failures, inbox, sign_in

routers: tuple[APIRouter, ...] = (
    sign_in.router,
    alarms.router,
    alerts.router,
    failures.router,
    inbox.router,
    duties.router,
    correcting.router,
    affairs.router,
)

__all__ = ["routers"]
